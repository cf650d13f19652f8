//! Made by `plumbline model regress`: durability at commit, broken by the seeded bug quorum-half.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // The sound core does not go on like this.
    run.departs();
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
}

#[test]
fn keeps_durability_at_commit() {
    WORLD.holds(happens);
}

#[test]
fn breaks_durability_at_commit_with_quorum_half() {
    WORLD.breaks(Mutant::QuorumHalf, "durability at commit", happens);
}
