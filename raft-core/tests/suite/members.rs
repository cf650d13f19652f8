//! G: clusters whose members change.

use raft_core::{
    Body, Change, ChangeError, Config, Index, Input, NodeId, Refused, RoleKind, Term, Timer, Transition,
};

use crate::cluster::Cluster;

use Change::{Learner, Promote, Remove, Voter};

const LEADER: NodeId = NodeId(1);

fn elected(n: usize, spares: usize, configure: impl Fn(&mut Config) + 'static) -> Cluster {
    let mut cluster = Cluster::with_spares(n, spares, configure);
    cluster.elect(LEADER, 1000, |_| true);
    assert_eq!(cluster.leader(), Some(LEADER));
    cluster
}

fn voters(cluster: &Cluster, id: u64) -> Vec<u64> {
    cluster.raft(id).membership().voters().iter().map(|id| id.0).collect()
}

fn propose_and_settle(cluster: &mut Cluster, leader: NodeId) {
    cluster.propose(leader).unwrap();
    cluster.settle();
    cluster.heartbeat(leader);
}

#[test]
fn g06_two_servers_are_added_at_once() {
    let mut cluster = elected(3, 2, |_| {});
    cluster.change(LEADER, &[Voter(NodeId(4)), Voter(NodeId(5))]).unwrap();
    cluster.settle();
    propose_and_settle(&mut cluster, LEADER);
    for id in 1..=5 {
        assert_eq!(voters(&cluster, id), [1, 2, 3, 4, 5]);
        assert!(!cluster.raft(id).membership().is_joint());
        assert_eq!(cluster.server(NodeId(id)).state, cluster.server(LEADER).state);
    }
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn g06_the_leader_is_replaced() {
    let mut cluster = elected(3, 1, |_| {});
    cluster.change(LEADER, &[Remove(LEADER), Voter(NodeId(4))]).unwrap();
    cluster.settle();
    let successor = cluster.leader().expect("told to campaign, somebody has taken over");
    assert_ne!(successor, LEADER);
    propose_and_settle(&mut cluster, successor);
    assert_eq!(voters(&cluster, successor.0), [2, 3, 4]);
    assert_eq!(cluster.server(NodeId(4)).state, cluster.server(successor).state);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn g06_all_servers_are_replaced_step_by_step_and_at_once() {
    for at_once in [false, true] {
        let mut cluster = elected(3, 3, |config| config.limits.promotion_lag = 1);
        let changes: Vec<Change> =
            (1..=3).flat_map(|id| [Voter(NodeId(id + 3)), Remove(NodeId(id))]).collect();
        let steps: Vec<Vec<Change>> =
            if at_once { vec![changes] } else { changes.chunks(1).map(<[_]>::to_vec).collect() };
        for step in steps {
            let leader = cluster.leader().unwrap();
            cluster.change(leader, &step).unwrap();
            cluster.settle();
            let leader = cluster.leader().unwrap();
            propose_and_settle(&mut cluster, leader);
        }
        let leader = cluster.leader().unwrap();
        assert_eq!(voters(&cluster, leader.0), [4, 5, 6]);
        (1..=3).for_each(|id| cluster.crash(NodeId(id), 0));
        propose_and_settle(&mut cluster, leader);
        assert_eq!(cluster.server(NodeId(4)).state, cluster.server(NodeId(6)).state);
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn g02_a_change_that_was_cut_off_is_not_in_force_any_more() {
    let mut cluster = elected(3, 1, |_| {});
    cluster.change(LEADER, &[Voter(NodeId(4))]).unwrap();
    cluster.network.clear();
    assert_eq!(voters(&cluster, 1), [1, 2, 3, 4]);
    cluster.elect(NodeId(2), 1000, |id| id != LEADER);
    cluster.heartbeat(NodeId(2));
    cluster.heartbeat(NodeId(2));
    assert_eq!(voters(&cluster, 1), [1, 2, 3]);
    assert_eq!(cluster.change(NodeId(2), &[Voter(NodeId(4))]), Ok(()), "and the next one may come");
    cluster.settle();
    assert_eq!(voters(&cluster, 4), [1, 2, 3, 4]);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn g14_a_learner_catches_up_and_is_promoted_where_it_stands() {
    let mut cluster = elected(3, 1, |config| {
        config.limits.promotion_lag = 1;
        config.limits.append_entries = 1;
        config.limits.inflight_appends = 1;
    });
    for _ in 0..4 {
        cluster.propose(LEADER).unwrap();
    }
    cluster.settle();
    cluster.change(LEADER, &[Learner(NodeId(4))]).unwrap();
    cluster.exchange(1000, |id| id != NodeId(4));
    let promote = [Promote(NodeId(4))];
    let lags = Err(Refused::Change(ChangeError::NotCaughtUp(NodeId(4))));
    assert_eq!(cluster.change(LEADER, &promote), lags);
    assert_eq!(cluster.raft(1).commit(), Index(6), "a learner holds up nothing");
    cluster.settle();
    cluster.heartbeat(LEADER);
    let known = |cluster: &Cluster| cluster.raft(1).peers().find(|peer| peer.id == NodeId(4)).unwrap();
    let before = known(&cluster);
    assert_eq!(before.matched, Index(6));
    assert_eq!(cluster.change(LEADER, &promote), Ok(()));
    let after = known(&cluster);
    assert_eq!((after.matched, after.sending), (before.matched, before.sending), "what is known of it stays");
    cluster.settle();
    propose_and_settle(&mut cluster, LEADER);
    assert_eq!(cluster.server(NodeId(4)).state, cluster.server(LEADER).state);
    // It votes now: with two of the others gone, the two that are left are no majority of four.
    cluster.crash(NodeId(2), 0);
    propose_and_settle(&mut cluster, LEADER);
    assert_eq!(cluster.raft(1).commit(), cluster.raft(1).last().index);
    assert_eq!(cluster.ghost.violation, None);
}

/// With pre-vote and without: who hears from a leader does not listen to others (diss. 4.2.3), and whoever is no member is not
/// listened to at all.
#[test]
fn g15_a_removed_server_that_does_not_know_it_disturbs_nobody() {
    for pre_vote in [true, false] {
        let mut cluster = elected(3, 0, move |config| config.pre_vote = pre_vote);
        cluster.change(LEADER, &[Remove(NodeId(3))]).unwrap();
        cluster.exchange(1000, |id| id != NodeId(3));
        cluster.network.clear();
        assert_eq!(voters(&cluster, 3), [1, 2, 3], "it was not told");
        let term = cluster.raft(1).term();
        for _ in 0..5 {
            cluster.fire(NodeId(3), Timer::Contact);
            cluster.fire(NodeId(3), Timer::Election);
            cluster.settle();
            propose_and_settle(&mut cluster, LEADER);
            assert_eq!((cluster.leader(), cluster.raft(1).term()), (Some(LEADER), term));
            assert_eq!(cluster.raft(2).term(), term);
        }
        assert_ne!(cluster.raft(3).role(), RoleKind::Leader);
        assert_eq!(cluster.raft(3).term() > term, !pre_vote);
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn g16_a_removed_server_is_told_once_that_the_change_is_committed() {
    let mut cluster = elected(3, 0, |_| {});
    cluster.change(LEADER, &[Remove(NodeId(3))]).unwrap();
    let to_3 = |cluster: &Cluster| cluster.network.iter().filter(|packet| packet.to == NodeId(3)).count();
    assert_eq!(to_3(&cluster), 0, "not before");
    while to_3(&cluster) == 0 {
        assert_eq!(cluster.exchange(1, |id| id != NodeId(3)), 1);
    }
    let farewell = cluster.network.iter().find(|packet| packet.to == NodeId(3)).unwrap().clone();
    let Body::Append(append) = &farewell.message.body else { panic!("{farewell:?}") };
    assert_eq!((append.entries.len(), append.commit), (1, Index(2)));
    cluster.settle();
    assert_eq!(voters(&cluster, 3), [1, 2]);
    assert_eq!(cluster.raft(3).commit(), Index(2));
    (0..3).for_each(|_| {
        cluster.fire(LEADER, Timer::Heartbeat);
        cluster.propose(LEADER).unwrap();
        assert_eq!(to_3(&cluster), 0, "once is enough");
        cluster.settle();
    });
    cluster.fire(NodeId(3), Timer::Contact);
    cluster.fire(NodeId(3), Timer::Election);
    assert_eq!((cluster.raft(3).role(), cluster.raft(3).term()), (RoleKind::Follower, Term(1)));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn g19_a_restart_restores_the_members_from_snapshot_and_log_in_a_change_too() {
    let explicit =
        |changes: Vec<Change>| Input::ChangeMembership { changes, transition: Transition::Explicit };
    // What is compacted, before and after the change.
    for (before, after) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut cluster = elected(3, 1, |_| {});
        propose_and_settle(&mut cluster, LEADER);
        if before {
            (1..=3).for_each(|id| cluster.compact(NodeId(id), 0).unwrap());
        }
        cluster.step(LEADER, explicit(vec![Voter(NodeId(4)), Learner(NodeId(3))])).unwrap();
        cluster.settle();
        cluster.heartbeat(LEADER);
        if after {
            (1..=4).for_each(|id| cluster.compact(NodeId(id), 0).unwrap());
        }
        let joint = (**cluster.raft(1).membership()).clone();
        assert!(joint.is_joint() && !joint.leaves_by_itself());
        for id in cluster.ids() {
            cluster.crash(id, 0);
            cluster.restart(id);
            assert_eq!(**cluster.raft(id.0).membership(), joint, "{id:?}, compacted {before} {after}");
        }
        cluster.network.clear();
        cluster.elect(NodeId(2), 1000, |_| true);
        assert_eq!(cluster.leader(), Some(NodeId(2)));
        cluster.step(NodeId(2), Input::LeaveJoint).unwrap();
        cluster.settle();
        propose_and_settle(&mut cluster, NodeId(2));
        for id in 1..=4 {
            assert_eq!(voters(&cluster, id), [1, 2, 4]);
            assert_eq!(cluster.raft(id).membership().learners(), [NodeId(3)]);
        }
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn f17_members_survive_the_compaction_of_the_entry_that_brought_them() {
    let mut cluster = elected(3, 2, |_| {});
    cluster.change(LEADER, &[Learner(NodeId(4))]).unwrap();
    cluster.settle();
    for _ in 0..2 {
        propose_and_settle(&mut cluster, LEADER);
        (1..=4).for_each(|id| cluster.compact(NodeId(id), 0).unwrap());
        assert_eq!(cluster.raft(1).entries().count(), 0);
    }
    for id in 1..=4 {
        cluster.crash(NodeId(id), 0);
        cluster.restart(NodeId(id));
        assert_eq!(cluster.raft(id).membership().learners(), [NodeId(4)]);
        assert_eq!(voters(&cluster, id), [1, 2, 3]);
    }
    // And who joins now learns it from the snapshot alone.
    cluster.network.clear();
    cluster.elect(LEADER, 1000, |_| true);
    cluster.change(LEADER, &[Learner(NodeId(5))]).unwrap();
    cluster.settle();
    (0..3).for_each(|_| cluster.heartbeat(LEADER));
    assert_eq!(cluster.raft(5).membership(), cluster.raft(1).membership());
    assert_eq!(cluster.server(NodeId(5)).state, cluster.server(LEADER).state);
    assert!(cluster.ghost.restored >= 1);
    assert_eq!(cluster.ghost.violation, None);
}
