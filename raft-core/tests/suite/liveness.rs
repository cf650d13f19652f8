//! Time: the deadline layer, and that a cluster left alone elects a leader and gets things done.

use std::time::Duration;

use raft_core::{
    Clocked, Config, Effects, Input, Message, Moment, NodeId, Recovered, RoleKind, Term, Timer, Timing,
};

use crate::node::{append, at};
use crate::timed::World;

const TIMING: Timing = Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };

fn clocked(id: u64, n: u64, seed: u64) -> Clocked<u64> {
    let config = Config::new(NodeId(id), (1..=n).map(NodeId));
    let recovered = Recovered { boot: 1, ..Recovered::nothing() };
    Clocked::start(config, recovered, TIMING, seed, Moment(0), &mut Effects::default()).unwrap()
}

fn ms(milliseconds: u64) -> Moment {
    Moment(0) + Duration::from_millis(milliseconds)
}

#[test]
fn b06_election_timeouts_are_drawn_from_t_to_2t_and_reach_the_whole_range() {
    let timeouts: Vec<u64> =
        (0..1000).map(|seed| clocked(1, 3, seed).deadline().unwrap().0 / 1_000_000).collect();
    assert!(timeouts.iter().all(|t| (100..200).contains(t)));
    for tenth in 10..20 {
        let hits = timeouts.iter().filter(|&&t| t / 10 == tenth).count();
        assert!((50..150).contains(&hits), "{hits} of 1000 in the decade of {tenth}0 ms");
    }
}

#[test]
fn b07_timeouts_rarely_collide() {
    let collisions = (0..1000).filter(|seed| {
        let a = clocked(1, 3, seed * 2).deadline().unwrap().0 / 1_000_000;
        let b = clocked(2, 3, seed * 2 + 1).deadline().unwrap().0 / 1_000_000;
        a == b
    });
    assert!(collisions.count() < 30, "more than 3 % within the same millisecond");
}

#[test]
fn n08_a_paused_leader_finds_out_before_it_listens() {
    let mut node = clocked(1, 1, 0);
    let mut effects = Effects::default();
    node.step(ms(250), None, &mut effects).unwrap();
    let ack = effects.writes.remove(0).split().1;
    node.step(ms(250), Some(Input::Durable(ack)), &mut effects).unwrap();
    assert_eq!(node.raft().role(), RoleKind::Leader);
    assert_eq!(node.deadline(), Some(ms(270)));
    // A follower of two, paused: what it hears first after waking up does not come before its own timeout.
    let mut node = clocked(1, 2, 0);
    let mut effects = Effects::default();
    let message = Message { term: Term(1), body: append(at(0, 0), &[], 0) };
    node.step(ms(1), Some(Input::Receive { from: NodeId(2), message: message.clone() }), &mut effects)
        .unwrap();
    effects.clear();
    node.step(ms(10_000), Some(Input::Receive { from: NodeId(2), message }), &mut effects).unwrap();
    assert!(!effects.send.is_empty(), "it campaigned, then followed again");
    assert_eq!(node.raft().role(), RoleKind::Follower);
}

#[test]
fn timers_that_mean_nothing_any_more_do_not_wake_the_host() {
    let mut node = clocked(1, 1, 0);
    let mut effects = Effects::default();
    node.step(ms(250), None, &mut effects).unwrap();
    let ack = effects.writes.remove(0).split().1;
    node.step(ms(250), Some(Input::Durable(ack)), &mut effects).unwrap();
    assert!(!node.raft().listens_to(Timer::Election));
}

/// A cluster in virtual time, one millisecond per message, disks included; `cut` says which links are down.
fn converges(n: u64, seed: u64, until: u64, cut: impl Fn(u64, u64, u64) -> bool) -> Option<(u64, u64)> {
    let mut nodes: Vec<Clocked<u64>> = (1..=n).map(|id| clocked(id, n, seed * 100 + id)).collect();
    let mut network: Vec<(NodeId, NodeId, Message<u64>)> = Vec::new();
    for now in 0..until {
        let arriving = std::mem::take(&mut network);
        let mut inputs: Vec<(usize, Option<Input<u64>>)> = (0..nodes.len()).map(|i| (i, None)).collect();
        for (from, to, message) in arriving {
            if !cut(now, from.0, to.0) {
                inputs.push((usize::try_from(to.0 - 1).unwrap(), Some(Input::Receive { from, message })));
            }
        }
        for (i, input) in inputs {
            let mut effects = Effects::default();
            nodes[i].step(ms(now), input, &mut effects).unwrap();
            while !effects.writes.is_empty() {
                let ack = effects.writes.remove(0).split().1;
                nodes[i].step(ms(now), Some(Input::Durable(ack)), &mut effects).unwrap();
            }
            let from = nodes[i].raft().id();
            network.extend(effects.send.into_iter().map(|out| (from, out.to, out.message)));
        }
        let leader = nodes
            .iter()
            .filter(|node| node.raft().role() == RoleKind::Leader)
            .max_by_key(|n| n.raft().term());
        if let Some(leader) = leader
            && leader
                .raft()
                .entry(leader.raft().commit())
                .is_some_and(|entry| entry.term == leader.raft().term())
            && !cut(now, leader.raft().id().0, 0)
        {
            return Some((now, leader.raft().id().0));
        }
    }
    None
}

#[test]
fn a_leader_commits_within_ten_election_timeouts_over_thousands_of_seeds() {
    let mut worst = 0;
    for seed in 0..2000 {
        let n = [3, 5][usize::try_from(seed % 2).unwrap()];
        let (took, _) =
            converges(n, seed, 1000, |_, _, _| false).unwrap_or_else(|| panic!("seed {seed}: no leader"));
        worst = worst.max(took);
    }
    println!("slowest of 2000 seeds: {worst} ms, election timeout 100 to 200 ms");
    assert!(worst <= 1000);
}

#[test]
fn an_asymmetrically_partitioned_leader_is_replaced() {
    for seed in 0..200 {
        let (_, first) = converges(3, seed, 1000, |_, _, _| false).unwrap();
        // From 1 s on the first leader can speak but hears nobody: it must give way (a leader without check-quorum would
        // keep its followers quiet for ever).
        let cut = move |now: u64, from: u64, to: u64| {
            now >= 1000 && (to == first || (to == 0 && from == first)) || (now < 1000 && to == 0)
        };
        let (took, second) =
            converges(3, seed, 3000, cut).unwrap_or_else(|| panic!("seed {seed}: no other leader"));
        assert!(second != first && took >= 1000, "seed {seed}");
    }
}

#[test]
fn timers_that_cannot_work_are_refused() {
    for (election, heartbeat) in [(100, 0), (100, 100), (0, 0), (u64::MAX, 1)] {
        let timing =
            Timing { election: Duration::from_millis(election), heartbeat: Duration::from_millis(heartbeat) };
        let config = Config::new(NodeId(1), [NodeId(1)]);
        let recovered: Recovered<u64> = Recovered::nothing();
        let started = Clocked::start(config, recovered, timing, 0, Moment(0), &mut Effects::default());
        assert!(started.is_err(), "{timing:?}");
    }
}

fn three(id: u64) -> Config {
    Config::new(NodeId(id), (1..=3).map(NodeId))
}

fn five(id: u64) -> Config {
    Config::new(NodeId(id), (1..=5).map(NodeId))
}

fn three_without_pre_vote(id: u64) -> Config {
    Config { pre_vote: false, ..three(id) }
}

/// In election timeouts of the slowest clock: `[t, 2t)` each.
const PATIENCE: u64 = 15;

#[test]
fn after_faults_stop_every_proposal_is_decided_within_a_bounded_number_of_election_timeouts() {
    let mut worst = [0; 3];
    for seed in 0..3000 {
        let (servers, config): (u64, fn(u64) -> Config) =
            [(3, three as fn(u64) -> Config), (5, five), (3, three_without_pre_vote)][(seed % 3) as usize];
        let mut world = World::run(seed, servers, config);
        let took = world.heal(PATIENCE * 120);
        let took =
            took.unwrap_or_else(|| panic!("seed {seed}: undecided after {PATIENCE} election timeouts"));
        worst[(seed % 3) as usize] = took.max(worst[(seed % 3) as usize]);
    }
    println!(
        "slowest of 1000 seeds each, three servers, five, three without pre-vote: {worst:?} ms; t is 100 ms"
    );
}
