//! Leader election: §5.2, the restriction of §5.4.1, pre-vote (diss. 9.6) and stickiness (diss. 4.2.3).

use crate::entry::Command;
use crate::io::{Effects, Event, Suspicion, Timer};
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
        if is_waiting || self.is_overloaded() || self.hard.term >= Term::LIMIT {
            return;
        }
        if !self.config.pre_vote {
            return self.stand_for_election();
        }
        self.role = Role::Candidate(Candidacy::new(Phase::PreVote));
        let request = Body::PreVoteRequest { next_term: self.hard.term.next(), last: self.log.last() };
        self.send_to_others(&request, effects);
        self.count_votes(self.config.id, true, effects);
    }

    /// Figure 2, "on conversion to candidate": a new term and a vote for itself. Both go to the disk first; votes are asked
    /// for when they are there (see `promises`), so that no vote ever rests on a term its candidate may forget.
    fn stand_for_election(&mut self) {
        self.hard = HardState { term: self.hard.term.next(), voted_for: Some(self.config.id) };
        self.leader = None;
        self.in_contact = false;
        self.role = Role::Candidate(Candidacy::new(Phase::Unannounced));
    }

    /// Term and own vote are durable: ask for the others', and count the own one only now (B11).
    pub(crate) fn announce_candidacy(&mut self, effects: &mut Effects<P>) {
        if let Role::Candidate(candidacy) = &mut self.role {
            candidacy.phase = Phase::Vote;
        }
        // What the disk took is not taken from the voters' time.
        effects.timers.push(Timer::Election);
        self.send_to_others(&Body::VoteRequest { last: self.log.last() }, effects);
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
        effects: &mut Effects<P>,
    ) {
        if next_term != term.next() {
            return effects.events.push(Event::Suspect { from, reason: Suspicion::UnaskedVote });
        }
        let granted =
            next_term > self.hard.term && !self.is_sticky() && last.is_up_to_date_with(self.log.last());
        self.send(from, Body::PreVoteResponse { next_term, granted }, effects);
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
    pub(crate) fn on_vote_request(&mut self, from: NodeId, last: Position, effects: &mut Effects<P>) {
        let is_free = match self.hard.voted_for {
            Some(candidate) => candidate == from,
            None => self.leader.is_none(),
        };
        let is_free = is_free || (self.has_mutant(Mutant::TwoVotes) && !matches!(self.role, Role::Leader(_)));
        let is_good =
            last.is_up_to_date_with(self.log.last()) || self.has_mutant(Mutant::VoteWithoutLogCheck);
        if !(is_free && is_good) {
            return self.send(from, Body::VoteResponse { granted: false }, effects);
        }
        self.hard.voted_for = Some(from);
        // A pre-candidate that votes for another gives up its own plans.
        self.role = Role::Follower(Following { owes_vote: true, ..self.following() });
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
        let quorum = self.quorum();
        let voters = self.config.membership.voters().len();
        let counts_duplicates = self.has_mutant(Mutant::CountDuplicateVote);
        let Role::Candidate(candidacy) = &mut self.role else { return };
        if !candidacy.record(from, granted) && granted && counts_duplicates {
            candidacy.duplicates += 1;
        }
        let phase = candidacy.phase;
        let given = candidacy.votes.iter().filter(|(_, granted)| *granted).count() + candidacy.duplicates;
        let refused = candidacy.votes.len().saturating_sub(given);
        if given >= quorum {
            match phase {
                Phase::PreVote => self.stand_for_election(),
                Phase::Unannounced | Phase::Vote => self.become_leader(effects),
            }
        } else if refused > voters - quorum {
            // Lost: the rest cannot make a quorum any more. Wait for the winner, or for the next timeout.
            self.become_follower(effects);
        }
    }

    /// A server that hears from a leader, or is one with a quorum behind it, wants no other.
    pub(crate) fn is_sticky(&self) -> bool {
        self.config.pre_vote && self.in_contact
    }

    fn following(&self) -> Following {
        match &self.role {
            Role::Follower(following) => following.clone(),
            _ => Following::default(),
        }
    }

    fn send_to_others(&self, body: &Body<P>, effects: &mut Effects<P>) {
        for &peer in self.config.membership.voters().iter().filter(|&&peer| peer != self.config.id) {
            self.send(peer, body.clone(), effects);
        }
    }
}

impl Candidacy {
    fn new(phase: Phase) -> Self {
        Candidacy { phase, votes: Vec::new(), duplicates: 0 }
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
