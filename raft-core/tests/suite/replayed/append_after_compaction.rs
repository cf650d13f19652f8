//! Made by `plumbline model regress`: no suspicion, broken by the seeded bug append-after-compaction.

use super::run::*;

const WORLD: World = World { servers: 2, ..World::PLAIN };

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 2: receives 1->2 t1 vote? (log 0@t0)
    run.receives(2, 1, 0);
    // 3. server 1: receives 2->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 2: receives 1->2 t1 append [1@t1] after 0@t0, commit 0
    run.receives(2, 3, 0);
    // 5. server 1: receives 2->1 t1 appended to 1
    run.receives(1, 4, 0);
    // 6. server 1: takes a snapshot, and lets go of its log
    run.takes_snapshot(1);
    // 7. server 1: Heartbeat timer runs out
    run.fires(1, Timer::Heartbeat);
    // The sound core does not go on like this.
    run.departs();
    // 8. server 2: receives 1->2 t1 append [] after 1@t0, commit 1
    run.receives(2, 7, 0);
}

#[test]
fn keeps_no_suspicion() {
    WORLD.holds(happens);
}

#[test]
fn breaks_no_suspicion_with_append_after_compaction() {
    WORLD.breaks(Mutant::AppendAfterCompaction, "no suspicion", happens);
}
