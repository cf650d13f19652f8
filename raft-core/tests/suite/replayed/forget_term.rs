//! Made by `plumbline model regress`: election safety, broken by the seeded bug forget-term.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 3: crashes; 0 outstanding writes were kept
    run.crashes(3, 0);
    // 4. server 3: restarts
    run.restarts(3);
    // 5. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 6. server 2: Election timer runs out
    run.fires(2, Timer::Election);
    // 7. server 3: receives 2->3 t1 vote? (log 0@t0)
    run.receives(3, 6, 0);
    // The sound core does not go on like this.
    run.departs();
    // 8. server 2: receives 3->2 t1 vote: yes
    run.receives(2, 7, 0);
}

#[test]
fn keeps_election_safety() {
    WORLD.holds(happens);
}

#[test]
fn breaks_election_safety_with_forget_term() {
    WORLD.breaks(Mutant::ForgetTerm, "election safety", happens);
}
