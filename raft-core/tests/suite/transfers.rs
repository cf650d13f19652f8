//! J: leadership is handed over (diss. 3.10).

use raft_core::{
    Append, Body, Change, Config, Event, HardState, Input, Membership, NodeId, Refused, RoleKind, Term,
    Timer, Transition,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, Said, accepted, append, at, rejected, vote_request};

use RoleKind::{Candidate, Follower, Leader};

fn transfer(to: u64) -> Input<u64> {
    Input::TransferLeadership(Some(NodeId(to)))
}

fn told(said: &Said) -> Vec<u64> {
    said.iter().filter(|(_, body)| *body == Body::TimeoutNow).map(|(to, _)| *to).collect()
}

fn propose(node: &mut Node) -> Result<(), Refused> {
    node.raft.step(Input::Propose(vec![1]), &mut node.effects)
}

fn transferring(to: u64) -> Result<(), Refused> {
    Err(Refused::Transferring { to: NodeId(to) })
}

fn led(n: usize) -> Cluster {
    let mut cluster = Cluster::new(n, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    cluster
}

#[test]
fn j01_a_caught_up_target_is_told_at_once() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    assert_eq!(node.input(transfer(2)), [(2, Body::TimeoutNow)]);
    assert_eq!(node.raft.transferring_to(), Some(NodeId(2)));
    let mut cluster = led(3);
    cluster.step(NodeId(1), transfer(3)).unwrap();
    cluster.settle();
    assert_eq!((cluster.leader(), cluster.raft(3).term()), (Some(NodeId(3)), Term(2)));
    assert_eq!(cluster.raft(1).role(), Follower);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn j02_a_lagging_target_catches_up_first_and_nothing_is_proposed_meanwhile() {
    let mut node = Node::leader(3, &[1, 1], 2);
    node.hear(2, 2, accepted(3, 0));
    assert_eq!(told(&node.input(transfer(3))), [0; 0]);
    assert_eq!(propose(&mut node), transferring(3));
    let change =
        Input::ChangeMembership { changes: vec![Change::Learner(NodeId(4))], transition: Transition::Auto };
    assert_eq!(node.raft.step(change, &mut node.effects), transferring(3));
    let said = node.hear(3, 2, rejected(2, at(0, 0)));
    assert!(
        matches!(&said[..], [(3, Body::Append(Append { entries, .. }))] if entries.len() == 3),
        "{said:?}"
    );
    assert_eq!(told(&node.hear(3, 2, accepted(2, 0))), [0; 0], "almost");
    assert_eq!(told(&node.hear(3, 2, accepted(3, 0))), [3]);
    assert_eq!(propose(&mut node), transferring(3));
    // A cluster whose target was away.
    let mut cluster = led(3);
    cluster.propose(NodeId(1)).unwrap();
    cluster.exchange(1000, |id| id != NodeId(3));
    cluster.lose(|_| true);
    cluster.step(NodeId(1), transfer(3)).unwrap();
    for _ in 0..3 {
        cluster.heartbeat(NodeId(1));
    }
    assert_eq!(cluster.leader(), Some(NodeId(3)));
    assert!(cluster.log(3).len() > 2, "with the whole log");
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn j02_a_lost_word_is_repeated_with_the_heartbeats_and_given_up_in_time() {
    let mut node = Node::leader(3, &[], 1);
    for peer in [2, 3] {
        node.hear(peer, 1, accepted(1, 0));
    }
    node.input(transfer(2));
    for _ in 0..3 {
        assert_eq!(told(&node.fire(Timer::Heartbeat)), [2]);
    }
    node.fire(Timer::Contact);
    assert_eq!(propose(&mut node), transferring(2), "one to two timeouts are given to it");
    node.hear(3, 1, accepted(1, 0));
    node.fire(Timer::Contact);
    assert!(node.effects.events.contains(&Event::TransferFailed { to: NodeId(2) }));
    assert_eq!((node.state().0, node.raft.transferring_to()), (Leader, None));
    assert_eq!(told(&node.fire(Timer::Heartbeat)), [0; 0]);
    assert_eq!(propose(&mut node), Ok(()), "and everything goes on");
}

#[test]
fn j01_a_transfer_table_of_whom_and_when() {
    // Voters 1, 2, 3, learner 4. (to, result)
    let cannot = |to| Err(Refused::CannotTransferTo { to: NodeId(to) });
    for (to, result) in [(2, Ok(())), (3, Ok(())), (1, cannot(1)), (4, cannot(4)), (9, cannot(9))] {
        let mut node = leader_with_learner();
        assert_eq!(node.raft.step(transfer(to), &mut node.effects), result, "to {to}");
        assert_eq!(node.raft.transferring_to().is_some(), result.is_ok());
    }
    // While one is under way: the same again is no news, another is refused.
    let mut node = leader_with_learner();
    node.input(transfer(2));
    assert_eq!(node.raft.step(transfer(2), &mut node.effects), Ok(()));
    assert_eq!(node.raft.step(Input::TransferLeadership(None), &mut node.effects), Ok(()));
    assert_eq!(node.raft.step(transfer(3), &mut node.effects), transferring(2));
    // Nobody there.
    let mut node = Node::leader(1, &[], 1);
    let refused = node.raft.step(Input::TransferLeadership(None), &mut node.effects);
    assert_eq!(refused, Err(Refused::NobodyToTransferTo));
    // Not the leader, and none known.
    let mut node = Node::new(3, &[], 1);
    let refused = node.raft.step(transfer(2), &mut node.effects);
    assert_eq!(refused, Err(Refused::NotLeader { leader: None }));
}

fn leader_with_learner() -> Node {
    let learner = |config: &mut Config| {
        config.founders = Some(Membership::new([1, 2, 3].map(NodeId)).with_learners([NodeId(4)]));
    };
    let mut node = Node::with(3, &[], HardState::new(Term(0), None), learner);
    node.input(Input::Campaign);
    node.hear(2, 0, Body::PreVoteResponse { next_term: Term(1), granted: true });
    node.hear(2, 1, GRANTED);
    assert_eq!(node.state().0, Leader);
    node
}

#[test]
fn j03_a_followers_wish_is_passed_on_to_its_leader() {
    let mut node = Node::new(3, &[1], 1);
    node.hear(2, 1, append(at(1, 1), &[], 0));
    for to in [None, Some(NodeId(1)), Some(NodeId(3))] {
        let said = node.input(Input::TransferLeadership(to));
        assert_eq!(said, [(2, Body::TransferRequest { to })]);
    }
    for (by, to) in [(2, Some(2)), (2, Some(3)), (3, None)] {
        let mut cluster = led(3);
        let wish = Input::TransferLeadership(to.map(NodeId));
        cluster.step(NodeId(by), wish).unwrap();
        cluster.settle();
        assert_eq!(cluster.leader(), Some(NodeId(to.unwrap_or(2))), "{by} wishes {to:?}");
        assert_eq!(cluster.ghost.violation, None);
    }
    // One that cannot be is ignored, and so is one that comes to a server that does not lead.
    let mut leader = Node::leader(3, &[], 1);
    assert_eq!(leader.hear(2, 1, Body::TransferRequest { to: Some(NodeId(7)) }), []);
    assert_eq!(node.hear(3, 1, Body::TransferRequest { to: Some(NodeId(3)) }), []);
}

#[test]
fn j05_a_word_to_campaign_from_anybody_but_the_leader_is_ignored() {
    let mut node = Node::new(3, &[1], 1);
    let before = node.raft.clone();
    assert_eq!(node.hear(2, 1, Body::TimeoutNow), [], "no leader is known");
    assert_eq!(node.raft, before);
    node.hear(2, 1, append(at(1, 1), &[], 0));
    for (from, term) in [(3, 1), (9, 1), (2, 0)] {
        node.hear(from, term, Body::TimeoutNow);
        assert_eq!(node.state(), (Follower, 1, None), "from {from} in term {term}");
    }
    // Nor is it to one that leads, or campaigns already (b16: or has no vote).
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(2, 1, Body::TimeoutNow);
    assert_eq!(leader.state(), (Leader, 1, Some(1)));
    node.input(Input::Campaign);
    assert_eq!(node.state().0, Candidate);
    assert_eq!(node.hear(2, 1, Body::TimeoutNow), []);
    assert_eq!(node.state(), (Candidate, 1, None));
}

#[test]
fn j06_a_transferred_candidate_skips_pre_vote_and_stickiness() {
    let mut node = Node::new(3, &[1], 1);
    node.hear(2, 1, append(at(1, 1), &[], 0));
    let request = Body::VoteRequest { last: at(1, 1), priority: 0, by_transfer: true };
    assert_eq!(node.hear(2, 1, Body::TimeoutNow), [(2, request.clone()), (3, request.clone())]);
    assert_eq!(node.state(), (Candidate, 2, Some(1)));
    // A voter that hears its leader: no vote for others, but for whom the leader sends.
    let mut voter = Node::new(3, &[1], 1);
    voter.hear(2, 1, append(at(1, 1), &[], 0));
    assert_eq!(voter.hear(3, 2, vote_request(at(1, 1))), []);
    assert_eq!(voter.state(), (Follower, 1, None));
    assert_eq!(voter.hear(3, 2, request), [(3, GRANTED)]);
    // Still only to a good log, and once in a term.
    let stale = Body::VoteRequest { last: at(0, 0), priority: 0, by_transfer: true };
    let mut voter = Node::new(3, &[1], 1);
    assert_eq!(voter.hear(3, 2, stale), [(3, crate::node::REFUSED)]);
    // The word waits for the disk like every campaign.
    let mut node = Node::new(3, &[1], 1);
    node.hear(2, 1, append(at(1, 1), &[], 0));
    node.slow = true;
    assert_eq!(node.hear(2, 1, Body::TimeoutNow), []);
    assert_eq!(node.flush().len(), 2);
}

#[test]
fn j08_without_a_name_the_most_caught_up_voter_is_chosen() {
    // What 2, 3 and 4 have acknowledged of five entries, and who is chosen.
    let table =
        [([5, 3, 3], 2), ([3, 5, 3], 3), ([3, 3, 5], 4), ([3, 5, 5], 3), ([3, 3, 3], 2), ([0, 1, 2], 4)];
    for (matched, chosen) in table {
        let mut node = Node::leader(4, &[1, 1, 1, 1], 2);
        for (peer, matched) in (2..).zip(matched) {
            node.hear(peer, 2, accepted(matched, 0));
        }
        node.input(Input::TransferLeadership(None));
        assert_eq!(node.raft.transferring_to(), Some(NodeId(chosen)), "{matched:?}");
    }
    // Never a learner, however much it has.
    let mut node = leader_with_learner();
    node.hear(4, 1, accepted(1, 0));
    node.input(Input::TransferLeadership(None));
    assert_ne!(node.raft.transferring_to(), Some(NodeId(4)));
}

#[test]
fn j08_one_that_is_not_heard_of_is_not_chosen() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    node.hear(3, 1, accepted(0, 0));
    node.fire(Timer::Contact);
    node.hear(3, 1, accepted(0, 0));
    node.input(Input::TransferLeadership(None));
    assert_eq!(node.raft.transferring_to(), Some(NodeId(3)), "2 has more, but may be down");
}

#[test]
fn j02_a_transfer_loses_no_entry_and_no_read_whatever_is_lost() {
    for lost in 0..12 {
        let mut cluster = led(3);
        cluster.propose(NodeId(1)).unwrap();
        cluster.step(NodeId(1), transfer(2)).unwrap();
        cluster.read(NodeId(1)).unwrap();
        cluster.exchange(lost, |_| true);
        cluster.network.pop_front();
        cluster.settle();
        for _ in 0..3 {
            if let Some(leader) = cluster.leader() {
                cluster.heartbeat(leader);
            }
        }
        let leader = cluster.leader().unwrap();
        assert!(cluster.raft(leader.0).commit().0 >= 2, "message {lost} lost");
        assert!(cluster.ids().iter().all(|&id| cluster.server(id).reads.is_empty()), "message {lost} lost");
        assert_eq!(cluster.ghost.violation, None, "message {lost} lost");
    }
}
