//! Leader election: §5.2, the restriction of §5.4.1, pre-vote (diss. 9.6) and stickiness (diss. 4.2.3).

use crate::entry::Command;
use crate::error::Refused;
use crate::event::{Event, Suspicion};
use crate::io::{Effects, Timer};
use crate::membership::Tally;
use crate::message::Body;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::{Candidacy, Following, Phase, Role};
use crate::types::{HardState, NodeId, Position, Term};

impl<P: Command> Raft<P> {
    /// The election timeout elapsed without a leader (§5.2).
    pub(crate) fn campaign(&mut self, effects: &mut Effects<P>) {
        effects.timers.push(Timer::Election);
        self.in_contact = false;
        // A candidacy that is still on its way to a slow disk goes on: a new one would only begin to wait again.
        let is_waiting = matches!(&self.role, Role::Candidate(c) if c.phase == Phase::Unannounced);
        let may = self.is_promotable() && !self.is_overloaded() && self.hard.term < Term::LIMIT;
        if is_waiting || !may {
            if let Role::Follower(following) = &mut self.role {
                following.asked.abandon(effects);
            }
            return;
        }
        if !self.config.pre_vote {
            return self.stand_for_election(false, effects);
        }
        self.change_role(Role::Candidate(Candidacy::new(Phase::PreVote, false)), effects);
        let (next_term, last, priority) = (self.hard.term.next(), self.log.last(), self.config.priority);
        let request = Body::PreVoteRequest { next_term, last, priority };
        self.send_to_voters(&request, effects);
        self.count_votes(self.config.id, true, effects);
    }

    /// The host wants this server to campaign now.
    pub(crate) fn campaign_as_told(&mut self, effects: &mut Effects<P>) -> Result<(), Refused> {
        let is_leader = matches!(self.role, Role::Leader(_));
        if is_leader || self.is_overloaded() || !self.is_promotable() {
            return Err(Refused::CannotCampaign);
        }
        if self.config.lease.is_some() && self.in_contact {
            // Its own vote counts against its leader's lease like any other.
            return Err(Refused::LeasesForbid);
        }
        self.campaign(effects);
        Ok(())
    }

    /// The host wants another leader: this follower does not defend the one it has any longer (C15).
    pub(crate) fn forget_leader(&mut self, effects: &mut Effects<P>) -> Result<(), Refused> {
        if self.config.lease.is_some() {
            return Err(Refused::LeasesForbid);
        }
        if let Role::Follower(following) = &mut self.role {
            following.asked.abandon(effects);
            self.in_contact = false;
        }
        Ok(())
    }

    /// Figure 2, "on conversion to candidate": a new term and a vote for itself. Both go to the disk first; votes are asked
    /// for when they are there (see `promises`), so that no vote ever rests on a term its candidate may forget.
    pub(crate) fn stand_for_election(&mut self, by_transfer: bool, effects: &mut Effects<P>) {
        if self.hard.term >= Term::LIMIT || self.is_overloaded() {
            return;
        }
        let term = self.hard.term.next();
        self.hard = HardState { term, voted_for: Some(self.config.id), ..self.hard };
        self.leader = None;
        self.in_contact = false;
        self.change_role(Role::Candidate(Candidacy::new(Phase::Unannounced, by_transfer)), effects);
    }

    /// Term and own vote are durable: ask for the others', and count the own one only now (B11).
    pub(crate) fn announce_candidacy(&mut self, effects: &mut Effects<P>) {
        let Role::Candidate(candidacy) = &mut self.role else { return };
        candidacy.phase = Phase::Vote;
        let by_transfer = candidacy.by_transfer;
        // What the disk took is not taken from the voters' time.
        effects.timers.push(Timer::Election);
        let (last, priority) = (self.log.last(), self.config.priority);
        self.send_to_voters(&Body::VoteRequest { last, priority, by_transfer }, effects);
        self.count_votes(self.config.id, true, effects);
    }

    /// "Would you vote for me?" Yes, to a candidate with a good log, if this server sees no leader either. Nothing is
    /// promised, written or changed, not even the term (C01).
    pub(crate) fn on_pre_vote_request(
        &mut self,
        from: NodeId,
        term: Term,
        next_term: Term,
        last: Position,
        priority: u8,
        effects: &mut Effects<P>,
    ) {
        if next_term != term.next() {
            return effects.events.push(Event::Suspect { from, reason: Suspicion::UnaskedVote });
        }
        let granted = next_term > self.hard.term && !self.is_sticky() && self.is_good_log(last, priority);
        self.send(from, Body::PreVoteResponse { next_term, granted }, effects);
    }

    /// §5.4.1: the candidate's log is at least as up to date as this server's: as the one it has, or as the longer one it
    /// once had and vouched for. Of equal logs, one with a lower priority is not good enough for a server that can lead
    /// itself (B20).
    fn is_good_log(&self, last: Position, priority: u8) -> bool {
        let own = self.log.last();
        let lost = self.hard.lost_tail.filter(|_| !self.has_mutant(Mutant::VoteWithLostTail));
        let yields = last == own && priority < self.config.priority && self.is_promotable();
        last.is_up_to_date_with(own) && lost.is_none_or(|lost| last.is_up_to_date_with(lost)) && !yields
    }

    pub(crate) fn on_pre_vote_response(
        &mut self,
        from: NodeId,
        next_term: Term,
        granted: bool,
        effects: &mut Effects<P>,
    ) {
        let is_asking = matches!(&self.role, Role::Candidate(c) if c.phase == Phase::PreVote);
        if is_asking && next_term == self.hard.term.next() {
            self.count_votes(from, granted, effects);
        }
    }

    /// Figure 2, RequestVote, receiver implementation. The grant itself leaves when the vote is durable.
    pub(crate) fn on_vote_request(
        &mut self,
        from: NodeId,
        last: Position,
        priority: u8,
        effects: &mut Effects<P>,
    ) {
        let is_free = match self.hard.voted_for {
            Some(candidate) => candidate == from,
            None => self.leader.is_none(),
        };
        let is_free = is_free || (self.has_mutant(Mutant::TwoVotes) && !matches!(self.role, Role::Leader(_)));
        let is_good = self.is_good_log(last, priority) || self.has_mutant(Mutant::VoteWithoutLogCheck);
        if !(is_free && is_good) {
            return self.send(from, Body::VoteResponse { granted: false }, effects);
        }
        self.hard.voted_for = Some(from);
        match &mut self.role {
            Role::Follower(following) => following.owes_vote = true,
            // A pre-candidate that votes for another gives up its own plans.
            _ => self
                .change_role(Role::Follower(Following { owes_vote: true, ..Following::default() }), effects),
        }
        // B22: only a vote that is given restarts the clock, not one that is refused.
        effects.timers.push(Timer::Election);
    }

    pub(crate) fn on_vote_response(&mut self, from: NodeId, granted: bool, effects: &mut Effects<P>) {
        match &self.role {
            Role::Candidate(c) if c.phase == Phase::Vote => self.count_votes(from, granted, effects),
            // A vote before it was asked for: the request has not left the core. (A refusal may well answer an older one.)
            Role::Candidate(c) if c.phase == Phase::Unannounced && granted => {
                effects.events.push(Event::Suspect { from, reason: Suspicion::UnaskedVote });
            }
            // An answer to an election that is over (B21).
            _ => {}
        }
    }

    /// Counts an answer to the question of the current phase, and acts if that decides it.
    fn count_votes(&mut self, from: NodeId, granted: bool, effects: &mut Effects<P>) {
        let mutant = self.config.mutant;
        let Role::Candidate(candidacy) = &mut self.role else { return };
        if !candidacy.record(from, granted) && granted && mutant.is(Mutant::CountDuplicateVote) {
            candidacy.duplicates += 1;
        }
        let phase = candidacy.phase;
        let tally =
            self.log.membership().tally(mutant, candidacy.duplicates, |voter| candidacy.answer(voter));
        match (tally, phase) {
            (Tally::Won, Phase::PreVote) => self.stand_for_election(false, effects),
            (Tally::Won, Phase::Unannounced | Phase::Vote) => self.become_leader(effects),
            // The rest cannot make a quorum any more. Wait for the winner, or for the next timeout.
            (Tally::Lost, _) => self.become_follower(effects),
            (Tally::Open, _) => {}
        }
    }

    /// A server that hears from a leader, or is one with a quorum behind it, wants no other.
    pub(crate) fn is_sticky(&self) -> bool {
        self.config.check_quorum && self.in_contact
    }

    fn send_to_voters(&self, body: &Body<P>, effects: &mut Effects<P>) {
        let membership = self.log.membership();
        for voter in membership.members().filter(|&id| id != self.config.id && membership.is_voter(id)) {
            self.send(voter, body.clone(), effects);
        }
    }
}

impl Candidacy {
    fn new(phase: Phase, by_transfer: bool) -> Self {
        Candidacy { phase, by_transfer, votes: Vec::new(), duplicates: 0 }
    }

    fn answer(&self, voter: NodeId) -> Option<bool> {
        let place = self.votes.binary_search_by_key(&voter, |(id, _)| *id).ok()?;
        self.votes.get(place).map(|(_, granted)| *granted)
    }

    /// Notes the answer of a voter; repetitions change nothing. A vote stands, but a refusal may have answered a request of
    /// an earlier term, so that a vote may follow it. Returns whether the answer was news.
    fn record(&mut self, from: NodeId, granted: bool) -> bool {
        match self.votes.binary_search_by_key(&from, |(voter, _)| *voter) {
            Ok(place) => match self.votes.get_mut(place) {
                Some((_, answer)) if granted && !*answer => {
                    *answer = true;
                    true
                }
                _ => false,
            },
            Err(place) => {
                self.votes.insert(place, (from, granted));
                true
            }
        }
    }
}
