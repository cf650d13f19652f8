//! Made by `plumbline model regress`: durability at commit, broken by the seeded bug joint-one-majority.

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
    // The sound core does not go on like this.
    run.departs();
    // 6. server 1: is asked to change the members to {1}
    run.changes(1, &[Change::Remove(NodeId(2)), Change::Remove(NodeId(3))], Transition::Auto);
}

#[test]
fn keeps_durability_at_commit() {
    WORLD.holds(happens);
}

#[test]
fn breaks_durability_at_commit_with_joint_one_majority() {
    WORLD.breaks(Mutant::JointOneMajority, "durability at commit", happens);
}
