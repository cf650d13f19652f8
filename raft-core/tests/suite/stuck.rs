//! F: transfers that must not get stuck, whatever is late, lost, repeated, or busy.

use proptest::prelude::*;
use raft_core::{Body, Event, Index, Input, NodeId, Round, Timer};

use crate::chunks::cluster_with_an_empty_follower;
use crate::cluster::Cluster;
use crate::node::{Node, append, at, rejected};
use crate::snapshots::compacted_leader;

/// Servers 1 and 3: the leader in the middle of sending a snapshot of eight bytes, of which the follower has the first six, two
/// by two; the last two are under way.
struct Transfer {
    leader: Node,
    follower: Node,
}

const BYTES: usize = 8;

impl Transfer {
    fn three_of_four_chunks() -> Transfer {
        let mut leader = compacted_leader();
        // The follower is server 1 of its own, and calls the leader 2.
        let mut follower = Node::new(3, &[], 2);
        follower.hear(2, 2, append(at(0, 0), &[], 0));
        leader.hear(3, 2, rejected(4, at(0, 0)));
        let mut transfer = Transfer { leader, follower };
        for _ in 0..3 {
            transfer.chunk();
        }
        assert_eq!(transfer.leader.effects.snapshots.len(), 1);
        transfer
    }

    /// The host reads what is wanted; it arrives, and so does the answer.
    fn chunk(&mut self) {
        let wanted = self.leader.effects.snapshots.remove(0);
        let from = usize::try_from(wanted.offset).unwrap().min(BYTES);
        let to = BYTES.min(from + 2);
        let (data, done) = (vec![0; to - from], to == BYTES);
        let input =
            Input::SnapshotChunk { to: wanted.to, last: wanted.last, offset: wanted.offset, data, done };
        for (_, body) in self.leader.input(input) {
            for (_, answer) in self.follower.hear(2, 2, body) {
                self.leader.hear(3, 2, answer);
            }
        }
    }

    /// Heartbeats, election timeouts, a host that reads and a network that works: sooner or later it is there.
    fn must_end(&mut self) {
        for _ in 0..20 {
            while !self.leader.effects.snapshots.is_empty() {
                self.chunk();
            }
            for (to, body) in self.leader.fire(Timer::Heartbeat) {
                if to == 3 {
                    for (_, answer) in self.follower.hear(2, 2, body) {
                        self.leader.hear(3, 2, answer);
                    }
                }
            }
            self.leader.hear(2, 2, crate::node::accepted(5, 0));
            self.leader.fire(Timer::Contact);
        }
        assert_eq!(
            self.follower.raft.base(),
            at(4, 2),
            "the snapshot is not there after 20 election timeouts"
        );
    }
}

#[test]
fn f13_a_transfer_ends_when_nothing_happens_to_it() {
    Transfer::three_of_four_chunks().must_end();
}

/// The follower has more than the leader's new attempt has sent: it says so, and the leader has to believe it.
#[test]
fn f11_a_snapshot_that_cannot_be_read_for_a_moment_in_the_middle_of_a_transfer_arrives() {
    let mut transfer = Transfer::three_of_four_chunks();
    transfer.leader.effects.snapshots.clear();
    transfer.leader.input(Input::SnapshotUnavailable { to: NodeId(3) });
    transfer.must_end();
}

#[test]
fn f13_an_answer_that_is_repeated_late_does_not_end_the_transfer() {
    let mut transfer = Transfer::three_of_four_chunks();
    let wanted = transfer.leader.effects.snapshots.remove(0);
    let (last, offset) = (wanted.last, wanted.offset);
    transfer.leader.input(Input::SnapshotChunk {
        to: NodeId(3),
        last,
        offset,
        data: vec![0; 1],
        done: false,
    });
    // The answer to the first chunk, once more; the chunk under way is lost.
    transfer.leader.hear(3, 2, Body::SnapshotResponse { last, next: 2, round: Round(0) });
    transfer.must_end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::with_source_file(file!()) })]

    #[test]
    fn f13_chunks_lost_repeated_and_reordered_make_the_same_snapshot(
        fates in proptest::collection::vec((0..4u8, any::<u8>()), 0..60),
        crash in proptest::option::of(0..60usize),
    ) {
        let mut cluster = cluster_with_an_empty_follower();
        cluster.fire(NodeId(1), Timer::Heartbeat);
        for (i, (fate, which)) in fates.iter().enumerate() {
            if crash == Some(i) {
                cluster.crash(NodeId(3), usize::from(*which % 3));
                cluster.restart(NodeId(3));
            }
            cluster.ids().into_iter().for_each(|id| cluster.flush(id));
            if cluster.network.is_empty() {
                cluster.fire(NodeId(1), if which % 4 == 0 { Timer::Contact } else { Timer::Heartbeat });
                continue;
            }
            let place = usize::from(*which) % cluster.network.len();
            match fate {
                0 => drop(cluster.network.remove(place)),
                1 => {
                    let packet = cluster.network[place].clone();
                    cluster.receive(packet);
                }
                _ => cluster.deliver(place),
            }
            prop_assert_eq!(&cluster.ghost.violation, &None);
        }
        cluster.network.clear();
        for _ in 0..6 {
            if cluster.leader().is_none() {
                cluster.elect(NodeId(1), 1000, |_| true);
            }
            cluster.heartbeat(NodeId(1));
            // Twice without a sign of life, and a transfer is taken for lost.
            cluster.fire(NodeId(1), Timer::Contact);
        }
        prop_assert_eq!(&cluster.ghost.violation, &None);
        prop_assert_eq!(cluster.server(NodeId(3)).state, cluster.server(NodeId(1)).state);
        prop_assert!(cluster.raft(3).base().index >= Index(6), "by a snapshot");
    }
}

/// While a follower whose state machine is damaged asks for a snapshot, the cluster goes on committing. Each time its host
/// asks, the leader's host takes a snapshot as soon as it can. In the end one must be good enough.
#[test]
fn f12_a_damaged_state_machine_is_replaced_while_the_cluster_is_at_work() {
    let leader = NodeId(1);
    let damaged = NodeId(3);
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(leader, 1000, |_| true);
    for _ in 0..50 {
        cluster.propose(leader).unwrap();
        cluster.heartbeat(leader);
        if cluster.ghost.restored > 0 {
            break;
        }
        cluster.events.clear();
        cluster.step(damaged, Input::RequestSnapshot).unwrap();
        cluster.settle();
        let wanted = |(_, event): &(NodeId, Event)| matches!(event, Event::SnapshotWanted { .. });
        if cluster.events.iter().any(wanted) {
            // Taking one needs some time, in which there is work.
            let meta = cluster.raft(1).snapshot_meta(cluster.raft(1).applied()).unwrap();
            let state = cluster.server(leader).state;
            cluster.propose(leader).unwrap();
            cluster.heartbeat(leader);
            cluster.server_mut(leader).disk.take_snapshot(meta.clone(), state, raft_core::Index(0));
            cluster.step(leader, Input::Compact { snapshot: meta, through: raft_core::Index(0) }).unwrap();
        }
    }
    assert_eq!(cluster.ghost.violation, None);
    assert_eq!(cluster.ghost.restored, 1, "asked for 50 times");
}
