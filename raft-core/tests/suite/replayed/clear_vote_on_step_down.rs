//! Made by `plumbline model regress`: monotonicity, broken by the seeded bug clear-vote-on-step-down.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 2: Election timer runs out
    run.fires(2, Timer::Election);
    // 3. server 3: receives 2->3 t1 vote? (log 0@t0)
    run.receives(3, 2, 0);
    // 4. server 2: receives 3->2 t1 vote: yes
    run.receives(2, 3, 0);
    // 5. server 1: receives 2->1 t1 append [1@t1] after 0@t0, commit 0
    run.receives(1, 4, 0);
}

#[test]
fn keeps_monotonicity() {
    WORLD.holds(happens);
}

#[test]
fn breaks_monotonicity_with_clear_vote_on_step_down() {
    WORLD.breaks(Mutant::ClearVoteOnStepDown, "monotonicity", happens);
}
