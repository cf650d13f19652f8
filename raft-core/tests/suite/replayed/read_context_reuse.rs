//! Made by `plumbline model regress`: linearizable reads, broken by the seeded bug read-context-reuse.

use super::run::*;

const WORLD: World = World { servers: 2, forward: true, ..World::PLAIN };

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 2: receives 1->2 t1 vote? (log 0@t0)
    run.receives(2, 1, 0);
    // 3. server 1: receives 2->1 t1 vote: yes
    run.receives(1, 2, 0);
    // 4. server 1: is proposed command 0
    run.proposes(1);
    // 5. server 2: receives 1->2 t1 append [1@t1] after 0@t0, commit 0
    run.receives(2, 3, 0);
    // 6. server 2: is asked for read 0
    run.reads(2);
    // 7. server 1: receives 2->1 t1 read? (request 1 of life 0)
    run.receives(1, 6, 0);
    // 8. server 1: receives 2->1 t1 appended to 1
    run.receives(1, 5, 0);
    // 9. server 2: receives 1->2 t1 append [2@t1=0] after 1@t1, commit 1, round 1
    run.receives(2, 8, 0);
    // 10. server 1: receives 2->1 t1 appended to 2, round 1
    run.receives(1, 9, 1);
    // 11. server 2: is asked for read 1
    run.reads(2);
    // 12. server 2: receives 1->2 t1 read at 1 (request 1 of life 0) (and will again)
    run.receives(2, 10, 0);
    // 13. server 2: receives 1->2 t1 read at 1 (request 1 of life 0)
    run.receives(2, 10, 0);
}

#[test]
fn keeps_linearizable_reads() {
    WORLD.holds(happens);
}

#[test]
fn breaks_linearizable_reads_with_read_context_reuse() {
    WORLD.breaks(Mutant::ReadContextReuse, "linearizable reads", happens);
}
