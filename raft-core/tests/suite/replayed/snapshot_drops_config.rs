//! Made by `plumbline model regress`: latest members in force, broken by the seeded bug snapshot-drops-config.

use super::run::*;

const WORLD: World = World { outsiders: &[3], ..World::PLAIN };

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
    // 6. server 1: is asked to change the members to {1,2,3}
    run.changes(1, &[Change::Voter(NodeId(3))], Transition::Auto);
    // 7. server 1: takes a snapshot, and lets go of its log
    run.takes_snapshot(1);
    // 8. server 3: receives 1->3 t1 append [2@t1={1,2,3}] after 1@t1, commit 1
    run.receives(3, 6, 0);
    // 9. server 1: receives 3->1 t1 nothing like 1; try 0@t0
    run.receives(1, 8, 0);
    // 10. server 3: receives 1->3 t1 snapshot 1@t1 members {1,2}, bytes 0..2, the end
    run.receives(3, 9, 0);
}

#[test]
fn keeps_latest_members_in_force() {
    WORLD.holds(happens);
}

#[test]
fn breaks_latest_members_in_force_with_snapshot_drops_config() {
    WORLD.breaks(Mutant::SnapshotDropsConfig, "latest members in force", happens);
}
