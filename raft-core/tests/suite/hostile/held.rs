//! How much a node holds for its peers and for requests: never more than its limits say.

use raft_core::{Effects, Membership, Raft};
use serde_json::Value;

use super::start::LIMITS;

/// Sums up an array in the serialised node.
fn length(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

/// Looks at everything in the node that grows, in its serialised form: there is no other way to see all of it.
pub fn check(raft: &Raft<u8>) {
    let node = serde_json::to_value(raft).unwrap();
    let durability = &node["durability"];
    // A change of the members that is left, a repair and a term from a voter of one may come on top.
    let outstanding = length(&durability["outstanding"]);
    assert!(outstanding <= LIMITS.outstanding_writes + 2, "{outstanding} writes outstanding");
    assert!(durability["unwritten"]["from"].is_null(), "nothing is left unwritten after a step");
    let handed = node["handed"].as_u64().unwrap();
    let unapplied = handed.saturating_sub(raft.applied().0);
    let restores = raft.snapshot().is_some_and(|snapshot| snapshot.last.index > raft.applied());
    assert!(unapplied <= LIMITS.unapplied_entries as u64 || restores, "{unapplied} entries are not applied");
    let role = &node["role"];
    if let Some(follower) = role.get("Follower") {
        let asked = &follower["asked"];
        assert!(length(&asked["these"]) + length(&asked["next"]) <= LIMITS.pending_reads);
        assert!(length(&asked["proposals"]) <= LIMITS.pending_forwards);
    }
    if let Some(candidate) = role.get("Candidate") {
        assert!(length(&candidate["votes"]) <= Membership::MAX_MEMBERS);
    }
    if let Some(leader) = role.get("Leader") {
        check_leader(raft, leader);
    }
}

fn check_leader(raft: &Raft<u8>, leader: &Value) {
    let members = raft.membership().members().count();
    let others = members - usize::from(raft.membership().contains(raft.id()));
    assert_eq!(length(&leader["peers"]), others, "one for each member, none for anybody else");
    assert!(length(&leader["departing"]) <= Membership::MAX_MEMBERS);
    assert!(length(&leader["reads"]["waiting"]) <= LIMITS.pending_reads);
    for peer in leader["peers"].as_array().unwrap() {
        let Some(inflight) = peer[1]["mode"].get("Replicate") else { continue };
        let appends = inflight["appends"].as_array().unwrap();
        assert!(appends.len() <= LIMITS.inflight_appends, "{appends:?}");
        // The last one may have been sent when there was a byte left.
        let earlier = appends.iter().rev().skip(1).map(|append| append[1].as_u64().unwrap());
        assert!(earlier.sum::<u64>() < LIMITS.inflight_bytes as u64, "{appends:?}");
    }
}

/// One input leads to so much at most: nobody can make a node flood the others.
pub fn check_step(raft: &Raft<u8>, effects: &Effects<u8>) {
    let members = raft.membership().members().count().max(4);
    // For each peer: a window of appends, a heartbeat for each of two rounds, an announcement of the commit index, a request to
    // campaign and the answer to a read; and farewells and answers besides.
    let most = members * (LIMITS.inflight_appends + 8) + Membership::MAX_MEMBERS;
    assert!(effects.send.len() <= most, "{} messages for one input", effects.send.len());
    assert!(effects.writes.len() <= 2);
    assert!(effects.snapshots.len() <= members);
    assert!(effects.reads.len() <= LIMITS.pending_reads + 1);
    assert!(effects.forwarded.len() <= LIMITS.pending_forwards);
    assert!(effects.apply.len() <= LIMITS.unapplied_entries + 1);
    assert!(effects.events.len() <= 8, "{:?}", effects.events);
}
