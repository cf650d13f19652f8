//! K10: every prefix of the write stream is a legal start, snapshots, chunks and installs included.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use raft_core::{
    Config, Effects, Entry, HardState, Membership, NodeId, Payload, Raft, Timer, Transition, Write,
};

use crate::cluster::{Command, Disk};
use crate::schedule::{Action, Becomes, Schedule, Servers, plain, run, run_watched, schedule};

/// A disk as a crash leaves it that only the first `kept` of the queued writes have reached.
fn after_crash(disk: &Disk, kept: usize) -> Disk {
    let mut left = disk.clone();
    let writes: Vec<_> = left.queue.drain(..).take(kept).collect();
    writes.iter().for_each(|write| left.store(write.batch()).unwrap());
    left.lose_power();
    left
}

fn config(id: NodeId, founders: usize) -> Config {
    let is_founder = id.0 <= founders as u64;
    if is_founder { Config::new(id, (1..=founders as u64).map(NodeId)) } else { Config::joining(id) }
}

/// The members that a stored state names: its latest entry that does, else the snapshot, else the founders.
fn stored_members(disk: &Disk, config: &Config) -> Membership {
    let mut after = disk.entries.iter().rev().take_while(|entry| entry.index > disk.snapshot_index());
    let membership = |entry: &Entry<Command>| match &entry.payload {
        Payload::Membership(membership) => Some((**membership).clone()),
        _ => None,
    };
    let in_log = after.find_map(membership);
    let in_snapshot = || disk.snapshot.as_ref().map(|(meta, _)| (*meta.membership).clone());
    in_log.or_else(in_snapshot).or_else(|| config.founders.clone()).unwrap_or_default()
}

/// What the server whose disk this is has promised, as far as it was told that it may.
struct Promised {
    hard: HardState,
    log: Vec<Entry<Command>>,
}

fn promised(raft: &Raft<Command>, disk: &Disk) -> Promised {
    let durable = raft.durable();
    let log = raft.entries().filter(|entry| entry.index <= durable).cloned().collect();
    Promised { hard: disk.hard_state, log }
}

/// Starts server `id` from what is left on its disk, and compares.
fn check_start(left: &mut Disk, id: NodeId, founders: usize, promised: Option<&Promised>) {
    let config = config(id, founders);
    let mut effects = Effects::default();
    let raft = Raft::start(config.clone(), left.recovered(99), &mut effects)
        .unwrap_or_else(|error| panic!("{id:?} cannot start from {left:?}: {error}"));
    let end = left.entries.back().map(Entry::position).filter(|end| end.index > left.snapshot_index());
    let base = left.snapshot.as_ref().map(|(meta, _)| meta.last).unwrap_or_default();
    let is_overtaken = effects.writes.iter().any(|write| write.batch().install.is_some());
    assert_eq!(raft.base(), base);
    let ends_short = left.entries.back().is_some_and(|last| last.index < base.index);
    let contradicts = left.entry(base.index).is_some_and(|entry| entry.position() != base);
    assert_eq!(is_overtaken, ends_short || contradicts, "such a log goes before anything is appended");
    if !is_overtaken {
        assert_eq!(raft.last(), end.unwrap_or(base));
        assert_eq!(**raft.membership(), stored_members(left, &config), "G19");
    }
    assert!(raft.term() >= left.hard_state.term && raft.commit() == base.index);
    let Some(Promised { hard, log }) = promised else { return };
    let kept_vote = raft.hard_state().voted_for == hard.voted_for;
    assert!(raft.term() > hard.term || (raft.term() == hard.term && kept_vote), "{id:?} forgot its vote");
    for entry in log {
        let holds = raft.base().index >= entry.index || raft.entry(entry.index) == Some(entry);
        assert!(holds, "{id:?} forgot {entry:?}, which it had vouched for; {left:?}");
    }
}

/// A third server falls behind, the others let go of their logs, and its disk is slow: the chunks of a snapshot, its install and
/// what follows wait in the queue. Between that, anything that stops a transfer somewhere.
fn lagging() -> impl Strategy<Value = Schedule> {
    let (everyone, others, third, nobody) = (Servers(0xff), Servers(0b011), Servers(0b100), Servers(0));
    let falls_behind = (1..4usize, 0..2u8, 1..40u8).prop_map(move |(proposals, kept, budget)| {
        let mut actions = vec![Action::ProposeToLeader; proposals];
        actions.extend([
            Action::Exchange(others, 40, nobody),
            Action::Heartbeat(others, 40),
            Action::Cut(third),
            Action::Compact(0, kept),
            Action::Compact(1, kept),
            Action::Timer(0, Timer::Heartbeat),
            Action::Timer(1, Timer::Heartbeat),
            Action::Exchange(everyone, budget, third),
        ]);
        actions
    });
    // Or it executes, and takes a snapshot of, what its own disk has not taken yet (diss. 10.2.1).
    let is_ahead = (5..8usize, 10..60u8).prop_map(move |(proposals, budget)| {
        let mut actions = vec![Action::ProposeToLeader; proposals];
        actions.extend([Action::Exchange(everyone, budget, third), Action::Compact(2, 0)]);
        actions
    });
    let promote = |s: u8| Action::Change(vec![(Becomes::Voter, s)], Transition::Auto);
    let anything = prop_oneof![
        3 => Just(Action::ProposeToLeader),
        3 => (1..30u8).prop_map(move |budget| Action::Exchange(everyone, budget, third)),
        3 => (1..30u8).prop_map(move |budget| Action::Exchange(everyone, budget, nobody)),
        2 => (0..3u8, 0..2u8).prop_map(|(server, kept)| Action::Compact(server, kept)),
        1 => any::<u8>().prop_map(Action::Sync),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(server, newest)| Action::Report(server, newest)),
        2 => (any::<u8>(), 0..4u8).prop_map(|(server, kept)| Action::Bounce(server, kept)),
        1 => (1..4u8).prop_map(promote),
        2 => any::<u8>().prop_map(|server| Action::Timer(server, Timer::Contact)),
        2 => any::<u8>().prop_map(|server| Action::Timer(server, Timer::Election)),
    ];
    let episode =
        prop_oneof![3 => falls_behind, 1 => is_ahead, 4 => anything.prop_map(|action| vec![action])];
    (proptest::collection::vec(episode, 2..16), 0..2usize, any::<bool>()).prop_map(
        move |(episodes, spares, pre_vote)| {
            let begin = [Action::Timer(0, Timer::Election), Action::Exchange(everyone, 40, nobody)];
            let actions = begin.into_iter().chain(episodes.into_iter().flatten()).collect();
            Schedule { spares, pre_vote, ..plain(3, actions) }
        },
    )
}

fn draw(count: usize, schedules: impl Strategy<Value = Schedule>) -> impl Iterator<Item = Schedule> {
    let mut runner = TestRunner::deterministic();
    std::iter::repeat_with(move || schedules.new_tree(&mut runner).unwrap().current()).take(count)
}

/// After every action of many schedules, for every server and every prefix of what its disk was handed: it starts, and has
/// forgotten nothing that it may have promised.
#[test]
fn k10_every_prefix_of_every_write_stream_starts_and_keeps_what_was_promised() {
    let (mut starts, mut chunks, mut installs, mut overtaken) = (0, 0, 0, 0);
    for schedule in draw(400, schedule(100)).chain(draw(800, lagging())) {
        run_watched(&schedule, |cluster| {
            assert_eq!(cluster.ghost.violation, None);
            for server in &cluster.servers {
                let Some(raft) = &server.raft else { continue };
                let was_damaged =
                    server.disk.lost_tail.is_some() || server.disk.hard_state.lost_tail.is_some();
                let promised = promised(raft, &server.disk);
                for kept in 0..=server.disk.queue.len() {
                    let mut left = after_crash(&server.disk, kept);
                    // What follows in the queue may cut off what was vouched for, if the leader knows better.
                    let promised = Some(&promised).filter(|_| kept == 0 && !was_damaged);
                    check_start(&mut left, raft.id(), schedule.servers, promised);
                    starts += 1;
                    let ends_short = left.entries.back().is_some_and(|end| end.index < left.snapshot_index());
                    overtaken += usize::from(ends_short);
                }
                let batches = || server.disk.queue.iter().map(Write::batch);
                chunks += batches().filter(|batch| batch.chunk.is_some()).count();
                installs += batches().filter(|batch| batch.install.is_some()).count();
            }
        });
    }
    println!("{starts} starts; under way: {chunks} chunks, {installs} installs; {overtaken} logs overtaken");
    assert!(starts > 100_000 && chunks > 1000 && installs > 500 && overtaken > 100);
}

/// And what starts from a prefix goes on as a correct server: the schedule so far, a crash that keeps so many writes, and then
/// everything heals.
#[test]
fn k10_from_every_prefix_of_the_write_stream_the_cluster_goes_on() {
    let mut continued = 0;
    for schedule in draw(20, schedule(60)).chain(draw(40, lagging())) {
        let mut prefixes = Vec::new();
        let mut done = 0;
        run_watched(&schedule, |cluster| {
            done += 1;
            for (place, server) in
                cluster.servers.iter().enumerate().filter(|(_, server)| server.raft.is_some())
            {
                prefixes.extend((0..server.disk.queue.len()).map(|kept| (done, place, kept)));
            }
        });
        for (done, place, kept) in prefixes {
            let mut actions = schedule.actions[..done].to_vec();
            let bytes = |n: usize| u8::try_from(n).unwrap();
            actions.push(Action::Bounce(bytes(place), bytes(kept)));
            let (_, result) = run(&Schedule { actions, heals: true, ..schedule.clone() }, |_| {});
            assert_eq!(result, Ok(()), "{schedule:?}, cut after {done}, server {place} keeps {kept} writes");
            continued += 1;
        }
    }
    println!("{continued} continuations");
    assert!(continued > 500);
}
