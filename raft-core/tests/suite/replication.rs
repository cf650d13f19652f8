//! D, E and M: log replication, flow control, proposals.

use raft_core::{
    Append, Body, Event, Index, Input, NodeId, Placed, Proposed, Refused, RoleKind, Suspicion, Term, Timer,
};

use crate::cluster::Cluster;
use crate::node::{Node, accepted, append, at, rejected};

fn elected(n: usize) -> Cluster {
    let mut cluster = Cluster::new(n, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    cluster
}

/// What the appends among `said` carry: addressee, index before, number of entries.
fn appends(said: &[(u64, Body<u64>)]) -> Vec<(u64, u64, usize)> {
    let append = |(to, body): &(u64, Body<u64>)| match body {
        Body::Append(Append { prev, entries, .. }) => Some((*to, prev.index.0, entries.len())),
        _ => None,
    };
    said.iter().filter_map(append).collect()
}

#[test]
fn d01_append_commit_apply() {
    let mut cluster = elected(3);
    let command = cluster.propose(NodeId(1)).unwrap();
    cluster.settle();
    cluster.heartbeat(NodeId(1));
    for server in &cluster.servers {
        let last = server.applied.last().unwrap();
        assert_eq!(last.payload, raft_core::Payload::Command(command));
        assert_eq!(server.applied.len(), 2);
    }
}

#[test]
fn d02_ack_quorum_table() {
    for n in 1..=5u64 {
        for acks in 0..n {
            let mut node = Node::leader(n, &[], 1);
            for peer in (2..=n).take(usize::try_from(acks).unwrap()) {
                node.hear(peer, 1, accepted(1, 0));
            }
            let committed = node.raft.commit() == Index(1);
            assert_eq!(committed, acks + 1 > n / 2, "{n} servers, {acks} acknowledgements");
        }
    }
}

#[test]
fn d03_entries_of_earlier_terms_are_committed_only_by_one_of_this_term() {
    let mut node = Node::leader(3, &[1, 2], 3);
    node.hear(2, 3, rejected(2, at(0, 0)));
    node.hear(2, 3, accepted(2, 0));
    assert_eq!(node.raft.commit(), Index(0), "both old entries are on a majority: not enough (Figure 8)");
    node.hear(2, 3, accepted(3, 0));
    assert_eq!(node.raft.commit(), Index(3), "and all at once");
    assert_eq!(node.effects.apply.len(), 3);
}

#[test]
fn d05_a_new_leader_opens_its_term_with_a_noop() {
    let node = Node::leader(3, &[1], 2);
    let last = node.raft.entries().last().unwrap();
    assert_eq!((last.term, &last.payload), (Term(2), &raft_core::Payload::Noop));
}

#[test]
fn d06_inconsistent_append_is_rejected_with_a_hint() {
    // (own log, prev, hint)
    let table: [(&[u64], _, _); 5] = [
        (&[], at(3, 3), at(0, 0)),
        (&[1, 1], at(5, 3), at(2, 1)),
        (&[1, 2, 2, 2], at(4, 3), at(4, 2)),
        (&[1, 2, 2, 2], at(4, 1), at(1, 1)),
        (&[2, 2], at(2, 1), at(0, 0)),
    ];
    for (log, prev, hint) in table {
        let mut node = Node::new(3, log, 5);
        let said = node.hear(2, 5, append(prev, &[5], 0));
        assert_eq!(said, [(2, rejected(prev.index.0, hint))], "log {log:?}, prev {prev:?}");
    }
}

#[test]
fn d07_follower_append_table() {
    // Own log 1 1 2. (prev, entries, log after, matched)
    let table: [(_, &[u64], &[u64], _); 7] = [
        (at(3, 2), &[3], &[1, 1, 2, 3], 4),
        (at(3, 2), &[], &[1, 1, 2], 3),
        (at(2, 1), &[3], &[1, 1, 3], 3),
        (at(0, 0), &[1, 1, 2], &[1, 1, 2], 3),
        (at(0, 0), &[1], &[1, 1, 2], 1),
        (at(1, 1), &[1], &[1, 1, 2], 2),
        (at(0, 0), &[3, 3], &[3, 3], 2),
    ];
    for (prev, new, log, matched) in table {
        let mut node = Node::new(3, &[1, 1, 2], 3);
        let said = node.hear(2, 3, append(prev, new, 0));
        assert_eq!(node.terms(), log, "{prev:?} {new:?}");
        assert_eq!(said.last(), Some(&(2, accepted(matched, 0))), "{prev:?} {new:?}");
    }
}

#[test]
fn d08_divergent_followers_of_figure_7_converge_in_few_probes() {
    let leader: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for log in followers {
        let mut leader = Node::leader(2, leader, 8);
        let mut follower = Node::new(2, log, 7);
        let mut to_follower: Vec<_> = appends_to(&leader);
        let mut probes = 0;
        while let Some(body) = to_follower.pop() {
            probes += 1;
            // The follower is server 1 in its own eyes too; each calls the other 2.
            for (_, answer) in follower.hear(2, 8, body) {
                to_follower.extend(leader.hear(2, 8, answer).into_iter().map(|(_, body)| body));
            }
        }
        assert_eq!(follower.terms(), leader.terms(), "{log:?}");
        assert!(probes <= 5, "{log:?} took {probes} appends");
    }
}

fn appends_to(leader: &Node) -> Vec<Body<u64>> {
    let bodies = leader.effects.send.iter().map(|outbound| outbound.message.body.clone());
    bodies.filter(|body| matches!(body, Body::Append(_))).collect()
}

#[test]
fn d12_absurd_hints_move_nothing_out_of_bounds() {
    let mut node = Node::leader(3, &[1, 1], 2);
    node.hear(2, 2, accepted(3, 0));
    for body in [rejected(0, at(0, 0)), rejected(1 << 40, at(1 << 40, 2)), rejected(3, at(1 << 61, 1 << 61))]
    {
        for (to, prev, _) in appends(&node.hear(2, 2, body)) {
            assert!(to == 2 && prev == 3, "nothing that was acknowledged is sent again");
        }
    }
    node.hear(3, 2, accepted(1 << 40, 0));
    let reason = Suspicion::AcknowledgedBeyondLog;
    assert_eq!(node.effects.events.last(), Some(&Event::Suspect { from: NodeId(3), reason }));
}

#[test]
fn d13_commit_follows_the_leader_only_as_far_as_the_log_was_compared() {
    let mut node = Node::new(3, &[1, 1, 1], 2);
    node.hear(2, 2, append(at(1, 1), &[], 3));
    assert_eq!(node.raft.commit(), Index(1));
    node.hear(2, 2, append(at(2, 1), &[2], 3));
    assert_eq!(node.raft.commit(), Index(3));
}

#[test]
fn d16_d17_lost_appends_and_lost_commits_are_repaired_by_heartbeats() {
    let mut cluster = elected(3);
    cluster.propose(NodeId(1)).unwrap();
    cluster.propose(NodeId(1)).unwrap();
    cluster.lose(|packet| packet.is_append() && packet.to == NodeId(3));
    cluster.settle();
    assert_eq!(cluster.raft(3).last().index, Index(1));
    cluster.heartbeat(NodeId(1));
    cluster.heartbeat(NodeId(1));
    assert_eq!(cluster.raft(3).commit(), Index(3));
}

#[test]
fn d18_lost_acknowledgements_are_repeated() {
    let mut cluster = elected(3);
    cluster.propose(NodeId(1)).unwrap();
    cluster.lose(|packet| packet.to == NodeId(3));
    cluster.exchange(1, |_| true);
    cluster.flush(NodeId(2));
    assert_eq!(cluster.raft(2).durable(), Index(2));
    cluster.lose(|packet| packet.to == NodeId(1));
    assert_eq!(cluster.raft(1).commit(), Index(1));
    cluster.heartbeat(NodeId(1));
    assert_eq!(cluster.raft(1).commit(), Index(2));
}

#[test]
fn d19_an_empty_append_checks_the_log_too() {
    let mut node = Node::new(3, &[1, 1], 2);
    assert_eq!(node.hear(2, 2, append(at(2, 2), &[], 2)), [(2, rejected(2, at(2, 1)))]);
    assert_eq!(node.raft.commit(), Index(0));
}

#[test]
fn d21_appends_of_a_deposed_leader_change_nothing() {
    let mut node = Node::new(3, &[1], 1);
    node.hear(2, 3, append(at(1, 1), &[3], 0));
    node.hear(3, 2, append(at(1, 1), &[2], 2));
    assert_eq!(node.terms(), [1, 3]);
    assert_eq!(node.raft.commit(), Index(0));
}

#[test]
fn e01_e02_probing_sends_one_append_at_a_time_and_an_ack_starts_pipelining() {
    let mut node = Node::leader(2, &[], 1);
    assert_eq!(appends(&node.input(Input::Propose(vec![1]))), [], "the first append is still unanswered");
    assert_eq!(appends(&node.fire(Timer::Heartbeat)), [(2, 0, 0)], "a heartbeat repeats the question only");
    assert_eq!(appends(&node.hear(2, 1, accepted(0, 0))), [(2, 0, 2)]);
    assert_eq!(
        appends(&node.input(Input::Propose(vec![2]))),
        [(2, 2, 1)],
        "e03: the next index moves on send"
    );
    assert_eq!(appends(&node.input(Input::Propose(vec![3]))), [(2, 3, 1)]);
}

#[test]
fn e04_unreachable_peer_is_probed_and_comes_back_even_without_news() {
    let mut node = Node::leader(2, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    node.input(Input::Unreachable(NodeId(2)));
    assert_eq!(appends(&node.input(Input::Propose(vec![1]))), []);
    assert_eq!(appends(&node.fire(Timer::Heartbeat)), [(2, 1, 0)]);
    assert_eq!(appends(&node.hear(2, 1, accepted(1, 0))), [(2, 1, 1)]);
    node.hear(2, 1, accepted(2, 0));
    assert_eq!(appends(&node.input(Input::Propose(vec![2]))), [(2, 2, 1)]);
}

#[test]
fn e06_the_window_of_appends_under_way_is_bounded() {
    let hard_state = raft_core::HardState::new(Term(0), None);
    let mut node = Node::with(2, &[], hard_state, |config| config.limits.inflight_appends = 2);
    node.input(Input::Campaign);
    node.hear(2, 0, Body::PreVoteResponse { next_term: Term(1), granted: true });
    node.hear(2, 1, crate::node::GRANTED);
    node.hear(2, 1, accepted(1, 0));
    let sent: Vec<_> = (0..4).map(|i| appends(&node.input(Input::Propose(vec![i]))).len()).collect();
    assert_eq!(sent, [1, 1, 0, 0]);
    assert_eq!(
        appends(&node.hear(2, 1, accepted(3, 0))),
        [(2, 3, 2)],
        "acknowledged: what waited goes in one"
    );
}

#[test]
fn e08_appends_are_split_and_one_oversized_entry_goes_alone() {
    let configure = |config: &mut raft_core::Config| config.limits.append_bytes = 1;
    let mut node = Node::with(2, &[1, 1, 1], raft_core::HardState::new(Term(1), None), configure);
    node.input(Input::Campaign);
    node.hear(2, 1, Body::PreVoteResponse { next_term: Term(2), granted: true });
    node.hear(2, 2, crate::node::GRANTED);
    assert_eq!(appends(&node.hear(2, 2, rejected(3, at(0, 0)))), [(2, 0, 1)]);
    assert_eq!(appends(&node.hear(2, 2, accepted(1, 0))), [(2, 1, 1), (2, 2, 1), (2, 3, 1)]);
}

#[test]
fn e12_apply_batches_wait_for_the_state_machine() {
    let configure = |config: &mut raft_core::Config| config.limits.unapplied_entries = 2;
    let mut node = Node::with(3, &[1, 1, 1, 1], raft_core::HardState::new(Term(1), None), configure);
    node.hear(2, 1, append(at(4, 1), &[], 4));
    assert_eq!(node.effects.apply.len(), 2);
    node.input(Input::Applied(Index(1)));
    assert_eq!(node.effects.apply.len(), 3);
    node.input(Input::Applied(Index(3)));
    assert_eq!(node.effects.apply.len(), 4);
}

#[test]
fn e16_a_slow_follower_does_not_slow_the_quorum() {
    let mut cluster = elected(3);
    for _ in 0..50 {
        cluster.propose(NodeId(1)).unwrap();
        cluster.exchange(1000, |id| id != NodeId(3));
    }
    assert_eq!(cluster.raft(1).commit(), Index(51));
}

#[test]
fn m02_proposals_are_refused_with_the_reason() {
    let mut node = Node::new(3, &[], 1);
    let propose =
        |node: &mut Node, n: u64| node.raft.step(Input::Propose((0..n).collect()), &mut node.effects);
    assert_eq!(propose(&mut node, 1), Err(Refused::NotLeader { leader: None }));
    node.hear(2, 1, append(at(0, 0), &[], 0));
    assert_eq!(propose(&mut node, 1), Err(Refused::NotLeader { leader: Some(NodeId(2)) }));
    let mut leader = Node::leader(3, &[], 1);
    let limit = leader.raft.config().limits.uncommitted_entries as u64;
    assert_eq!(propose(&mut leader, limit), Err(Refused::QuotaFull), "the opening counts too");
    assert_eq!(propose(&mut leader, limit - 1), Ok(()));
    assert_eq!(propose(&mut leader, 1), Err(Refused::QuotaFull));
}

#[test]
fn m09_a_batch_is_appended_in_order_and_together() {
    let mut node = Node::leader(3, &[], 1);
    node.input(Input::Propose(vec![5, 3, 4]));
    let placed = Placed { term: Term(1), first: Index(2), last: Index(4) };
    assert_eq!(node.effects.proposed, Some(Proposed::Appended(placed)));
    let commands: Vec<_> = node.raft.entries().skip(1).map(|entry| entry.payload.clone()).collect();
    assert_eq!(commands, [5, 3, 4].map(raft_core::Payload::Command));
}

#[test]
fn m10_an_empty_proposal_is_refused() {
    let mut node = Node::leader(3, &[], 1);
    assert_eq!(node.raft.step(Input::Propose(Vec::new()), &mut node.effects), Err(Refused::Empty));
    assert_eq!(node.raft.role(), RoleKind::Leader);
}

#[test]
fn a_single_oversized_proposal_is_taken_when_nothing_else_is_pending() {
    let configure = |config: &mut raft_core::Config| config.limits.uncommitted_bytes = 4;
    let mut node = Node::with(1, &[], raft_core::HardState::default(), configure);
    node.input(Input::Campaign);
    for _ in 0..3 {
        assert_eq!(node.raft.step(Input::Propose(vec![7]), &mut node.effects), Ok(()));
        assert_eq!(node.raft.step(Input::Propose(vec![7]), &mut node.effects), Err(Refused::QuotaFull));
        node.flush();
    }
}

#[test]
fn d12_a_repeated_rejection_of_what_was_acknowledged_is_not_answered() {
    let mut node = Node::leader(2, &[1], 2);
    node.hear(2, 2, accepted(1, 0));
    node.input(Input::Unreachable(NodeId(2)));
    assert_eq!(node.hear(2, 2, rejected(1, at(0, 0))), []);
}
