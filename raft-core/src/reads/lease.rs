//! Leases (diss. 6.4.1): for a while after a quorum has echoed a round, no other leader can have been elected.
//!
//! Every server that echoes has armed its contact timer for `t` after the round was sent, and refuses its vote to others until
//! that runs out (stickiness); and every quorum that could elect another leader has one of these servers in it. So counted from
//! when the round was *sent*, nobody else leads for `t` by the clocks of those servers. The leader's own clock may be slow,
//! theirs fast: with a drift of at most `d`, its lease is `t * (1 - d) / (1 + d)` long.
//!
//! What ends it: time, by the same `now` with which the read comes (so a pause ends it too); losing the office; a change of the
//! members, after which other quorums count; telling a peer to campaign, which stickiness does not hinder. A server that
//! restarts does not know whom it has heard, so it is sticky for its first `t`.

use std::time::Duration;

use crate::clocked::Moment;
use crate::config::Lease;
use crate::entry::Command;
use crate::mutant::{Mutant, MutantSwitch};
use crate::raft::Raft;
use crate::role::Role;
use crate::types::{Index, Round, Term};

/// How far a leader's confirmation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Confirmation {
    /// In which office, under which membership: what is confirmed says nothing about another.
    office: (Term, Index),
    round: Round,
    confirmed: Round,
    /// Nothing but time can end a lease now.
    is_firm: bool,
}

impl<P: Command> Raft<P> {
    pub(crate) fn confirmation(&self) -> Option<Confirmation> {
        let Role::Leader(leadership) = &self.role else { return None };
        let gives_up = leadership.transfer.is_some() || leadership.lease_forfeited;
        Some(Confirmation {
            office: (self.hard.term, self.log.membership_index()),
            round: leadership.reads.round(),
            confirmed: leadership.reads.confirmed(),
            is_firm: !gives_up || self.has_mutant(Mutant::LeaseSurvivesTransfer),
        })
    }
}

/// The lease of one leader, kept by the layer that knows the time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct LeaseClock {
    office: Option<(Term, Index)>,
    /// Rounds up to this one began before anyone looked, at a time that is not known.
    seen: Round,
    /// The round under way, and when it was sent.
    sent: Option<(Round, Moment)>,
    until: Option<Moment>,
    is_firm: bool,
}

impl LeaseClock {
    /// After every step of the node, at the time of the step.
    pub(crate) fn observe(
        &mut self,
        now: Moment,
        length: Duration,
        confirmation: Option<Confirmation>,
        mutant: MutantSwitch,
    ) {
        let Some(Confirmation { office, round, confirmed, is_firm }) = confirmation else {
            *self = LeaseClock::default();
            return;
        };
        if self.office != Some(office) {
            *self = LeaseClock { office: Some(office), seen: round, ..LeaseClock::default() };
        }
        self.is_firm = is_firm;
        if let Some((sent_round, at)) = self.sent
            && confirmed >= sent_round
        {
            let from = if mutant.is(Mutant::LeaseSurvivesPause) { now } else { at };
            self.until = Some(from + length);
            self.sent = None;
        }
        if round > self.seen {
            self.seen = round;
            // Sent now or later: what the lease is counted from is never too late.
            self.sent = (confirmed < round).then_some((round, now));
        }
    }

    /// Whether nobody else can lead at `now`.
    pub(crate) fn holds(&self, now: Moment) -> bool {
        self.is_firm && self.until.is_some_and(|until| now < until)
    }
}

impl Lease {
    /// How long a lease is where elections take at least `election` of silence.
    pub(crate) fn length(self, election: Duration, mutant: MutantSwitch) -> Duration {
        const MILLION: u128 = 1_000_000;
        if mutant.is(Mutant::LeaseIgnoresDrift) {
            return election;
        }
        let drift = u128::from(self.drift_ppm.min(Self::MAX_DRIFT_PPM));
        let nanos = election.as_nanos() * (MILLION - drift) / (MILLION + drift);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
