//! Made by `plumbline model regress`: linearizable reads, broken by the seeded bug read-before-own-commit.

use super::run::*;

const WORLD: World = World::PLAIN;

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 1, 0);
    // 3. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 3: receives 1->3 t1 append [1@t1] after 0@t0, commit 0
    run.receives(3, 3, 0);
    // 5. server 1: receives 3->1 t1 appended to 1
    run.receives(1, 4, 0);
    // 6. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 7. server 2: receives 3->2 t2 vote? (log 1@t1)
    run.receives(2, 6, 0);
    // 8. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 7, 0);
    // 9. server 3: is asked for read 0
    run.reads(3);
    // 10. server 2: receives 3->2 t2 append [] after 1@t1, commit 0, round 1
    run.receives(2, 9, 0);
    // 11. server 3: receives 2->3 t2 nothing like 1; try 0@t0, round 1
    run.receives(3, 10, 0);
}

#[test]
fn keeps_linearizable_reads() {
    WORLD.holds(happens);
}

#[test]
fn breaks_linearizable_reads_with_read_before_own_commit() {
    WORLD.breaks(Mutant::ReadBeforeOwnCommit, "linearizable reads", happens);
}
