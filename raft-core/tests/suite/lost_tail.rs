//! N: logs that have lost their end ("Protocol-Aware Recovery", FAST '18): noticed, not believed, repaired by others.

use raft_core::{
    Body, Config, Effects, Event, HardState, Index, Input, LostTail, NodeId, Position, Raft, Recovered,
    Refused, RoleKind, StartError, Term, Timer,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, REFUSED, append, at, entries, vote_request};

fn start(log: &[u64], hard_state: HardState, lost_tail: Option<LostTail>) -> Result<Node, StartError> {
    let config = Config::new(NodeId(1), [1, 2, 3].map(NodeId));
    let recovered =
        Recovered { boot: 1, hard_state, entries: entries(1, log), lost_tail, ..Recovered::nothing() };
    let mut effects = Effects::default();
    let raft = Raft::start(config, recovered, &mut effects)?;
    Ok(Node { raft, effects, slow: true })
}

fn up_to(index: u64, term: u64) -> Option<LostTail> {
    Some(LostTail::UpTo(at(index, term)))
}

/// In term 4, its log 1 1 2, of which two more entries of term 2 are lost.
fn damaged() -> Node {
    let mut node = start(&[1, 1, 2], HardState::new(Term(3), None), up_to(5, 2)).unwrap();
    node.slow = false;
    node.flush();
    node.effects.clear();
    node
}

#[test]
fn n02_a_torn_last_write_is_told_from_lost_entries() {
    let nowhere = Position { index: Index::LIMIT, term: Term(3) };
    // Log 1 1 2 in term 3. (said to have reached, what is remembered as lost)
    let table = [
        (None, None),
        (up_to(3, 2), None),
        (up_to(2, 1), None),
        (up_to(9, 1), None),
        (up_to(4, 2), Some(at(4, 2))),
        (up_to(3, 3), Some(at(3, 3))),
        (up_to(1, 3), Some(at(1, 3))),
        (Some(LostTail::Unknown), Some(nowhere)),
    ];
    for (said, lost) in table {
        let hard_state = HardState::new(Term(3), Some(NodeId(2)));
        let node = start(&[1, 1, 2], hard_state, said).unwrap();
        assert_eq!(node.raft.hard_state().lost_tail, lost, "{said:?}");
        let after = match lost {
            None => hard_state,
            Some(_) => HardState { lost_tail: lost, ..HardState::new(Term(4), None) },
        };
        assert_eq!(node.raft.hard_state(), after, "{said:?}: nothing lost, nothing changed; else a new term");
        let written: Vec<_> = node.effects.writes.iter().map(|write| write.batch().hard_state).collect();
        assert_eq!(written, if lost.is_some() { vec![Some(after)] } else { vec![] }, "{said:?}");
    }
    // Corrupt in the middle: of a log up to 7, entry 3 cannot be read. What comes after it is lost too.
    let node = start(&[1, 1], HardState::new(Term(3), None), up_to(7, 2)).unwrap();
    assert_eq!((node.terms(), node.raft.hard_state().lost_tail), (vec![1, 1], Some(at(7, 2))));
    // What no log of this server can have reached.
    let refused = start(&[1], HardState::new(Term(3), None), up_to(9, 4)).map(|_| ());
    assert_eq!(refused, Err(StartError::TermOutOfOrder { index: Index(9), term: Term(4) }));
}

#[test]
fn n02_a_second_loss_does_not_make_the_first_one_smaller() {
    let table = [(up_to(4, 2), at(5, 2)), (up_to(7, 2), at(7, 2)), (up_to(2, 3), at(2, 3)), (None, at(5, 2))];
    for (said, lost) in table {
        let before = HardState { lost_tail: Some(at(5, 2)), ..HardState::new(Term(4), None) };
        let node = start(&[1, 1], before, said).unwrap();
        assert_eq!(node.raft.hard_state().lost_tail, Some(lost), "{said:?}");
    }
}

#[test]
fn n03_it_votes_as_if_it_still_had_what_it_lost() {
    // (candidate's last, vote)
    let table = [
        (at(3, 2), false),
        (at(4, 2), false),
        (at(5, 2), true),
        (at(6, 2), true),
        (at(9, 1), false),
        (at(1, 3), true),
    ];
    for (last, granted) in table {
        let mut node = damaged();
        let asked = Body::PreVoteRequest { next_term: Term(5), last, priority: 0 };
        let answer = Body::PreVoteResponse { next_term: Term(5), granted };
        assert_eq!(node.hear(2, 4, asked), [(2, answer)], "{last:?}");
        let answer = if granted { GRANTED } else { REFUSED };
        assert_eq!(node.hear(2, 5, vote_request(last)), [(2, answer)], "{last:?}");
    }
    // Of a log whose length nobody knows, only one of a later term is known to be good enough.
    for (last, granted) in [(at(99, 3), false), (at(1, 4), true)] {
        let mut node = start(&[1, 1, 2], HardState::new(Term(3), None), Some(LostTail::Unknown)).unwrap();
        node.slow = false;
        node.flush();
        let answer = if granted { GRANTED } else { REFUSED };
        assert_eq!(node.hear(2, 5, vote_request(last)), [(2, answer)], "{last:?}");
    }
}

#[test]
fn n03_it_does_not_campaign_whoever_tells_it_to() {
    let mut node = damaged();
    assert_eq!(node.fire(Timer::Election), []);
    assert_eq!(node.raft.step(Input::Campaign, &mut node.effects), Err(Refused::CannotCampaign));
    node.hear(2, 4, append(at(3, 2), &[], 0));
    assert_eq!(node.hear(2, 4, Body::TimeoutNow), []);
    assert_eq!(node.state(), (RoleKind::Follower, 4, None));
}

#[test]
fn n03_it_has_left_the_term_in_which_it_vouched_and_says_nothing_before_that_is_durable() {
    let mut node = start(&[1, 1, 2], HardState::new(Term(3), None), up_to(5, 2)).unwrap();
    assert_eq!(node.hear(2, 4, vote_request(at(5, 2))), [], "the vote waits, and the loss with it");
    let first = node.effects.writes[0].batch().clone();
    assert_eq!(first.hard_state.map(|hard| (hard.term, hard.lost_tail)), Some((Term(4), Some(at(5, 2)))));
    assert_eq!(node.flush(), [(2, GRANTED)]);
    // The leader of the term before may count on what is gone: it finds out.
    let mut node = damaged();
    node.hear(2, 3, append(at(5, 2), &[3], 5));
    assert_eq!(node.raft.last(), at(3, 2));
    assert_eq!(node.effects.send[0].message.term, Term(4));
    // And what is remembered survives without being said again.
    let before = HardState { lost_tail: Some(at(5, 2)), ..HardState::new(Term(4), None) };
    let mut again = start(&[1, 1, 2], before, None).unwrap();
    again.slow = false;
    assert!(again.effects.writes.is_empty());
    assert_eq!(again.hear(2, 5, vote_request(at(4, 2))), [(2, REFUSED)]);
}

fn repaired(node: &Node) -> bool {
    node.effects.events.contains(&Event::Repaired { lost: at(5, 2) })
}

#[test]
fn n04_it_is_repaired_when_the_lost_entries_or_a_later_leaders_are_durable() {
    // (terms of what a leader of term 5 appends after entry 3, repaired)
    let table: [(&[u64], bool); 4] = [(&[2], false), (&[2, 2], true), (&[5], true), (&[2, 5], true)];
    for (sent, is_repaired) in table {
        let mut node = damaged();
        node.slow = true;
        node.hear(2, 5, append(at(3, 2), sent, 0));
        assert!(!repaired(&node), "{sent:?}: not durable yet");
        node.flush();
        assert_eq!(repaired(&node), is_repaired, "{sent:?}");
        assert_eq!(node.raft.hard_state().lost_tail.is_none(), is_repaired, "{sent:?}");
        node.slow = false;
        node.flush();
        node.fire(Timer::Election);
        assert_eq!(node.state().0 == RoleKind::Candidate, is_repaired, "{sent:?}");
    }
}

fn with_entries(n: usize) -> Cluster {
    let mut cluster = Cluster::new(n, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    for _ in 0..4 {
        cluster.propose(NodeId(1)).unwrap();
    }
    cluster.settle();
    cluster.heartbeat(NodeId(1));
    cluster
}

/// Its log loses all but the first entry.
fn rot(cluster: &mut Cluster, id: u64, is_known: bool) {
    cluster.crash(NodeId(id), 0);
    cluster.server_mut(NodeId(id)).disk.rot(1, is_known);
}

fn all_try(cluster: &mut Cluster) {
    for _ in 0..3 {
        for id in cluster.ids().into_iter().filter(|&id| cluster.is_up(id)).collect::<Vec<_>>() {
            cluster.elect(id, 1000, |_| true);
        }
    }
}

#[test]
fn n04_peers_repair_a_faulty_log_and_then_it_may_lead() {
    for is_known in [true, false] {
        let mut cluster = with_entries(3);
        rot(&mut cluster, 3, is_known);
        cluster.restart(NodeId(3));
        assert!(cluster.raft(3).hard_state().lost_tail.is_some());
        cluster.elect(NodeId(3), 1000, |_| true);
        assert_ne!(cluster.leader(), Some(NodeId(3)), "not yet");
        // Its old leader learns that it has left the term.
        cluster.heartbeat(NodeId(1));
        (0..2).for_each(|_| cluster.elect(NodeId(2), 1000, |_| true));
        (0..4).for_each(|_| cluster.heartbeat(NodeId(2)));
        assert_eq!(cluster.leader(), Some(NodeId(2)));
        assert_eq!(cluster.log(3), cluster.log(2), "the length was known: {is_known}");
        assert_eq!(cluster.raft(3).hard_state().lost_tail, None);
        cluster.elect(NodeId(3), 1000, |_| true);
        assert_eq!(cluster.leader(), Some(NodeId(3)));
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn n05_a_majority_that_lost_its_logs_waits_for_one_that_did_not() {
    let mut cluster = with_entries(3);
    let committed = cluster.ghost.committed();
    cluster.crash(NodeId(1), 0);
    for id in [2, 3] {
        rot(&mut cluster, id, true);
        cluster.restart(NodeId(id));
    }
    all_try(&mut cluster);
    assert_eq!(cluster.leader(), None, "none of the two invents a log");
    // The one that has everything comes back, and they wait for it as long as it takes.
    cluster.restart(NodeId(1));
    all_try(&mut cluster);
    let leader = cluster.leader().unwrap();
    (0..4).for_each(|_| cluster.heartbeat(leader));
    assert!(cluster.raft(2).commit() > committed && cluster.log(2) == cluster.log(1));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn n05_if_nobody_can_prove_that_it_has_everything_nobody_leads() {
    for lost in [vec![1, 2, 3], vec![2, 3]] {
        let mut cluster = with_entries(3);
        let is_known = lost.len() == 3;
        for id in lost.clone() {
            rot(&mut cluster, id, is_known);
            cluster.restart(NodeId(id));
        }
        all_try(&mut cluster);
        if is_known {
            assert_eq!(cluster.leader(), None, "{lost:?} lost their logs");
            continue;
        }
        // How much 2 and 3 had, nobody knows; so it may have been more than 1 has.
        assert_eq!(
            cluster.leader().filter(|leader| cluster.raft(leader.0).term() > Term(1)),
            None,
            "{lost:?}"
        );
        assert_eq!(cluster.ghost.violation, None);
    }
}
