//! What a follower has asked its leader for, on behalf of its own host. All of it is answered, one way or another.

use crate::io::{Effects, ForwardOutcome, Forwarded, ReadOutcome};
use crate::types::{ReadId, Ticket};

/// After so many heartbeats without an answer, a proposal's fate is unknown: it, or the answer, was lost.
const PATIENCE: u8 = 10;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Asked {
    /// The read request that is under way, at most one.
    pub(crate) under_way: Option<Ticket>,
    /// It was under way at the last heartbeat already: asked again at the next one, in case it was lost.
    pub(crate) is_late: bool,
    /// The reads it is for.
    pub(crate) these: Vec<ReadId>,
    /// The reads that came later and wait for the next request.
    pub(crate) next: Vec<ReadId>,
    /// The proposals that are not answered, and how many heartbeats have come meanwhile.
    pub(crate) proposals: Vec<(Ticket, u8)>,
}

impl Asked {
    /// A heartbeat has come. Proposals that have waited too long are given up.
    pub(crate) fn grow_old<P>(&mut self, effects: &mut Effects<P>) {
        for (_, age) in &mut self.proposals {
            *age += 1;
        }
        let old = self.proposals.extract_if(.., |(_, age)| *age > PATIENCE);
        effects.forwarded.extend(old.map(|(ticket, _)| unknown(ticket)));
    }

    /// The leader is lost: none of it will be answered.
    pub(crate) fn abandon<P>(&mut self, effects: &mut Effects<P>) {
        self.under_way = None;
        let reads = self.these.drain(..).chain(self.next.drain(..));
        effects.reads.extend(reads.map(|id| ReadOutcome::Aborted { id }));
        effects.forwarded.extend(self.proposals.drain(..).map(|(ticket, _)| unknown(ticket)));
    }
}

fn unknown(ticket: Ticket) -> Forwarded {
    Forwarded { ticket, outcome: ForwardOutcome::Unknown }
}
