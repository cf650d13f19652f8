//! Made by `plumbline model regress`: latest members in force, broken by the seeded bug config-not-rolled-back.

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
    // 7. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 8. server 2: receives 3->2 t2 vote? (log 1@t1)
    run.receives(2, 7, 0);
    // 9. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 8, 0);
    // 10. server 1: receives 3->1 t2 append [2@t2] after 1@t1, commit 0
    run.receives(1, 9, 0);
}

#[test]
fn keeps_latest_members_in_force() {
    WORLD.holds(happens);
}

#[test]
fn breaks_latest_members_in_force_with_config_not_rolled_back() {
    WORLD.breaks(Mutant::ConfigNotRolledBack, "latest members in force", happens);
}
