//! Made by `plumbline model regress`: durability at commit, broken by the seeded bug stale-ack-aba.

use super::run::*;

const WORLD: World = World { slow_disks: true, ..World::PLAIN };

fn happens(run: &mut Run) {
    // 1. server 1: Election timer runs out
    run.fires(1, Timer::Election);
    // 2. server 1: its oldest write becomes durable
    run.syncs(1);
    // 3. server 3: receives 1->3 t1 vote? (log 0@t0)
    run.receives(3, 2, 0);
    // 4. server 3: its oldest write becomes durable
    run.syncs(3);
    // 5. server 3: Election timer runs out
    run.fires(3, Timer::Election);
    // 6. server 1: receives 3->1 t1 vote: yes
    run.receives(1, 4, 0);
    // 7. server 1: its oldest write becomes durable
    run.syncs(1);
    // 8. server 3: receives 1->3 t1 append [1@t1] after 0@t0, commit 0
    run.receives(3, 6, 0);
    // 9. server 1: receives 3->1 t2 nothing like 0; try 0@t0
    run.receives(1, 8, 0);
    // 10. server 3: its oldest write becomes durable
    run.syncs(3);
    // 11. server 2: receives 3->2 t2 vote? (log 0@t0)
    run.receives(2, 10, 0);
    // 12. server 2: its oldest write becomes durable
    run.syncs(2);
    // 13. server 3: receives 2->3 t2 vote: yes
    run.receives(3, 12, 0);
    // 14. server 3: its oldest write becomes durable
    run.syncs(3);
    // 15. server 1: receives 3->1 t2 append [1@t2] after 0@t0, commit 0
    run.receives(1, 13, 0);
    // 16. server 1: its oldest write becomes durable
    run.syncs(1);
    // The sound core does not go on like this.
    run.departs();
    // 17. server 3: receives 1->3 t2 appended to 1
    run.receives(3, 16, 0);
}

#[test]
fn keeps_durability_at_commit() {
    WORLD.holds(happens);
}

#[test]
fn breaks_durability_at_commit_with_stale_ack_aba() {
    WORLD.breaks(Mutant::StaleAckAba, "durability at commit", happens);
}
