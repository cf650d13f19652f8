//! Made by `plumbline model regress`: state machine safety, broken by the seeded bug heartbeat-commit-unclamped.

use super::run::*;

const WORLD: World = World::PLAIN;

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
    // 7. server 2: receives 3->2 t2 append [1@t2] after 0@t0, commit 0
    run.receives(2, 6, 0);
    // 8. server 3: receives 2->3 t2 appended to 1
    run.receives(3, 7, 0);
    // 9. server 3: Heartbeat timer runs out
    run.fires(3, Timer::Heartbeat);
    // 10. server 1: receives 3->1 t2 append [] after 0@t0, commit 1
    run.receives(1, 9, 0);
}

#[test]
fn keeps_state_machine_safety() {
    WORLD.holds(happens);
}

#[test]
fn breaks_state_machine_safety_with_heartbeat_commit_unclamped() {
    WORLD.breaks(Mutant::HeartbeatCommitUnclamped, "state machine safety", happens);
}
