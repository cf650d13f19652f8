//! Made by `plumbline model regress`: election safety, broken by the seeded bug two-votes.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 2: Election timer runs out
    run.fires(2, Timer::Election);
    // 3. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 4. server 3: receives 2->3 t1 vote? (log 0@t0)
    run.receives(3, 2, 0);
    // 5. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 3, 0);
    // The sound core does not go on like this.
    run.departs();
    // 6. server 2: receives 3->2 t1 vote: yes
    run.receives(2, 4, 0);
}

#[test]
fn keeps_election_safety() {
    WORLD.holds(happens);
}

#[test]
fn breaks_election_safety_with_two_votes() {
    WORLD.breaks(Mutant::TwoVotes, "election safety", happens);
}
