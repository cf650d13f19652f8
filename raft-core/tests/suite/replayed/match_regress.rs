//! Made by `plumbline model regress`: monotonicity, broken by the seeded bug match-regress.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 2: receives 1->2 t1 vote? (log 0@t0)
    run.receives(2, 1, 0);
    // 3. server 1: receives 2->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 1: Heartbeat timer runs out
    run.fires(1, Timer::Heartbeat);
    // 5. server 3: receives 1->3 t1 append [] after 0@t0, commit 0
    run.receives(3, 4, 0);
    // 6. server 3: receives 1->3 t1 append [1@t1] after 0@t0, commit 0
    run.receives(3, 3, 0);
    // 7. server 1: receives 3->1 t1 appended to 1
    run.receives(1, 6, 0);
    // 8. server 1: receives 3->1 t1 appended to 0
    run.receives(1, 5, 0);
}

#[test]
fn keeps_monotonicity() {
    WORLD.holds(happens);
}

#[test]
fn breaks_monotonicity_with_match_regress() {
    WORLD.breaks(Mutant::MatchRegress, "monotonicity", happens);
}
