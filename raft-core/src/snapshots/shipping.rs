//! The leader's side of a snapshot transfer (§7): one chunk at a time, read by the host, sent, acknowledged.
//!
//! A chunk that is lost, or whose answer is, is read again from where the follower says it is: at the next heartbeat if the
//! follower said something unexpected, else after an election timeout without progress. An answer that was expected by nobody
//! moves nothing, so that duplicates cannot multiply.

use std::sync::Arc;

use super::{ReadChunk, SnapshotMeta};
use crate::entry::Command;
use crate::event::Event;
use crate::io::Effects;
use crate::message::{Body, SnapshotChunk};
use crate::raft::Raft;
use crate::replication::Mode;
use crate::types::{Index, NodeId, Position, Round};

/// A transfer to one peer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Shipping {
    pub(crate) snapshot: Arc<SnapshotMeta>,
    /// The peer has the bytes before this.
    offset: u64,
    state: State,
    /// Nothing has moved since the last look.
    is_stuck: bool,
    /// The peer's host wants it, whatever the peer's log holds.
    is_wanted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum State {
    /// The host is reading the next chunk.
    Reading,
    /// The chunk up to here is on its way.
    Sent { end: u64, done: bool },
    /// Everything has arrived; the peer is making it durable.
    Installing,
    /// To be gone on with at the next heartbeat.
    Lost,
}

/// What an acknowledgement means for a transfer.
pub(crate) enum Outcome {
    /// The peer has what it lacked: appends again (F04, F05).
    Enough,
    /// It has this snapshot, but more is compacted away since: another one (F14).
    Superseded,
    /// Nothing.
    GoesOn,
}

impl Shipping {
    fn begin(snapshot: Arc<SnapshotMeta>, is_wanted: bool) -> Self {
        Shipping { snapshot, offset: 0, state: State::Reading, is_stuck: false, is_wanted }
    }

    /// What becomes of the transfer when the peer's log is known to be there up to `matched`, and entries up to `base` are
    /// compacted away here.
    pub(crate) fn outcome(&self, matched: Index, base: Index) -> Outcome {
        let is_here = matched >= self.snapshot.last.index;
        if self.is_wanted && !(is_here && self.state == State::Installing) {
            Outcome::GoesOn
        } else if matched >= base {
            Outcome::Enough
        } else if is_here {
            Outcome::Superseded
        } else {
            Outcome::GoesOn
        }
    }

    /// Something did not get through.
    pub(crate) fn lose(&mut self) {
        self.state = State::Lost;
    }

    /// An election timeout has passed. Was there any progress in it?
    pub(crate) fn note_timeout(&mut self) {
        let is_waiting = matches!(self.state, State::Sent { .. } | State::Installing);
        if is_waiting && std::mem::replace(&mut self.is_stuck, true) {
            // What was wanted may have been overtaken. Its log may do without; if not, it asks again.
            self.is_wanted = false;
            if self.state == State::Installing {
                // Has it crashed meanwhile? Then it begins anew; else it will say that it is there.
                self.offset = 0;
            }
            self.state = State::Lost;
        }
    }
}

impl<P: Command> Raft<P> {
    /// The peer lacks entries that are compacted away. It gets the latest snapshot, if it has been heard of lately: to a
    /// peer that is down nothing is read from the disk (F01).
    pub(crate) fn begin_shipping(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let Some(progress) = self.progress_mut(peer).filter(|progress| progress.active) else { return };
        let last = snapshot.last;
        let is_wanted = progress.wants_snapshot.take_if(|at_least| *at_least <= last.index).is_some();
        progress.mode = Mode::Snapshot(Shipping::begin(snapshot, is_wanted));
        effects.snapshots.push(ReadChunk { to: peer, last, offset: 0 });
    }

    /// The host has read what was asked for. Whatever changed meanwhile, an answer that fits nothing is dropped (E15).
    pub(crate) fn send_chunk(
        &mut self,
        to: NodeId,
        last: Position,
        offset: u64,
        data: Vec<u8>,
        done: bool,
        effects: &mut Effects<P>,
    ) {
        let Some(round) = self.leadership().map(|leadership| leadership.reads.round()) else { return };
        let Some(shipping) = self.shipping_mut(to) else { return };
        let is_asked = shipping.state == State::Reading
            && (shipping.snapshot.last, shipping.offset) == (last, offset)
            && (done || !data.is_empty());
        if !is_asked {
            return;
        }
        let end = offset.saturating_add(data.len() as u64);
        (shipping.state, shipping.is_stuck) = (State::Sent { end, done }, false);
        let snapshot = Arc::clone(&shipping.snapshot);
        self.send(to, Body::Snapshot(SnapshotChunk { snapshot, offset, data, done, round }), effects);
    }

    /// The host cannot read it: probe, and begin again with the latest snapshot when the peer is heard of (F03, F11).
    pub(crate) fn snapshot_unavailable(&mut self, to: NodeId) {
        if let Some(progress) = self.progress_mut(to)
            && matches!(progress.mode, Mode::Snapshot(_))
        {
            progress.mode = Mode::Probe { waiting: true };
        }
    }

    pub(crate) fn on_snapshot_response(
        &mut self,
        from: NodeId,
        last: Position,
        next: u64,
        round: Round,
        effects: &mut Effects<P>,
    ) {
        let Some(progress) = self.progress_mut(from) else { return };
        progress.active = true;
        if let Mode::Snapshot(shipping) = &mut progress.mode
            && shipping.snapshot.last == last
            && let State::Sent { end, done } = shipping.state
        {
            // It may be further than this, from an earlier attempt.
            (shipping.offset, shipping.is_stuck) = (next, false);
            shipping.state = match (next == end, done) {
                (false, _) => State::Lost,
                (true, true) => State::Installing,
                (true, false) => State::Reading,
            };
            if shipping.state == State::Reading {
                effects.snapshots.push(ReadChunk { to: from, last, offset: next });
            }
        }
        self.note_round(from, round, effects);
    }

    /// With a heartbeat: goes on where something was lost.
    pub(crate) fn resume_shipping(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        if let Some(shipping) = self.shipping_mut(peer)
            && shipping.state == State::Lost
        {
            shipping.state = State::Reading;
            effects.snapshots.push(ReadChunk {
                to: peer,
                last: shipping.snapshot.last,
                offset: shipping.offset,
            });
        }
    }

    /// A follower asks for a snapshot whatever its log holds (F12).
    pub(crate) fn on_snapshot_request(&mut self, from: NodeId, at_least: Index, effects: &mut Effects<P>) {
        let latest = self.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.last.index);
        let Some(progress) = self.progress_mut(from) else { return };
        progress.active = true;
        if matches!(progress.mode, Mode::Snapshot(_)) {
            return;
        }
        let is_news = progress.wants_snapshot.replace(at_least) != Some(at_least);
        if latest < at_least || latest == Index::ZERO {
            if is_news {
                effects.events.push(Event::SnapshotWanted { by: from, at_least });
            }
            return;
        }
        self.begin_shipping(from, effects);
    }

    /// There is a new snapshot: those that were waiting for one get it.
    pub(crate) fn ship_what_was_wanted(&mut self, effects: &mut Effects<P>) {
        let latest = self.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.last.index);
        self.for_each_peer(|raft, peer| {
            let progress = raft.progress_mut(peer);
            let waits = progress.is_some_and(|progress| {
                progress.wants_snapshot.is_some_and(|at_least| at_least <= latest)
                    && !matches!(progress.mode, Mode::Snapshot(_))
            });
            if waits {
                raft.begin_shipping(peer, effects);
            }
        });
    }

    fn shipping_mut(&mut self, peer: NodeId) -> Option<&mut Shipping> {
        match &mut self.progress_mut(peer)?.mode {
            Mode::Snapshot(shipping) => Some(shipping),
            _ => None,
        }
    }
}
