//! The leader's side of log replication: §5.3, the commitment rule of §5.4.2, and reads (§8, diss. 6.4).

use crate::entry::{Command, ENTRY_OVERHEAD, Entry, Payload};
use crate::error::Refused;
use crate::io::{Effects, Event, Proposed, ReadOutcome, Suspicion, Timer};
use crate::message::{Append, AppendOutcome, AppendResponse, Body};
use crate::mutant::Mutant;
use crate::progress::{Mode, Progress};
use crate::raft::Raft;
use crate::reads::Reads;
use crate::role::{Leadership, Role};
use crate::types::{Index, NodeId, ReadId, Round};

impl<P: Command> Raft<P> {
    /// Won the election. Opens the term with a no-op, so that there is an entry whose commitment commits everything before
    /// it (§5.4.2, §8).
    pub(crate) fn become_leader(&mut self, effects: &mut Effects<P>) {
        let opening = self.log.last().index.next();
        let others = self.config.membership.voters().iter().filter(|&&peer| peer != self.config.id);
        self.role = Role::Leader(Leadership {
            peers: others.map(|&peer| (peer, Progress::new(opening))).collect(),
            opening,
            uncommitted_bytes: 0,
            reads: Reads::default(),
        });
        self.leader = Some(self.config.id);
        self.in_contact = true;
        effects.timers.extend([Timer::Heartbeat, Timer::Contact]);
        self.append_own(std::iter::once(Payload::Noop));
        self.replicate_to_all(effects);
    }

    /// Takes commands, in order, with no others between them (M09).
    pub(crate) fn propose(&mut self, commands: Vec<P>, effects: &mut Effects<P>) -> Result<(), Refused> {
        effects.proposed = None;
        let is_overloaded = self.is_overloaded();
        let limits = self.config.limits;
        let pending = self.log.last().index.distance_from(self.commit);
        let known = self.leader();
        let leadership = self.leadership_mut().ok_or(Refused::NotLeader { leader: known })?;
        if commands.is_empty() {
            return Err(Refused::Empty);
        }
        let bytes: usize = commands.iter().map(|command| command.size() + ENTRY_OVERHEAD).sum();
        let too_many = pending.saturating_add(commands.len() as u64) > limits.uncommitted_entries as u64;
        let too_large = leadership.uncommitted_bytes.saturating_add(bytes) > limits.uncommitted_bytes
            && leadership.uncommitted_bytes > 0;
        if too_many || too_large || is_overloaded {
            return Err(Refused::QuotaFull);
        }
        let first = self.log.last().index.next();
        self.append_own(commands.into_iter().map(Payload::Command));
        effects.proposed = Some(Proposed { term: self.hard.term, first, last: self.log.last().index });
        self.replicate_to_all(effects);
        Ok(())
    }

    /// A linearizable read: its index is what is committed now, or will be once this term has committed its opening; it is
    /// released when a quorum confirms that this server still led after the read arrived.
    pub(crate) fn read(&mut self, id: ReadId, effects: &mut Effects<P>) -> Result<(), Refused> {
        let commit = self.commit;
        let known = self.leader();
        let limit = self.config.limits.pending_reads;
        let mutant = self.config.mutant;
        let leadership = self.leadership_mut().ok_or(Refused::NotLeader { leader: known })?;
        if leadership.reads.len() >= limit {
            return Err(Refused::QuotaFull);
        }
        // A new leader holds every committed entry but does not know up to where they are committed (§8, etcd #7331).
        let index =
            if mutant.is(Mutant::ReadBeforeOwnCommit) { commit } else { commit.max(leadership.opening) };
        if mutant.is(Mutant::ReadWithoutQuorum) {
            effects.reads.push(ReadOutcome::Ready { id, index: commit });
            return Ok(());
        }
        if leadership.reads.add(id, index) {
            self.broadcast_heartbeats(effects);
            self.confirm_reads(effects);
        }
        Ok(())
    }

    /// Time to be heard again. A probe that got no answer is repeated without its entries: those follow when it is answered,
    /// and a peer that is down costs next to nothing.
    pub(crate) fn heartbeat(&mut self, effects: &mut Effects<P>) {
        effects.timers.push(Timer::Heartbeat);
        for peer in self.peers() {
            self.send_heartbeat(peer, effects);
        }
    }

    /// Check-quorum (diss. 6.2): a leader that has not heard from a quorum for a whole timeout steps down, in the same term,
    /// so that its clients look elsewhere; a follower that has not heard from its leader will not defend it any longer.
    pub(crate) fn check_contact(&mut self, effects: &mut Effects<P>) {
        let quorum = self.quorum();
        let Some(leadership) = self.leadership_mut() else {
            self.in_contact = false;
            return;
        };
        let heard = 1 + leadership.peers.iter().filter(|(_, progress)| progress.active).count();
        for (_, progress) in &mut leadership.peers {
            progress.active = false;
        }
        if heard < quorum {
            self.become_follower(effects);
        } else {
            effects.timers.push(Timer::Contact);
        }
    }

    pub(crate) fn on_append_response(
        &mut self,
        from: NodeId,
        response: AppendResponse,
        effects: &mut Effects<P>,
    ) {
        let last = self.log.last().index;
        let regresses = self.has_mutant(Mutant::MatchRegress);
        let Some(progress) = self.progress_mut(from) else { return };
        progress.active = true;
        match response.outcome {
            AppendOutcome::Accepted { matched } if matched > last => {
                let reason = Suspicion::AcknowledgedBeyondLog;
                return effects.events.push(Event::Suspect { from, reason });
            }
            AppendOutcome::Accepted { matched } if regresses => {
                progress.matched = matched;
                progress.next = matched.next();
            }
            AppendOutcome::Accepted { matched } => progress.acknowledge(matched),
            AppendOutcome::Rejected { refused, hint } => {
                let candidate = self.log.last_at_most(hint.index.min(refused), hint.term).index;
                if let Some(progress) = self.progress_mut(from) {
                    progress.reject(refused, candidate);
                }
            }
        }
        self.note_round(from, response.round, effects);
        self.advance_commit(effects);
        self.replicate(from, effects);
    }

    /// Figure 2: "if there exists an N such that a majority of matchIndex[i] >= N, and log[N].term == currentTerm: set
    /// commitIndex = N". Entries of earlier terms are committed only by one of this term after them (§5.4.2, Figure 8).
    pub(crate) fn advance_commit(&mut self, effects: &mut Effects<P>) {
        let own = self.durability.log_end();
        let Role::Leader(leadership) = &self.role else { return };
        let reached = |voter| leadership.peer(voter).map_or(own, |progress| progress.matched);
        let candidate = self.config.membership.reached_by(self.quorum(), reached);
        let is_own_term = self.log.term_at(candidate) == Some(self.hard.term);
        if candidate <= self.commit || !(is_own_term || self.has_mutant(Mutant::CommitOlderTerm)) {
            return;
        }
        let after = self.commit.max(leadership.opening.previous());
        let freed = self.log.bytes_between(after, candidate);
        self.commit = candidate;
        if let Some(leadership) = self.leadership_mut() {
            leadership.uncommitted_bytes = leadership.uncommitted_bytes.saturating_sub(freed);
        }
        self.confirm_reads(effects);
    }

    pub(crate) fn peer_unreachable(&mut self, peer: NodeId) {
        if let Some(progress) = self.progress_mut(peer)
            && matches!(progress.mode, Mode::Replicate { .. })
        {
            progress.probe_from(progress.matched.next());
            // The next heartbeat repeats the probe; until then a dead peer costs nothing.
            progress.mode = Mode::Probe { waiting: true };
        }
    }

    /// A peer has echoed a round: it followed this leader after every read that the round is for had arrived.
    fn note_round(&mut self, from: NodeId, round: Round, effects: &mut Effects<P>) {
        let Some(leadership) = self.leadership_mut() else { return };
        let newest = leadership.reads.round();
        if let Some(progress) = leadership.peer_mut(from) {
            progress.round = progress.round.max(round.min(newest));
        }
        self.confirm_reads(effects);
    }

    fn confirm_reads(&mut self, effects: &mut Effects<P>) {
        let quorum = self.quorum();
        loop {
            let membership = &self.config.membership;
            let Role::Leader(leadership) = &mut self.role else { return };
            let newest = leadership.reads.round();
            let peers = &leadership.peers;
            let echoed = |voter| match peers.iter().find(|(peer, _)| *peer == voter) {
                Some((_, progress)) => progress.round,
                None => newest,
            };
            let confirmed = membership.reached_by(quorum, echoed);
            let begins = leadership.reads.confirm(confirmed);
            while let Some((id, index)) = leadership.reads.pop_confirmed() {
                effects.reads.push(ReadOutcome::Ready { id, index });
            }
            if !begins {
                return;
            }
            self.broadcast_heartbeats(effects);
        }
    }

    fn append_own(&mut self, payloads: impl Iterator<Item = Payload<P>>) {
        let first = self.log.last().index.next();
        for payload in payloads {
            let entry = Entry { index: self.log.last().index.next(), term: self.hard.term, payload };
            let size = entry.size();
            self.log.push(entry);
            if let Some(leadership) = self.leadership_mut() {
                leadership.uncommitted_bytes += size;
            }
        }
        self.durability.log_changed(first, self.config.mutant);
    }

    fn replicate_to_all(&mut self, effects: &mut Effects<P>) {
        for peer in self.peers() {
            self.replicate(peer, effects);
        }
    }

    /// Sends a peer what it lacks, as far as its window is open.
    fn replicate(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let max_inflight = self.config.limits.inflight_appends;
        loop {
            let last = self.log.last().index;
            let Some(progress) = self.progress_mut(peer) else { return };
            if progress.next > last || !progress.may_send(max_inflight) {
                return;
            }
            self.send_append(peer, effects);
        }
    }

    /// One append with as many entries as fit (E08). A probe carries some too: most often the logs agree.
    fn send_append(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let limits = self.config.limits;
        let Some(next) = self.progress_mut(peer).map(|progress| progress.next) else { return };
        let entries = self.log.slice(next, limits.append_entries, limits.append_bytes);
        let last = next.previous().plus(entries.len());
        self.send_entries(peer, next, entries, effects);
        if let Some(progress) = self.progress_mut(peer) {
            progress.sent(last);
        }
    }

    /// An append without entries. It still checks the log before `next` (D19): that is how a lost append is noticed (D17).
    fn send_heartbeat(&mut self, peer: NodeId, effects: &mut Effects<P>) {
        let Some(next) = self.progress_mut(peer).map(|progress| progress.next) else { return };
        self.send_entries(peer, next, Vec::new(), effects);
    }

    fn broadcast_heartbeats(&mut self, effects: &mut Effects<P>) {
        for peer in self.peers() {
            self.send_heartbeat(peer, effects);
        }
    }

    fn send_entries(&mut self, to: NodeId, next: Index, entries: Vec<Entry<P>>, effects: &mut Effects<P>) {
        let Some(prev) = self.log.position_at(next.previous()) else { return };
        let commit = self.commit;
        let Some(round) = self.leadership_mut().map(|leadership| leadership.reads.round()) else { return };
        self.send(to, Body::Append(Append { prev, entries, commit, round }), effects);
    }

    fn peers(&self) -> Vec<NodeId> {
        match &self.role {
            Role::Leader(leadership) => leadership.peers.iter().map(|(peer, _)| *peer).collect(),
            _ => Vec::new(),
        }
    }

    fn progress_mut(&mut self, peer: NodeId) -> Option<&mut Progress> {
        self.leadership_mut().and_then(|leadership| leadership.peer_mut(peer))
    }
}
