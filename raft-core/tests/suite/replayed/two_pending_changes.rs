//! Made by `plumbline model regress`: leader completeness, broken by the seeded bug two-pending-changes.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 3: receives 1->3 t1 append [1@t1] after 0@t0, commit 0
    run.receives(3, 3, 0);
    // 5. server 1: receives 3->1 t1 appended to 1
    run.receives(1, 4, 0);
    // 6. server 1: is asked to change the members to {1,2}
    run.changes(1, &[Change::Remove(NodeId(3))], Transition::Auto);
    // The sound core does not go on like this.
    run.departs();
    // 7. server 1: is asked to change the members to {1}
    run.changes(1, &[Change::Remove(NodeId(2))], Transition::Auto);
    // 8. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 9. server 2: receives 3->2 t2 vote? (log 1@t1)
    run.receives(2, 8, 0);
    // 10. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 9, 0);
}

#[test]
fn keeps_leader_completeness() {
    WORLD.holds(happens);
}

#[test]
fn breaks_leader_completeness_with_two_pending_changes() {
    WORLD.breaks(Mutant::TwoPendingChanges, "leader completeness", happens);
}
