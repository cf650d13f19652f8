//! Made by `plumbline model regress`: own commit before a change, broken by the seeded bug reconfigure-before-own-commit.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // The sound core does not go on like this.
    run.departs();
    // 4. server 1: is asked to change the members to {1,2}
    run.changes(1, &[Change::Remove(NodeId(3))], Transition::Auto);
}

#[test]
fn keeps_own_commit_before_a_change() {
    WORLD.holds(happens);
}

#[test]
fn breaks_own_commit_before_a_change_with_reconfigure_before_own_commit() {
    WORLD.breaks(Mutant::ReconfigureBeforeOwnCommit, "own commit before a change", happens);
}
