//! Made by `plumbline model regress`: leader completeness, broken by the seeded bug commit-older-term.

use super::run::*;

const WORLD: World = World { append_entries: 1, ..World::PLAIN };

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 5. server 2: receives 3->2 t2 vote? (log 0@t0)
    run.receives(2, 4, 0);
    // 6. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 5, 0);
    // 7. server 3: Heartbeat timer runs out
    run.fires(3, Timer::Heartbeat);
    // 8. server 1: receives 3->1 t2 append [] after 0@t0, commit 0
    run.receives(1, 7, 0);
    // 9. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 10. server 2: receives 1->2 t3 vote? (log 1@t1)
    run.receives(2, 9, 0);
    // 11. server 1: receives 2->1 t3 vote: yes
    run.receives(1, 10, 0);
    // 12. server 3: receives 1->3 t3 append [2@t3] after 1@t1, commit 0
    run.receives(3, 11, 0);
    // 13. server 1: Heartbeat timer runs out
    run.fires(1, Timer::Heartbeat);
    // 14. server 2: receives 1->2 t3 append [] after 1@t1, commit 0
    run.receives(2, 13, 0);
    // 15. server 1: receives 2->1 t3 nothing like 1; try 0@t0
    run.receives(1, 14, 0);
    // 16. server 2: receives 1->2 t3 append [1@t1] after 0@t0, commit 0
    run.receives(2, 15, 0);
    // 17. server 1: receives 2->1 t3 appended to 1
    run.receives(1, 16, 0);
    // The sound core does not go on like this.
    run.departs();
    // 18. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 19. server 2: receives 3->2 t4 vote? (log 1@t2)
    run.receives(2, 18, 0);
    // 20. server 3: receives 2->3 t4 vote: yes
    run.receives(3, 19, 0);
}

#[test]
fn keeps_leader_completeness() {
    WORLD.holds(happens);
}

#[test]
fn breaks_leader_completeness_with_commit_older_term() {
    WORLD.breaks(Mutant::CommitOlderTerm, "leader completeness", happens);
}
