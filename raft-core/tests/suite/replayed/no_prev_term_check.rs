//! Made by `plumbline model regress`: log matching, broken by the seeded bug no-prev-term-check.

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
    // 7. server 2: receives 3->2 t2 append [1@t2] after 0@t0, commit 0
    run.receives(2, 6, 0);
    // 8. server 2: Election timer runs out
    run.fires(2, Timer::Election);
    // 9. server 3: receives 2->3 t3 vote? (log 1@t2)
    run.receives(3, 8, 0);
    // 10. server 2: receives 3->2 t3 vote: yes
    run.receives(2, 9, 0);
    // 11. server 1: receives 2->1 t3 append [2@t3] after 1@t2, commit 0
    run.receives(1, 10, 0);
}

#[test]
fn keeps_log_matching() {
    WORLD.holds(happens);
}

#[test]
fn breaks_log_matching_with_no_prev_term_check() {
    WORLD.breaks(Mutant::NoPrevTermCheck, "log matching", happens);
}
