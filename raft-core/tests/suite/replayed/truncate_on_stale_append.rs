//! Made by `plumbline model regress`: leader completeness, broken by the seeded bug truncate-on-stale-append.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 2: receives 1->2 t1 vote? (log 0@t0)
    run.receives(2, 1, 0);
    // 3. server 1: receives 2->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 1: Heartbeat timer runs out
    run.fires(1, Timer::Heartbeat);
    // 5. server 3: receives 1->3 t1 append [1@t1] after 0@t0, commit 0
    run.receives(3, 3, 0);
    // 6. server 3: receives 1->3 t1 append [] after 0@t0, commit 0
    run.receives(3, 4, 0);
    // The sound core does not go on like this.
    run.departs();
    // 7. server 2: Election timer runs out
    run.fires(2, Timer::Election);
    // 8. server 3: receives 2->3 t2 vote? (log 0@t0)
    run.receives(3, 7, 0);
    // 9. server 2: receives 3->2 t2 vote: yes
    run.receives(2, 8, 0);
    // 10. server 1: receives 3->1 t1 appended to 1
    run.receives(1, 5, 0);
}

#[test]
fn keeps_leader_completeness() {
    WORLD.holds(happens);
}

#[test]
fn breaks_leader_completeness_with_truncate_on_stale_append() {
    WORLD.breaks(Mutant::TruncateOnStaleAppend, "leader completeness", happens);
}
