//! What a leader sends (§5.3): entries that a peer lacks, and heartbeats.

use crate::entries::Entries;
use crate::entry::{Command, Entry};
use crate::io::Effects;
use crate::log::fitting;
use crate::message::{Append, Body, Message, Outbound};
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::replication::{Mode, Progress};
use crate::types::{Index, NodeId, Term};

impl<P: Command> Raft<P> {
    pub(crate) fn replicate_to_all(&mut self, effects: &mut Effects<P>) {
        self.for_each_peer(|raft, peer| raft.replicate(peer, effects));
    }

    /// Sends a peer what it lacks, as far as its window is open.
    pub(crate) fn replicate(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let limits = self.config.limits;
        loop {
            let (last, base) = (self.log.last().index, self.log.base().index);
            let Some(progress) = self.progress_mut(peer) else { return };
            if progress.next > last || matches!(progress.mode, Mode::Snapshot(_)) {
                return;
            }
            if progress.next <= base {
                // Even while a probe is under way: no answer to it leads anywhere any more.
                return self.begin_shipping(peer, effects);
            }
            if !progress.may_send(&limits) {
                return;
            }
            self.send_append(peer, effects);
        }
    }

    /// One append with as many entries as fit (E08). A probe carries some too: most often the logs agree.
    fn send_append(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let Some(next) = self.progress_mut(peer).map(|progress| progress.next) else { return };
        let entries = self.entries_from(next);
        let last = next.previous().plus(entries.len());
        let bytes = entries.iter().map(Entry::size).sum();
        self.send_entries(peer, next.previous(), entries, effects);
        if let Some(progress) = self.progress_mut(peer) {
            progress.sent(last, bytes);
        }
    }

    /// An append without entries. It still checks the log before `next` (D19): that is how a lost append is noticed (D17).
    pub(crate) fn send_heartbeat(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let base = self.log.base().index;
        let Some(progress) = self.progress_mut(peer) else { return };
        // Of what is compacted away, only the last entry is still known.
        let is_behind = progress.next <= base || matches!(progress.mode, Mode::Snapshot(_));
        let prev = if is_behind { base } else { progress.next.previous() };
        self.send_entries(peer, prev, Entries::none(), effects);
    }

    pub(crate) fn broadcast_heartbeats(&mut self, effects: &mut Effects<P>) {
        self.for_each_peer(|raft, peer| raft.send_heartbeat(peer, effects));
    }

    /// What a peer that is no member any more has to know: the log up to the entry that removed it, committed (G16). Once.
    pub(crate) fn send_farewell(&self, peer: NodeId, progress: &Progress, effects: &mut Effects<P>) {
        if progress.next > self.log.base().index {
            let entries = self.entries_from(progress.next);
            self.send_entries(peer, progress.next.previous(), entries, effects);
        }
    }

    /// Entries from `next` on, as many as go into one append: those that were just appended, in the memory that the write and
    /// the other peers' messages share, or others from the log.
    fn entries_from(&self, next: Index) -> Entries<P> {
        let limits = self.config.limits;
        match self.durability.run_from(next) {
            Some(run) => run.take(fitting(run.iter().take(limits.append_entries), limits.append_bytes)),
            None => self.log.slice(next, limits.append_entries, limits.append_bytes),
        }
    }

    fn send_entries(&self, to: NodeId, prev: Index, entries: Entries<P>, effects: &mut Effects<P>) {
        let Some(mut prev) = self.log.position_at(prev) else { return };
        if self.has_mutant(Mutant::AppendAfterCompaction) && prev == self.log.base() {
            prev.term = Term::default();
        }
        let Some(round) = self.leadership().map(|leadership| leadership.reads.round()) else { return };
        let append = Append { prev, entries, commit: self.commit, round };
        let limits = (self.config.limits.append_entries, self.config.limits.append_bytes);
        coalesce(to, Message { term: self.hard.term, body: Body::Append(append) }, limits, effects);
    }

    /// Calls `act` for each peer, in ascending order of id.
    pub(crate) fn for_each_peer(&mut self, mut act: impl FnMut(&mut Self, NodeId)) {
        let mut place = 0;
        while let Some(&(peer, _)) = self.leadership().and_then(|leadership| leadership.peers.get(place)) {
            act(self, peer);
            place += 1;
        }
    }

    pub(crate) fn progress_mut(&mut self, peer: NodeId) -> Option<&mut Progress> {
        self.leadership_mut().and_then(|leadership| leadership.peer_mut(peer))
    }
}

/// Adds an append to what is to be sent. Where the one before it to the same peer is still there and this one only goes on
/// (E09), the two become one, if the host is not worse off for it: entries are copied at most as often as the logarithm
/// of their number, because only runs of about the same length are joined.
fn coalesce<P: Command>(to: NodeId, message: Message<P>, limits: (usize, usize), effects: &mut Effects<P>) {
    effects.send.push(Outbound { to, message });
    while let Some((place, joined)) = joinable(to, limits, effects) {
        let Some(Outbound { message: Message { body: Body::Append(newest), .. }, .. }) = effects.send.pop()
        else {
            return;
        };
        if let Some(Outbound { message: Message { body: Body::Append(earlier), .. }, .. }) =
            effects.send.get_mut(place)
        {
            *earlier = Append { prev: earlier.prev, entries: joined, ..newest };
        }
        // It is the newest message to this peer, and what was between is for others.
        let moved = effects.send.remove(place);
        effects.send.push(moved);
    }
}

/// The message that the last one goes on from, and the entries of both.
fn joinable<P: Command>(
    to: NodeId,
    (count, bytes): (usize, usize),
    effects: &Effects<P>,
) -> Option<(usize, Entries<P>)> {
    let (newest, before) = effects.send.split_last()?;
    let Body::Append(second) = &newest.message.body else { return None };
    if second.entries.is_empty() {
        return None;
    }
    // Not further back than one message for each of a few peers: this is about bursts.
    let recent = before.iter().enumerate().rev().take(COALESCE_WINDOW);
    let (place, earlier) = recent.into_iter().find(|(_, outbound)| outbound.to == to)?;
    let Body::Append(first) = &earlier.message.body else { return None };
    let end = first.entries.last()?;
    let goes_on = earlier.message.term == newest.message.term && second.prev == end.position();
    let is_worth_it =
        first.entries.len() <= second.entries.len() && first.entries.len() + second.entries.len() <= count;
    if !goes_on || !is_worth_it {
        return None;
    }
    let both = first.entries.iter().chain(&second.entries);
    (both.clone().map(Entry::size).sum::<usize>() <= bytes).then(|| (place, both.cloned().collect()))
}

/// How far back a message is looked for that the newest one goes on from.
const COALESCE_WINDOW: usize = 16;
