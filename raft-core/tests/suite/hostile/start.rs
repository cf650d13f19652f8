//! Configurations, and what a disk may hold at start: mostly what a crash can leave, sometimes not.

use raft_core::{
    Config, Effects, Entry, HardState, Index, Lease, Limits, LostTail, Membership, NodeId, Payload, Position,
    Raft, Recovered, SnapshotMeta, StartError, Term,
};

use super::draw::Draw;
use super::members::membership;

/// So small that every one is reached.
pub const LIMITS: Limits = Limits {
    append_entries: 2,
    append_bytes: 40,
    inflight_appends: 2,
    inflight_bytes: 60,
    uncommitted_entries: 6,
    uncommitted_bytes: 90,
    pending_reads: 3,
    pending_forwards: 2,
    unapplied_entries: 3,
    unapplied_bytes: 60,
    outstanding_writes: 5,
    promotion_lag: 2,
};

pub fn start(draw: &mut Draw) -> Result<(Raft<u8>, Effects<u8>), StartError> {
    let mut effects = Effects::default();
    let config = config(draw);
    let recovered = recovered(draw);
    Raft::start(config, recovered, &mut effects).map(|raft| (raft, effects))
}

fn config(draw: &mut Draw) -> Config {
    let me = NodeId(1);
    let founders = match draw.below(12) {
        0 => None,
        1 => Some(Membership::new([me])),
        2 => Some(Membership::new([2, 3].map(NodeId)).with_learners([me])),
        3 => Some((*membership(draw)).clone()),
        _ => Some(Membership::new([1, 2, 3].map(NodeId))),
    };
    let check_quorum = !draw.one_in(4);
    Config {
        founders,
        pre_vote: draw.flip(),
        check_quorum,
        lease: (check_quorum && draw.one_in(4)).then_some(Lease { drift_ppm: 1000 }),
        forward: draw.flip(),
        priority: draw.pick(&[0, 0, 1]).unwrap(),
        announce_commits: draw.one_in(4),
        apply_durable: draw.one_in(4),
        limits: LIMITS,
        ..Config::joining(me)
    }
}

fn recovered(draw: &mut Draw) -> Recovered<u8> {
    let snapshot = draw.one_in(3).then(|| {
        let last = Position { index: Index(draw.below(4) + 1), term: Term(draw.below(2) + 1) };
        SnapshotMeta { last: absurd(last, draw), membership: membership(draw) }
    });
    let base = snapshot.as_ref().map(|snapshot| snapshot.last).unwrap_or_default();
    let first = Index(base.index.0.saturating_sub(draw.below(3)));
    let mut term = if first == base.index { base.term.0.max(1) } else { 1 };
    let count = draw.below(5);
    let entries: Vec<Entry<u8>> = (1..=count)
        .map(|i| {
            term = term.saturating_add(draw.below(4) / 3);
            let payload = match draw.below(4) {
                0 => Payload::Noop,
                1 => Payload::Membership(membership(draw)),
                _ => Payload::Command(1),
            };
            let at = Position { index: Index(first.0.saturating_add(i)), term: Term(term) };
            let Position { index, term } = absurd(at, draw);
            Entry { index, term, payload }
        })
        .collect();
    let last = entries.last().map_or(base, Entry::position);
    let current = Term(last.term.0.max(base.term.0).saturating_add(draw.below(2)));
    let lost = Position { index: Index(last.index.0.saturating_add(draw.below(3))), term: current };
    let lost = absurd(lost, draw);
    Recovered {
        boot: 1,
        hard_state: HardState {
            term: if draw.one_in(64) { Term(draw.absurd()) } else { current },
            voted_for: Some(draw.server()).filter(|_| draw.one_in(3)),
            lost_tail: draw.one_in(12).then_some(lost),
        },
        snapshot,
        entries,
        applied: if draw.one_in(8) { draw.near_index(base.index) } else { Index::ZERO },
        lost_tail: match draw.below(12) {
            0 => Some(LostTail::Unknown),
            1 | 2 => Some(LostTail::UpTo(lost)),
            _ => None,
        },
    }
}

fn absurd(position: Position, draw: &mut Draw) -> Position {
    match draw.below(96) {
        0 => Position { index: Index(draw.absurd()), ..position },
        1 => Position { term: Term(draw.absurd()), ..position },
        _ => position,
    }
}
