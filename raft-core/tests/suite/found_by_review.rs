//! What an independent review has found: each of these was red once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use raft_core::*;

use crate::cluster::Cluster;
use crate::node::*;
use crate::snapshots::{members, whole};

struct Net {
    nodes: Vec<Clocked<u64>>,
    wire: VecDeque<(u64, u64, Message<u64>)>,
    reads: Vec<(u64, ReadOutcome)>,
}

impl Net {
    fn new(n: u64, configure: impl Fn(&mut Config)) -> Net {
        let timing = Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };
        let nodes = (1..=n).map(|id| {
            let mut config = Config::new(NodeId(id), (1..=n).map(NodeId));
            configure(&mut config);
            Clocked::start(config, Recovered::nothing(), timing, id, Moment(0), &mut Effects::default())
                .unwrap()
        });
        Net { nodes: nodes.collect(), wire: VecDeque::new(), reads: Vec::new() }
    }

    fn step(&mut self, id: u64, ms: u64, input: Option<Input<u64>>) -> Result<(), Refused> {
        let now = Moment(ms * 1_000_000);
        let node = &mut self.nodes[id as usize - 1];
        let mut effects = Effects::default();
        let result = node.step(now, input, &mut effects);
        while !effects.writes.is_empty() || !effects.apply.is_empty() {
            for write in std::mem::take(&mut effects.writes) {
                node.step(now, Some(Input::Durable(write.split().1)), &mut effects).unwrap();
            }
            for apply in std::mem::take(&mut effects.apply) {
                node.step(now, Some(Input::Applied(apply.index())), &mut effects).unwrap();
            }
        }
        self.reads.extend(effects.reads.into_iter().map(|r| (id, r)));
        self.wire.extend(effects.send.into_iter().map(|o| (id, o.to.0, o.message)));
        result
    }

    /// Delivers what `go` picks until there is no more of it; the rest stays under way.
    fn pump(&mut self, ms: u64, go: impl Fn(u64, u64, &Message<u64>) -> bool) {
        while let Some(i) = self.wire.iter().position(|(f, t, m)| go(*f, *t, m)) {
            let (from, to, message) = self.wire.remove(i).unwrap();
            self.step(to, ms, Some(Input::Receive { from: NodeId(from), message })).unwrap();
        }
    }

    fn raft(&self, id: u64) -> &Raft<u64> {
        self.nodes[id as usize - 1].raft()
    }
}

/// With default settings (pre-vote, check-quorum) and leases, a refusal of a follower's own, earlier pre-vote made it adopt a
/// later term, with which it forgot that it had just echoed its leader's round; it voted, and the leader's lease was worth
/// nothing.
#[test]
fn a_later_term_heard_of_from_others_does_not_free_a_follower_from_its_leaders_lease() {
    let mut net = Net::new(3, |config| config.lease = Some(Lease { drift_ppm: 0 }));
    for id in 1..=3 {
        net.step(id, 100, None).unwrap(); // the first, careful timeout is over
    }
    net.step(1, 100, Some(Input::Campaign)).unwrap();
    net.pump(101, |_, _, _| true);
    net.step(1, 121, None).unwrap();
    net.pump(122, |_, _, _| true);
    assert_eq!(net.raft(1).role(), RoleKind::Leader);
    assert_eq!(net.raft(3).commit(), Index(1));
    // Server 1 is cut off; the others do not hear from it for a timeout.
    for ms in [142, 163, 184, 205] {
        net.step(1, ms, None).unwrap();
    }
    net.wire.clear();
    net.step(2, 222, None).unwrap();
    net.step(3, 222, None).unwrap();
    // Server 3 campaigns: pre-vote of 2 granted; its request for votes in term 2 is slow.
    let _ = net.step(3, 222, Some(Input::Campaign));
    net.pump(223, |f, t, m| {
        (f == 3 && t == 2 && matches!(m.body, Body::PreVoteRequest { .. }))
            || (f == 2 && t == 3 && matches!(m.body, Body::PreVoteResponse { .. }))
    });
    assert_eq!((net.raft(3).term(), net.raft(3).role()), (Term(2), RoleKind::Candidate));
    // Server 2 campaigns too: 3's refusal, of term 2, is slow.
    let _ = net.step(2, 223, Some(Input::Campaign));
    net.pump(224, |f, t, m| f == 2 && t == 3 && matches!(m.body, Body::PreVoteRequest { .. }));
    assert_eq!(net.raft(2).term(), Term(1));
    // The link between 1 and 2 is back: 1 renews its lease.
    let between = |f: u64, t: u64| f != 3 && t != 3;
    for ms in [240, 262] {
        net.step(1, ms, None).unwrap();
        net.pump(ms + 1, |f, t, _| between(f, t));
    }
    assert_eq!(net.raft(2).leader(), Some(NodeId(1)));
    assert!(net.nodes[0].holds_lease(Moment(262_000_000)), "renewed at 260 for 100 ms");
    // The refusal arrives, then the request for votes.
    net.pump(263, |f, t, m| f == 3 && t == 2 && matches!(m.body, Body::PreVoteResponse { .. }));
    net.pump(264, |f, t, _| (f == 3 && t == 2) || (f == 2 && t == 3));
    if net.raft(3).role() == RoleKind::Leader {
        net.step(3, 265, Some(Input::Propose(vec![77]))).unwrap();
        net.pump(266, |f, t, _| (f == 3 && t == 2) || (f == 2 && t == 3));
    }
    let committed = net.raft(3).commit().max(net.raft(2).commit());
    net.reads.clear();
    net.step(1, 270, Some(Input::Read(ReadId(1)))).unwrap();
    if let Some((1, ReadOutcome::Ready { index, .. })) = net.reads.first() {
        assert!(*index >= committed, "stale read at {index:?}; {committed:?} was committed before");
    }
}

fn everything_but_chunks(cluster: &mut Cluster) {
    loop {
        let ids = cluster.ids();
        for id in ids {
            while cluster.sync(id) || cluster.report(id, false) {}
        }
        if cluster.network.is_empty() {
            return;
        }
        cluster.deliver(0);
    }
}

/// Server 3 was away and needs a snapshot, whose first chunk it has got. The second is wanted.
fn half_a_transfer() -> Cluster {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.crash(NodeId(3), 0);
    for _ in 0..5 {
        cluster.propose(NodeId(1)).unwrap();
        cluster.settle();
    }
    cluster.compact(NodeId(1), 0).unwrap();
    cluster.restart(NodeId(3));
    cluster.fire(NodeId(1), Timer::Heartbeat);
    everything_but_chunks(&mut cluster);
    assert_eq!(cluster.server(NodeId(1)).wanted.len(), 1);
    assert!(cluster.serve_chunk(NodeId(1)));
    everything_but_chunks(&mut cluster);
    assert_eq!(cluster.server(NodeId(1)).wanted.front().unwrap().offset, 6);
    cluster
}

fn catches_up(cluster: &mut Cluster, rounds: usize) -> bool {
    for _ in 0..rounds {
        for _ in 0..5 {
            cluster.heartbeat(NodeId(1));
        }
        cluster.fire(NodeId(1), Timer::Contact);
    }
    cluster.raft(3).last() == cluster.raft(1).last()
}

/// F11: the leader began again at offset 0, the follower answered that it waited for a later one, and the leader took that for an
/// answer to nothing, for ever.
#[test]
fn a_snapshot_that_is_unavailable_in_the_middle_of_a_transfer_arrives_in_the_end() {
    let mut cluster = half_a_transfer();
    // A second chunk, so that the follower is ahead of the end of the first.
    assert!(cluster.serve_chunk(NodeId(1)));
    everything_but_chunks(&mut cluster);
    cluster.server_mut(NodeId(1)).wanted.clear();
    cluster.step(NodeId(1), Input::SnapshotUnavailable { to: NodeId(3) }).unwrap();
    assert!(catches_up(&mut cluster, 50), "stuck: {:?}", cluster.raft(1).peers().collect::<Vec<_>>());
}

#[test]
fn a_chunk_that_is_read_again_may_be_shorter() {
    let mut cluster = half_a_transfer();
    cluster.server_mut(NodeId(1)).wanted.clear();
    let (meta, state) = cluster.server(NodeId(1)).disk.snapshot.clone().unwrap();
    let bytes = state.to_bytes();
    let chunk = |end: usize| Input::SnapshotChunk {
        to: NodeId(3),
        last: meta.last,
        offset: 6,
        data: bytes[6..end].to_vec(),
        done: false,
    };
    cluster.step(NodeId(1), chunk(12)).unwrap();
    cluster.deliver(0); // arrives, its answer does not
    cluster.lose(|_| true);
    let mut served = 0;
    for _ in 0..50 {
        for _ in 0..5 {
            cluster.fire(NodeId(1), Timer::Heartbeat);
            everything_but_chunks(&mut cluster);
            if let Some(wanted) = cluster.server_mut(NodeId(1)).wanted.pop_front() {
                served += 1;
                let offset = wanted.offset as usize;
                let end = (offset + 3).min(bytes.len()); // this host now reads three bytes at a time
                let data = bytes[offset..end].to_vec();
                cluster
                    .step(
                        NodeId(1),
                        Input::SnapshotChunk {
                            to: NodeId(3),
                            last: meta.last,
                            offset: wanted.offset,
                            data,
                            done: end == bytes.len(),
                        },
                    )
                    .unwrap();
                everything_but_chunks(&mut cluster);
            }
        }
        cluster.fire(NodeId(1), Timer::Contact);
    }
    assert_eq!(cluster.raft(3).last(), cluster.raft(1).last(), "stuck after {served} chunks");
}

/// F12: a healthy follower asked for a snapshot, and the next answer to a heartbeat ended the transfer.
#[test]
fn a_requested_snapshot_arrives_though_heartbeats_go_on() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    for _ in 0..3 {
        cluster.propose(NodeId(1)).unwrap();
        cluster.settle();
    }
    cluster.heartbeat(NodeId(1));
    cluster.compact(NodeId(1), 0).unwrap();
    cluster.step(NodeId(3), Input::RequestSnapshot).unwrap();
    // One heartbeat interval per chunk.
    for _ in 0..100 {
        everything_but_chunks(&mut cluster);
        cluster.serve_chunk(NodeId(1));
        everything_but_chunks(&mut cluster);
        cluster.fire(NodeId(1), Timer::Heartbeat);
        everything_but_chunks(&mut cluster);
    }
    assert_eq!(cluster.ghost.restored, 1);
}

/// F14: the leader compacted again while a transfer was going on, and its host kept older snapshots readable. What the follower
/// got was shipped to it again and again.
#[test]
fn a_superseded_snapshot_is_not_shipped_for_ever() {
    let mut cluster = half_a_transfer();
    let (meta, state) = cluster.server(NodeId(1)).disk.snapshot.clone().unwrap();
    let bytes = state.to_bytes();
    for _ in 0..3 {
        cluster.propose(NodeId(1)).unwrap();
        everything_but_chunks(&mut cluster);
    }
    cluster.compact(NodeId(1), 0).unwrap();
    let mut read = Vec::new();
    for _ in 0..30 {
        for _ in 0..5 {
            cluster.fire(NodeId(1), Timer::Heartbeat);
            everything_but_chunks(&mut cluster);
            while let Some(wanted) = cluster.server(NodeId(1)).wanted.front().copied() {
                read.push((wanted.last.index.0, wanted.offset));
                if wanted.last == meta.last {
                    cluster.server_mut(NodeId(1)).wanted.pop_front();
                    let offset = wanted.offset as usize;
                    let end = (offset + 6).min(bytes.len());
                    let data = bytes[offset..end].to_vec();
                    cluster
                        .step(
                            NodeId(1),
                            Input::SnapshotChunk {
                                to: NodeId(3),
                                last: meta.last,
                                offset: wanted.offset,
                                data,
                                done: end == bytes.len(),
                            },
                        )
                        .unwrap();
                } else {
                    cluster.serve_chunk(NodeId(1));
                }
                everything_but_chunks(&mut cluster);
            }
        }
        cluster.fire(NodeId(1), Timer::Contact);
    }
    assert_eq!(cluster.raft(3).last(), cluster.raft(1).last(), "read: {read:?}");
}

#[test]
fn leadership_can_be_given_to_a_voter_with_a_lower_priority() {
    let mut cluster = Cluster::new(3, |config| config.priority = u8::from(config.id != NodeId(3)));
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.propose(NodeId(1)).unwrap();
    cluster.settle();
    cluster.step(NodeId(1), Input::TransferLeadership(Some(NodeId(3)))).unwrap();
    cluster.settle();
    assert_eq!(cluster.leader(), Some(NodeId(3)), "{:?}", cluster.terms());
}

#[test]
fn a_membership_that_is_replaced_at_the_same_index_is_told() {
    let mut node = Node::new(3, &[1], 1);
    let change = |term: u64, ids: std::ops::RangeInclusive<u64>| {
        let membership = std::sync::Arc::new(Membership::new(ids.map(NodeId)));
        let entry = Entry { index: Index(2), term: Term(term), payload: Payload::Membership(membership) };
        Body::Append(Append {
            prev: at(1, 1),
            entries: vec![entry].into(),
            commit: Index(1),
            round: Round(0),
        })
    };
    node.hear(2, 2, change(2, 1..=4));
    node.effects.events.clear();
    node.hear(3, 3, change(3, 1..=2));
    assert_eq!(node.raft.membership().voters().len(), 2);
    assert!(
        node.effects.events.iter().any(|e| matches!(e, Event::Membership(_))),
        "{:?}",
        node.effects.events
    );
}

/// Nobody is there to repair it, and the last resort must help.
#[test]
fn a_sole_voter_with_a_lost_tail_can_be_forced_to_go_on() {
    let recovered = Recovered {
        boot: 1,
        hard_state: HardState::new(Term(1), Some(NodeId(1))),
        entries: entries(1, &[1, 1]),
        lost_tail: Some(LostTail::UpTo(at(3, 1))),
        ..Recovered::nothing()
    };
    let config = Config::new(NodeId(1), [NodeId(1)]);
    let founders = config.founders.clone();
    let raft = Raft::<u64>::start(config, recovered.clone(), &mut Effects::default()).unwrap();
    assert_eq!(raft.hard_state().lost_tail, Some(at(3, 1)));
    let new = Membership::new([NodeId(1)]);
    let forced = ForcedChange::plan(NodeId(1), founders.as_ref(), &recovered, new).unwrap();
    assert!(forced.report().to_string().contains("its own entries up to 3 of term 1"), "{}", forced.report());
}

/// F12: told to take a new snapshot, the leader's host did, and nobody remembered for whom.
#[test]
fn a_snapshot_that_was_wanted_is_sent_once_it_is_there() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    for _ in 0..3 {
        cluster.propose(NodeId(1)).unwrap();
        cluster.settle();
    }
    cluster.heartbeat(NodeId(1));
    cluster.step(NodeId(3), Input::RequestSnapshot).unwrap();
    cluster.settle();
    assert!(cluster.events.iter().any(|(_, e)| matches!(e, Event::SnapshotWanted { .. })));
    cluster.compact(NodeId(1), 0).unwrap();
    for _ in 0..20 {
        cluster.heartbeat(NodeId(1));
    }
    assert_eq!(cluster.ghost.restored, 1);
}

/// F12 and F17: the members stood in the snapshot, but a server that joins, and held its entries already, went on by its own log,
/// which does not say who the founders are; after a restart it knew.
#[test]
fn f12_a_server_that_joins_learns_the_founders_from_a_snapshot_of_what_it_has() {
    let joining = |config: &mut Config| *config = Config::joining(NodeId(4));
    let mut node = Node::with(3, &[1, 1], HardState::new(Term(2), None), joining);
    node.hear(2, 2, append(at(2, 1), &[2], 2));
    assert!(node.raft.membership().voters().is_empty(), "no entry names them");
    node.input(Input::RequestSnapshot);
    node.hear(2, 2, whole(2, 1, members(&[1, 2, 3])));
    assert_eq!((node.raft.base(), node.raft.last()), (at(2, 1), at(3, 2)), "what follows is kept");
    assert_eq!(**node.raft.membership(), members(&[1, 2, 3]));
    // A change that stands after the snapshot, or in it, stays what it is.
    let payload = Payload::Membership(Arc::new(members(&[1, 2, 3, 5])));
    let entries = vec![Entry { index: Index(4), term: Term(2), payload }].into();
    node.hear(2, 2, Body::Append(Append { prev: at(3, 2), entries, commit: Index(4), round: Round(0) }));
    assert_eq!(node.raft.membership_index(), Index(4));
    node.input(Input::RequestSnapshot);
    node.hear(2, 2, whole(4, 2, members(&[1, 2, 3, 5])));
    assert_eq!(node.raft.base(), at(4, 2));
    assert_eq!(**node.raft.membership(), members(&[1, 2, 3, 5]));
}
