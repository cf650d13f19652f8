//! E: what a leader knows of a peer and when it sends; what `replication` leaves.

use raft_core::{
    Append, Apply, Body, Change, Config, Effects, Event, HardState, Index, Input, NodeId, PeerStatus,
    Sending, Term, Timer, Transition,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, Said, accepted, append, at, rejected};

/// Server 1 of `n`, configured so, as the leader of term 1, its opening acknowledged by server 2.
fn leader(n: u64, configure: impl Fn(&mut Config)) -> Node {
    let mut node = Node::with(n, &[], HardState::default(), |config| {
        config.pre_vote = false;
        configure(config);
    });
    node.input(Input::Campaign);
    (2..=n).for_each(|peer| drop(node.hear(peer, 1, GRANTED)));
    node.hear(2, 1, accepted(1, 0));
    node.effects.clear();
    node
}

fn peer(node: &Node, id: u64) -> Option<PeerStatus> {
    node.raft.peers().find(|peer| peer.id == NodeId(id))
}

/// The indexes of the entries in each append to `to`, in order.
fn carried<'a>(bodies: impl Iterator<Item = (u64, &'a Body<u64>)>, to: u64) -> Vec<Vec<u64>> {
    let entries = |body: &Body<u64>| match body {
        Body::Append(Append { entries, .. }) => Some(entries.iter().map(|entry| entry.index.0).collect()),
        _ => None,
    };
    bodies.filter(|(addressee, _)| *addressee == to).filter_map(|(_, body)| entries(body)).collect()
}

fn said_to(said: &Said, to: u64) -> Vec<Vec<u64>> {
    carried(said.iter().map(|(to, body)| (*to, body)), to)
}

fn sent_to(effects: &Effects<u64>, to: u64) -> Vec<Vec<u64>> {
    carried(effects.send.iter().map(|out| (out.to.0, &out.message.body)), to)
}

#[test]
fn e03_the_next_index_advances_on_send_and_the_match_index_on_acknowledgement() {
    let mut node = leader(2, |_| {});
    for i in 2..5 {
        assert_eq!(said_to(&node.input(Input::Propose(vec![i])), 2), [[i]], "nothing is sent twice");
        let peer = peer(&node, 2).unwrap();
        assert_eq!((peer.matched, peer.next), (Index(1), Index(i + 1)));
        assert_eq!(peer.sending, Sending::Replicate);
    }
    node.hear(2, 1, accepted(3, 0));
    assert_eq!(peer(&node, 2).map(|peer| (peer.matched, peer.next)), Some((Index(3), Index(5))));
    node.hear(2, 1, accepted(2, 0));
    assert_eq!(peer(&node, 2).map(|peer| (peer.matched, peer.next)), Some((Index(3), Index(5))), "late news");
}

#[test]
fn e07_one_append_larger_than_all_the_bytes_allowed_goes_when_it_is_alone() {
    let mut node = leader(2, |config| config.limits.inflight_bytes = 1);
    assert_eq!(said_to(&node.input(Input::Propose(vec![1])), 2), [[2]]);
    assert_eq!(said_to(&node.input(Input::Propose(vec![2])), 2), [[0; 0]; 0]);
    assert_eq!(said_to(&node.hear(2, 1, accepted(2, 0)), 2), [[3]]);
}

/// The host did not come round to sending: what it still holds for a peer becomes few appends (of lengths that are powers of
/// two, so that each entry is copied rarely), in order and without a gap.
#[test]
fn e09_consecutive_appends_that_wait_to_be_sent_merge() {
    let mut node = leader(3, |_| {});
    node.hear(3, 1, accepted(1, 0));
    let mut effects = Effects::default();
    for proposals in 1..=16u64 {
        node.raft.step(Input::Propose(vec![proposals]), &mut effects).unwrap();
        for to in [2, 3] {
            let sent = sent_to(&effects, to);
            assert_eq!(sent.len(), usize::try_from(proposals.count_ones()).unwrap(), "{sent:?}");
            assert_eq!(sent.concat(), (2..2 + proposals).collect::<Vec<_>>());
        }
    }
}

#[test]
fn e09_appends_merge_only_as_far_as_one_append_may_carry() {
    // (limit, entries in each append after 8 proposals)
    let entries: [(usize, &[usize]); 3] = [(1, &[1; 8]), (2, &[2; 4]), (4, &[4, 4])];
    for (limit, lengths) in entries {
        let mut node = leader(2, |config| config.limits.append_entries = limit);
        (0..8).for_each(|i| node.raft.step(Input::Propose(vec![i]), &mut node.effects).unwrap());
        let sent: Vec<usize> = sent_to(&node.effects, 2).iter().map(Vec::len).collect();
        assert_eq!(sent, lengths, "{limit} entries");
    }
    let mut node = leader(2, |config| config.limits.append_bytes = 1);
    (0..8).for_each(|i| node.raft.step(Input::Propose(vec![i]), &mut node.effects).unwrap());
    assert_eq!(sent_to(&node.effects, 2).len(), 8, "one byte");
}

#[test]
fn e09_appends_never_merge_across_a_gap_an_overlap_or_another_message() {
    let receive =
        |body| Input::Receive { from: NodeId(2), message: raft_core::Message { term: Term(1), body } };
    // (what happens between the proposals of entries 2 and 3, what is sent then)
    type Sent = &'static [&'static [u64]];
    let table: [(Vec<Input<u64>>, Sent); 3] = [
        (vec![], &[&[2, 3]]),
        (vec![Input::Timer(Timer::Heartbeat)], &[&[2], &[], &[3]]),
        // Taken for lost: entry 2 is sent again, and what follows joins the newer copy only.
        (vec![Input::Unreachable(NodeId(2)), receive(accepted(1, 0))], &[&[2], &[2, 3]]),
    ];
    for (between, expected) in table {
        let mut node = leader(2, |_| {});
        node.raft.step(Input::Propose(vec![2]), &mut node.effects).unwrap();
        for input in between.clone() {
            node.raft.step(input, &mut node.effects).unwrap();
        }
        node.raft.step(Input::Propose(vec![3]), &mut node.effects).unwrap();
        let appends = node.effects.send.iter().filter_map(|out| match &out.message.body {
            Body::Append(append) => Some(append),
            _ => None,
        });
        for Append { prev, entries, .. } in appends {
            assert!(entries.first().is_none_or(|first| first.index == prev.index.next()), "{between:?}");
        }
        assert_eq!(sent_to(&node.effects, 2), expected, "{between:?}");
    }
}

#[test]
fn e10_commits_are_announced_at_once_or_with_the_next_heartbeat() {
    for announces in [false, true] {
        let mut node = leader(3, |config| config.announce_commits = announces);
        node.hear(3, 1, accepted(1, 0));
        node.input(Input::Propose(vec![1]));
        let said = node.hear(2, 1, accepted(2, 0));
        assert_eq!(node.raft.commit(), Index(2));
        let told = said.iter().filter(|(_, body)| matches!(body, Body::Append(a) if a.commit == Index(2)));
        assert_eq!(told.count(), if announces { 2 } else { 0 });
    }
    let mut cluster = Cluster::new(3, |config| config.announce_commits = false);
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.propose(NodeId(1)).unwrap();
    cluster.settle();
    assert_eq!(cluster.raft(1).commit(), Index(2));
    assert!(cluster.raft(2).commit() < Index(2) && cluster.raft(3).commit() < Index(2));
    cluster.heartbeat(NodeId(1));
    assert_eq!((cluster.raft(2).commit(), cluster.raft(3).commit()), (Index(2), Index(2)), "it stays live");
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn e12_apply_batches_are_bounded_by_bytes_and_across_batches() {
    // (bytes allowed, entries handed out at first, after the first one is applied)
    for (bytes, first, then) in [(1, 1, 1), (24, 1, 1), (48, 2, 1), (71, 2, 1), (72, 3, 1), (1000, 4, 0)] {
        let mut node = Node::with(3, &[1; 4], HardState::new(Term(1), None), |config| {
            config.limits.unapplied_bytes = bytes;
        });
        node.hear(2, 1, append(at(4, 1), &[], 4));
        let handed: Vec<Index> = node.effects.apply.drain(..).map(|apply| Apply::index(&apply)).collect();
        assert_eq!(handed, (1..=first).map(Index).collect::<Vec<_>>(), "{bytes} bytes");
        node.hear(2, 1, append(at(4, 1), &[], 4));
        assert_eq!(node.effects.apply, [], "{bytes} bytes: nothing more before something is applied");
        node.input(Input::Applied(Index(1)));
        assert_eq!(node.effects.apply.len(), then, "{bytes} bytes");
    }
}

#[test]
fn e14_what_is_known_of_a_removed_peer_is_forgotten() {
    let mut node = leader(3, |_| {});
    node.hear(3, 1, accepted(1, 0));
    node.input(Input::Propose(vec![1, 2, 3]));
    let changes = vec![Change::Remove(NodeId(3))];
    node.input(Input::ChangeMembership { changes, transition: Transition::Auto });
    let departing = |node: &Node| {
        let state = serde_json::to_value(&node.raft).unwrap();
        (state["role"]["Leader"]["departing"].as_array().unwrap().len(), node.raft.peers().count())
    };
    assert_eq!(departing(&node), (1, 1), "until the change is committed it may have to be told");
    node.hear(2, 1, accepted(5, 0));
    assert_eq!(node.raft.commit(), Index(5));
    assert_eq!(departing(&node), (0, 1));
    assert_eq!(node.hear(3, 1, accepted(4, 0)), []);
    assert_eq!(node.effects.events.last(), Some(&Event::Stranger { from: NodeId(3) }));
    // Added again, it is as unknown as any new server.
    let changes = vec![Change::Learner(NodeId(3))];
    let said = node.input(Input::ChangeMembership { changes, transition: Transition::Auto });
    let fresh = peer(&node, 3).unwrap();
    assert_eq!((fresh.matched, fresh.sending), (Index(0), Sending::Probe));
    assert_eq!(said_to(&said, 3), [[6]]);
    assert_eq!(said_to(&node.hear(3, 1, rejected(5, at(0, 0))), 3), [[1, 2, 3, 4, 5, 6]]);
}
