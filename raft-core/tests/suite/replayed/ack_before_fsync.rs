//! Made by `plumbline model regress`: durability at commit, broken by the seeded bug ack-before-fsync.

use super::run::*;

const WORLD: World = World { slow_disks: true, ..World::PLAIN };

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 1: its oldest write becomes durable
    run.syncs(1);
    // 3. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 2, 0);
    // 4. server 3: its oldest write becomes durable
    run.syncs(3);
    // 5. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 4, 0);
    // 6. server 1: its oldest write becomes durable
    run.syncs(1);
    // 7. server 3: receives 1->3 t1 append [1@t1] after 0@t0, commit 0
    run.receives(3, 5, 0);
    // The sound core does not go on like this.
    run.departs();
    // 8. server 1: receives 3->1 t1 appended to 1
    run.receives(1, 7, 0);
}

#[test]
fn keeps_durability_at_commit() {
    WORLD.holds(happens);
}

#[test]
fn breaks_durability_at_commit_with_ack_before_fsync() {
    WORLD.breaks(Mutant::AckBeforeFsync, "durability at commit", happens);
}
