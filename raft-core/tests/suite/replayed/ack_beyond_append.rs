//! Made by `plumbline model regress`: durability at commit, broken by the seeded bug ack-beyond-append.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 5. server 2: receives 3->2 t2 vote? (log 0@t0)
    run.receives(2, 4, 0);
    // 6. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 5, 0);
    // 7. server 3: Heartbeat timer runs out
    run.fires(3, Timer::Heartbeat);
    // 8. server 1: receives 3->1 t2 append [] after 0@t0, commit 0
    run.receives(1, 7, 0);
    // The sound core does not go on like this.
    run.departs();
    // 9. server 3: receives 1->3 t2 appended to 1
    run.receives(3, 8, 0);
}

#[test]
fn keeps_durability_at_commit() {
    WORLD.holds(happens);
}

#[test]
fn breaks_durability_at_commit_with_ack_beyond_append() {
    WORLD.breaks(Mutant::AckBeyondAppend, "durability at commit", happens);
}
