//! Made by `plumbline model regress`: leader completeness, broken by the seeded bug vote-without-log-check.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 2: receives 1->2 t1 append [1@t1] after 0@t0, commit 0
    run.receives(2, 3, 0);
    // 5. server 1: receives 2->1 t1 appended to 1
    run.receives(1, 4, 0);
    // 6. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 7. server 2: receives 3->2 t2 vote? (log 0@t0)
    run.receives(2, 6, 0);
    // The sound core does not go on like this.
    run.departs();
    // 8. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 7, 0);
}

#[test]
fn keeps_leader_completeness() {
    WORLD.holds(happens);
}

#[test]
fn breaks_leader_completeness_with_vote_without_log_check() {
    WORLD.breaks(Mutant::VoteWithoutLogCheck, "leader completeness", happens);
}
