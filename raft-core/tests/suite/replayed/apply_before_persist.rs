//! Made by `plumbline model regress`: durability at commit, broken by the seeded bug apply-before-persist.

use super::run::*;

const WORLD: World = World { servers: 1, slow_disks: true, ..World::PLAIN };

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 1: its oldest write becomes durable
    run.syncs(1);
    // 3. server 1: Heartbeat timer runs out
    run.fires(1, Timer::Heartbeat);
}

#[test]
fn keeps_durability_at_commit() {
    WORLD.holds(happens);
}

#[test]
fn breaks_durability_at_commit_with_apply_before_persist() {
    WORLD.breaks(Mutant::ApplyBeforePersist, "durability at commit", happens);
}
