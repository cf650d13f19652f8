//! Linearizability of reads (§8, diss. 6.4).

use raft_core::{Body, Index, NodeId, Outbound, ReadId};

use super::Ghost;
use crate::cluster::Command;

impl Ghost {
    /// R01: an echo confirms a round of the very term it speaks in. Rounds are counted anew in each term; one carried over
    /// into another would confirm reads that came after it.
    pub fn on_round(&mut self, outbound: &Outbound<Command>) {
        let term = outbound.message.term;
        let newest = self.rounds.entry(term).or_default();
        let echo = match &outbound.message.body {
            Body::Append(append) => return *newest = (*newest).max(append.round),
            Body::Snapshot(chunk) => return *newest = (*newest).max(chunk.round),
            Body::AppendResponse(response) => response.round,
            Body::SnapshotResponse { round, .. } => *round,
            _ => return,
        };
        if echo > *newest {
            self.violated(format!("an echo of a round that nobody began in {term:?}: {outbound:?}"));
        }
    }

    /// A read sees everything that was committed when it was asked for.
    pub fn on_read(&mut self, id: NodeId, read: ReadId, floor: Option<Index>, index: Index) {
        match floor {
            None => self.violated(format!("{id:?} answered {read:?}, which nobody waits for")),
            Some(floor) if index < floor => {
                self.violated(format!(
                    "stale read: {id:?} serves {read:?} at {index:?}, {floor:?} was committed before"
                ));
            }
            Some(_) if index > self.committed() => {
                self.violated(format!("{id:?} serves {read:?} at {index:?}, which nobody has committed"));
            }
            Some(_) => {}
        }
    }
}
