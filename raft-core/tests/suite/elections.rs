//! B and C: elections, pre-vote, check-quorum, stickiness.

use raft_core::{Body, HardState, Input, NodeId, Refused, RoleKind, Term, Timer};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, REFUSED, accepted, append, at, vote_request};

use RoleKind::{Candidate, Follower, Leader};

fn pre_vote(next_term: u64, granted: bool) -> Body<u64> {
    Body::PreVoteResponse { next_term: Term(next_term), granted }
}

fn without_pre_vote(n: u64, log: &[u64], term: u64) -> Node {
    let hard_state = HardState::new(Term(term), None);
    Node::with(n, log, hard_state, |config| config.pre_vote = false)
}

#[test]
fn b01_timeout_starts_an_election() {
    let mut node = without_pre_vote(3, &[1], 1);
    let said = node.fire(Timer::Election);
    assert_eq!(node.state(), (Candidate, 2, Some(1)));
    assert_eq!(said, [(2, vote_request(at(1, 1))), (3, vote_request(at(1, 1)))]);
    node.fire(Timer::Election);
    assert_eq!(node.state(), (Candidate, 3, Some(1)), "and another one when nothing comes of it");
}

#[test]
fn b02_election_outcome_table() {
    // (servers, grants besides its own, rejections, outcome)
    let table = [
        (1, 0, 0, Leader),
        (2, 0, 0, Candidate),
        (2, 1, 0, Leader),
        (2, 0, 1, Follower),
        (3, 1, 0, Leader),
        (3, 0, 1, Candidate),
        (3, 1, 1, Leader),
        (3, 0, 2, Follower),
        (4, 1, 0, Candidate),
        (4, 2, 0, Leader),
        (4, 1, 2, Follower),
        (4, 0, 2, Follower),
        (5, 2, 0, Leader),
        (5, 1, 2, Candidate),
        (5, 0, 3, Follower),
        (6, 2, 2, Candidate),
        (6, 3, 0, Leader),
        (6, 2, 3, Follower),
        (7, 3, 0, Leader),
        (7, 2, 3, Candidate),
        (7, 2, 4, Follower),
    ];
    for (n, grants, rejections, outcome) in table {
        let mut node = without_pre_vote(n, &[], 0);
        node.fire(Timer::Election);
        let mut peers = 2..;
        for _ in 0..grants {
            node.hear(peers.next().unwrap(), 1, GRANTED);
        }
        for _ in 0..rejections {
            node.hear(peers.next().unwrap(), 1, REFUSED);
        }
        assert_eq!(node.raft.role(), outcome, "{n} servers, {grants} grants, {rejections} rejections");
    }
}

#[test]
fn b03_one_vote_per_term_first_come() {
    let mut node = Node::new(3, &[], 1);
    assert_eq!(node.hear(2, 2, vote_request(at(0, 0))), [(2, GRANTED)]);
    assert_eq!(node.hear(3, 2, vote_request(at(5, 1))), [(3, REFUSED)]);
    assert_eq!(node.hear(2, 2, vote_request(at(0, 0))), [(2, GRANTED)], "a repetition is granted again");
}

#[test]
fn b04_vote_needs_an_up_to_date_log() {
    // Own log: terms 1, 2, 2. (candidate's last index, term, vote)
    let table = [(3, 2, true), (4, 2, true), (2, 2, false), (1, 3, true), (9, 1, false), (0, 0, false)];
    for (index, term, granted) in table {
        let mut node = Node::new(3, &[1, 2, 2], 3);
        let said = node.hear(2, 4, vote_request(at(index, term)));
        assert_eq!(said, [(2, Body::VoteResponse { granted })], "last entry i{index} t{term}");
    }
}

#[test]
fn b05_voted_state_survives_a_restart() {
    let mut cluster = Cluster::new(3, |config| config.pre_vote = false);
    cluster.fire(NodeId(1), Timer::Election);
    cluster.exchange(1, |id| id != NodeId(2));
    cluster.flush(NodeId(3));
    cluster.crash(NodeId(3), 0);
    cluster.restart(NodeId(3));
    assert_eq!(cluster.raft(3).hard_state().voted_for, Some(NodeId(1)));
}

#[test]
fn b10_single_voter_elects_itself_only_after_its_vote_is_durable() {
    let mut node = Node::new(1, &[], 0);
    node.slow = true;
    node.fire(Timer::Election);
    assert_eq!(node.state(), (Candidate, 1, Some(1)));
    node.slow = false;
    node.flush();
    assert_eq!(node.state(), (Leader, 1, Some(1)));
    assert_eq!(node.raft.commit().0, 1, "and commits its opening");
    assert!(node.effects.send.is_empty());
}

#[test]
fn b11_own_vote_counts_only_after_it_is_durable() {
    let mut node = without_pre_vote(3, &[], 0);
    node.slow = true;
    assert_eq!(node.fire(Timer::Election), [], "nobody is asked before either");
    node.hear(2, 1, GRANTED);
    assert_eq!(node.raft.role(), Candidate);
    // A newer term came in between: the late acknowledgement of the old candidacy elects nobody.
    node.hear(3, 5, append(at(0, 0), &[], 0));
    node.flush();
    assert_eq!(node.state(), (Follower, 5, None));
}

#[test]
fn b14_leader_refuses_to_campaign() {
    let mut node = Node::leader(3, &[], 1);
    assert_eq!(node.raft.step(Input::Campaign, &mut node.effects), Err(Refused::CannotCampaign));
    assert_eq!(node.state().0, Leader);
}

#[test]
fn b19_even_split_is_resolved_by_the_next_timeout() {
    let mut cluster = Cluster::new(4, |config| config.pre_vote = false);
    cluster.fire(NodeId(1), Timer::Election);
    cluster.fire(NodeId(2), Timer::Election);
    cluster.exchange(1000, |id| id.0 % 2 == 1);
    cluster.exchange(1000, |id| id.0 % 2 == 0);
    cluster.settle();
    assert_eq!(cluster.leader(), None);
    cluster.elect(NodeId(2), 1000, |_| true);
    assert_eq!(cluster.leader(), Some(NodeId(2)));
}

#[test]
fn b21_old_vote_responses_are_ignored() {
    let mut node = without_pre_vote(3, &[], 0);
    node.fire(Timer::Election);
    node.fire(Timer::Election);
    node.hear(2, 1, GRANTED);
    assert_eq!(node.state(), (Candidate, 2, Some(1)));
}

#[test]
fn b22_election_timer_is_reset_by_a_vote_or_a_leader_and_nothing_else() {
    let table = [
        (vote_request(at(3, 3)), true),
        (vote_request(at(0, 0)), false),
        (append(at(0, 0), &[], 0), true),
        (Body::PreVoteRequest { next_term: Term(4), last: at(3, 3), priority: 0 }, false),
    ];
    for (body, is_reset) in table {
        let mut node = Node::new(3, &[1], 3);
        node.hear(2, 3, body.clone());
        assert_eq!(node.effects.timers.contains(&Timer::Election), is_reset, "{body:?}");
    }
}

#[test]
fn c01_pre_vote_changes_neither_term_nor_vote() {
    let mut node = Node::new(3, &[1], 3);
    let said = node.fire(Timer::Election);
    assert_eq!(node.state(), (Candidate, 3, None));
    let request = Body::PreVoteRequest { next_term: Term(4), last: at(1, 1), priority: 0 };
    assert_eq!(said, [(2, request.clone()), (3, request.clone())]);
    let mut other = Node::new(3, &[1], 2);
    let before = other.raft.clone();
    assert_eq!(other.hear(2, 3, request), [(2, pre_vote(4, true))], "granted for the future term");
    assert_eq!(other.raft, before, "and nothing has changed, not even the term");
}

#[test]
fn c03_pre_vote_is_refused_to_a_shorter_log_even_without_a_leader() {
    let mut node = Node::new(3, &[1, 1], 1);
    let said = node.hear(2, 1, Body::PreVoteRequest { next_term: Term(2), last: at(1, 1), priority: 0 });
    assert_eq!(said, [(2, pre_vote(2, false))]);
}

#[test]
fn c04_pre_vote_quorum_leads_to_the_real_vote_which_persists_first() {
    let mut node = Node::new(3, &[], 0);
    node.slow = true;
    node.fire(Timer::Election);
    assert!(node.effects.writes.is_empty());
    assert_eq!(node.hear(2, 0, pre_vote(1, true)), []);
    assert_eq!(node.effects.writes.len(), 1);
    let said = node.flush();
    assert_eq!(said, [(2, vote_request(at(0, 0))), (3, vote_request(at(0, 0)))]);
}

#[test]
fn c05_pre_vote_split_recovers() {
    let mut cluster = Cluster::new(3, |_| {});
    for id in cluster.ids() {
        cluster.fire(id, Timer::Election);
    }
    cluster.settle();
    cluster.elect(NodeId(3), 1000, |_| true);
    assert_eq!(cluster.leader(), Some(NodeId(3)));
}

#[test]
fn c08_check_quorum_steps_down_in_the_same_term() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(0, 0));
    node.fire(Timer::Contact);
    assert_eq!(node.state().0, Leader, "one of two others was heard");
    node.fire(Timer::Contact);
    assert_eq!(node.state(), (Follower, 1, Some(1)), "none was");
    assert_eq!(node.raft.leader(), None);
}

#[test]
fn c12_stuck_candidate_is_freed_by_the_leaders_step_down() {
    let mut cluster = Cluster::new(3, |config| config.pre_vote = true);
    cluster.elect(NodeId(1), 1000, |_| true);
    // 3 got pre-votes and a new term, and was cut off then: its requests are ignored by servers that hear their leader.
    cluster.fire(NodeId(2), Timer::Contact);
    cluster.fire(NodeId(3), Timer::Election);
    cluster.exchange(2, |id| id != NodeId(1));
    cluster.flush(NodeId(3));
    assert_eq!(cluster.raft(3).term(), Term(2));
    cluster.lose(|_| true);
    cluster.heartbeat(NodeId(1));
    assert_eq!(cluster.raft(1).role(), Follower, "the leader learned of the newer term");
    cluster.elect(NodeId(1), 1000, |_| true);
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    assert!(cluster.terms().iter().all(|&term| term == Term(3)));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn c13_a_candidate_wins_once_the_leader_is_no_longer_heard() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    cluster.fire(NodeId(3), Timer::Election);
    cluster.exchange(1000, |id| id != NodeId(1));
    assert_eq!(cluster.leader(), Some(NodeId(1)), "2 still hears its leader");
    cluster.elect(NodeId(3), 1000, |id| id != NodeId(1));
    assert_eq!(cluster.leader(), Some(NodeId(3)));
}

#[test]
fn c14_without_pre_vote_a_disruptive_follower_deposes_the_leader() {
    let mut cluster = Cluster::new(3, |config| (config.pre_vote, config.check_quorum) = (false, false));
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.fire(NodeId(3), Timer::Election);
    cluster.settle();
    assert_ne!(cluster.leader(), Some(NodeId(1)));
}

#[test]
fn g15_with_pre_vote_a_rejoining_server_does_not_depose_a_working_leader() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    for _ in 0..10 {
        cluster.fire(NodeId(3), Timer::Election);
        cluster.settle();
    }
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    assert!(cluster.terms().iter().all(|&term| term == Term(1)));
}
