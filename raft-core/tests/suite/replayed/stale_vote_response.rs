//! Made by `plumbline model regress`: election safety, broken by the seeded bug stale-vote-response.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 3. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 4. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 5. server 2: receives 3->2 t2 vote? (log 0@t0)
    run.receives(2, 4, 0);
    // The sound core does not go on like this.
    run.departs();
    // 6. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 3, 0);
    // 7. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 5, 0);
}

#[test]
fn keeps_election_safety() {
    WORLD.holds(happens);
}

#[test]
fn breaks_election_safety_with_stale_vote_response() {
    WORLD.breaks(Mutant::StaleVoteResponse, "election safety", happens);
}
