//! Made by `plumbline model regress`: election safety, broken by the seeded bug act-before-term-durable.

use super::run::*;

const WORLD: World = World { slow_disks: true, ..World::PLAIN };

fn happens(run: &mut Run) {
    // The sound core does not go on like this.
    run.departs();
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 3: its oldest write becomes durable
    run.syncs(3);
    // 4. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 3, 0);
    // 5. server 1: crashes; 0 outstanding writes were kept
    run.crashes(1, 0);
    // 6. server 1: restarts
    run.restarts(1);
    // 7. server 2: Election timer runs out
    run.fires(2, Timer::Election);
    // 8. server 1: receives 2->1 t1 vote? (log 0@t0)
    run.receives(1, 7, 0);
    // 9. server 1: its oldest write becomes durable
    run.syncs(1);
    // 10. server 2: receives 1->2 t1 vote: yes
    run.receives(2, 9, 0);
}

#[test]
fn keeps_election_safety() {
    WORLD.holds(happens);
}

#[test]
fn breaks_election_safety_with_act_before_term_durable() {
    WORLD.breaks(Mutant::ActBeforeTermDurable, "election safety", happens);
}
