//! Every kind of input: from the network, the clock, the disk, the state machine and a careless host.

use std::sync::LazyLock;

use raft_core::{
    Change, Config, Effects, HardState, Index, Input, NodeId, Position, Raft, ReadId, Recovered,
    SnapshotMeta, Term, Timer, Transition, WriteAck,
};

use super::draw::Draw;
use super::members::membership;
use super::messages::message;
use super::reached::name_of;
use super::seen::Seen;

type Kind = fn(&Raft<u8>, &mut Seen, &mut Draw) -> Input<u8>;

const KINDS: [Kind; 24] = [
    |_, _, _| Input::Timer(Timer::Election),
    |_, _, _| Input::Timer(Timer::Heartbeat),
    |_, _, _| Input::Timer(Timer::Contact),
    |_, _, _| Input::Campaign,
    |_, _, draw| Input::Propose(vec![3; draw.count(4)]),
    |_, _, draw| Input::Propose(vec![3; draw.count(4)]),
    |_, _, draw| Input::Read(ReadId(draw.below(4))),
    |_, _, draw| Input::Read(ReadId(draw.below(4))),
    durable,
    durable,
    durable,
    applied,
    applied,
    |_, _, draw| if draw.one_in(16) { Input::StorageFailed } else { Input::Campaign },
    |_, _, draw| Input::Unreachable(draw.server()),
    |_, _, draw| if draw.one_in(8) { Input::StepDown } else { Input::Timer(Timer::Heartbeat) },
    |_, _, draw| Input::TransferLeadership(Some(draw.server()).filter(|_| draw.flip())),
    |_, _, draw| if draw.flip() { Input::ForgetLeader } else { Input::RequestSnapshot },
    |_, _, draw| Input::SetCheckQuorum(draw.flip()),
    change,
    |_, _, _| Input::LeaveJoint,
    compact,
    snapshot_chunk,
    snapshot_chunk,
];

pub fn input(raft: &Raft<u8>, seen: &mut Seen, draw: &mut Draw) -> Input<u8> {
    match draw.below(5) {
        0..3 => {
            let (from, message) = message(raft, seen, draw);
            Input::Receive { from, message }
        }
        _ => draw.pick(&KINDS).unwrap()(raft, seen, draw),
    }
}

/// An acknowledgement of another life of the server.
static FOREIGN: LazyLock<WriteAck> = LazyLock::new(|| {
    let config = Config { pre_vote: false, ..Config::new(NodeId(1), [NodeId(1)]) };
    let recovered: Recovered<u8> =
        Recovered { boot: 77, hard_state: HardState::new(Term(1), None), ..Recovered::nothing() };
    let mut effects = Effects::default();
    let mut raft = Raft::start(config, recovered, &mut effects).unwrap();
    raft.step(Input::Campaign, &mut effects).unwrap();
    effects.writes.remove(0).split().1
});

/// In order, out of order, again, or of another life.
fn durable(_: &Raft<u8>, seen: &mut Seen, draw: &mut Draw) -> Input<u8> {
    let place = match draw.below(4) {
        0 => seen.acks.len().saturating_sub(1),
        1 => draw.count(seen.acks.len()),
        _ => 0,
    };
    let again = draw.pick(&seen.spent).filter(|_| draw.one_in(8));
    if again.is_some() || seen.acks.is_empty() || draw.one_in(32) {
        return Input::Durable(again.unwrap_or(*FOREIGN));
    }
    let ack = seen.acks.remove(place);
    seen.spent.push(ack);
    Input::Durable(ack)
}

fn applied(_: &Raft<u8>, seen: &mut Seen, draw: &mut Draw) -> Input<u8> {
    Input::Applied(if draw.flip() { seen.handed } else { draw.near_index(seen.handed) })
}

fn change(_: &Raft<u8>, _: &mut Seen, draw: &mut Draw) -> Input<u8> {
    let change = |draw: &mut Draw| {
        let id = draw.server();
        draw.pick(&[Change::Voter(id), Change::Promote(id), Change::Learner(id), Change::Remove(id)]).unwrap()
    };
    let count = draw.count(4);
    let changes = (0..count).map(|_| change(draw)).collect();
    let transition = if draw.flip() { Transition::Auto } else { Transition::Explicit };
    Input::ChangeMembership { changes, transition }
}

fn compact(raft: &Raft<u8>, _: &mut Seen, draw: &mut Draw) -> Input<u8> {
    let index = if draw.one_in(4) { draw.near_index(raft.applied()) } else { raft.applied() };
    let snapshot = raft.snapshot_meta(index).ok().filter(|_| !draw.one_in(8)).unwrap_or_else(|| {
        let last = Position { index, term: Term(draw.near(raft.term().0)) };
        SnapshotMeta { last, membership: membership(draw) }
    });
    let kept = draw.below(3);
    let through = draw.near_index(Index(index.0.saturating_sub(kept)));
    Input::Compact { snapshot, through }
}

/// What was asked for, something else, or nothing.
fn snapshot_chunk(raft: &Raft<u8>, seen: &mut Seen, draw: &mut Draw) -> Input<u8> {
    let place = draw.count(seen.wanted.len());
    let asked = if place < seen.wanted.len() && !draw.one_in(8) {
        let asked = seen.wanted.remove(place);
        (asked.to, asked.last, asked.offset)
    } else {
        let last = raft.snapshot().map(|snapshot| snapshot.last).unwrap_or_default();
        (draw.server(), last, draw.near(seen.sent_to))
    };
    if draw.one_in(6) {
        return Input::SnapshotUnavailable { to: asked.0 };
    }
    let (to, last, offset) = asked;
    Input::SnapshotChunk { to, last, offset, data: vec![9; draw.count(4)], done: draw.flip() }
}

/// Which kind of input, and which kind of message, for the count of what was tried.
pub fn kind(input: &Input<u8>) -> String {
    match input {
        Input::Receive { message, .. } => format!("receive {}", name_of(&message.body)),
        Input::Timer(timer) => format!("timer {timer:?}"),
        other => name_of(other),
    }
}
