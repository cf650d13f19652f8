//! How large a world is explored.

use raft_core::{Config, Membership, MutantSwitch, NodeId};
use serde::{Deserialize, Serialize};

use crate::members::{Group, Target};

/// The limits of a scenario. Each is a predicate on states: what lies beyond is not looked at, and nothing is cut off for
/// being deep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// How many servers there are.
    pub servers: usize,
    /// No server gets beyond this term.
    pub terms: u64,
    /// No log gets longer than this, opening no-ops included.
    pub log: usize,
    /// So many commands are proposed, each one different.
    pub proposals: u8,
    /// So many entries travel in one append. With 1 an earlier entry can be replicated without the later one, as in the
    /// paper's Figure 8.
    pub append_entries: usize,
    /// So many messages are in flight at once. One more, and one of them is lost: any. (So a message may be lost whenever
    /// that matters: one that is never delivered is lost as well.)
    pub in_flight: usize,
    /// So many messages are delivered twice.
    pub duplicates: u8,
    /// So many crashes happen.
    pub crashes: u8,
    /// So many writes of one server are on their way to the disk at once; 0: a write is durable as soon as it is issued.
    pub slow_writes: usize,
    /// So many reads are asked for.
    pub reads: u8,
    /// Whether elections are preceded by a pre-vote.
    pub pre_vote: bool,
    /// Whether the timer of check-quorum and stickiness runs out.
    pub contact_timer: bool,
    /// The servers that are learners at the beginning.
    #[serde(default)]
    pub learners: Group,
    /// The servers that are no members at the beginning.
    #[serde(default)]
    pub outsiders: Group,
    /// The changes of the members that are asked for, each at most once, in any order.
    #[serde(default)]
    pub changes: [Option<Target>; Bounds::MAX_CHANGES],
    /// So many snapshots are taken, and the log that they contain goes.
    #[serde(default)]
    pub snapshots: u8,
    /// In so many parts does a snapshot travel: 1 or 2. (0 is 1.)
    #[serde(default)]
    pub snapshot_parts: u8,
    /// So many times is a leader asked to hand over to another server: any.
    #[serde(default)]
    pub transfers: u8,
    /// Whether followers are asked for reads too, and ask their leader.
    #[serde(default)]
    pub forwarded_reads: bool,
    /// No leader begins more rounds of confirmation in one term than this; 0: no limit. (A forwarded read is asked again and
    /// again until the answer gets through.)
    #[serde(default)]
    pub rounds: u64,
    /// So many servers stop and have lost the last entry of their stored log when they start again, and know it.
    #[serde(default)]
    pub lost_tails: u8,
    /// From every state a fair schedule without faults gets somewhere within so many election timeouts (see
    /// [`Law::Liveness`](crate::Law::Liveness)); 0: that is not asked.
    #[serde(default)]
    pub settles: u8,
    /// Whether commands are puts into one register and reads are gets, what their clients see is remembered, and is to be
    /// linearizable.
    #[serde(default)]
    pub clients: bool,
}

/// Bounds that cannot be explored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("bound `{name}` is {found}, but must lie in {low}..={high}")]
pub struct BoundsError {
    name: &'static str,
    found: u64,
    low: u64,
    high: u64,
}

impl Bounds {
    /// More servers have too many permutations.
    pub const MAX_SERVERS: usize = 5;
    /// Terms are noted in four bits each.
    pub const MAX_TERM: u64 = 8;
    /// Logs are noted as so many terms.
    pub const MAX_LOG: usize = 8;
    /// Messages in flight at once; more of them can be lost in more ways than can be numbered.
    pub const MAX_IN_FLIGHT: usize = 8;
    /// Reads in one run.
    pub const MAX_READS: u8 = 4;
    /// Changes of the members in one run.
    pub const MAX_CHANGES: usize = 2;

    /// Three servers that elect in one term and lose messages: the smallest world, to be extended field by field. (More
    /// than three servers need more than one message in flight: a vote request is not repeated, and one alone wins nothing.)
    pub const SMALLEST: Bounds = Bounds {
        servers: 3,
        terms: 1,
        log: 4,
        proposals: 0,
        append_entries: 8,
        in_flight: 1,
        duplicates: 0,
        crashes: 0,
        slow_writes: 0,
        reads: 0,
        pre_vote: false,
        contact_timer: false,
        learners: Group::NONE,
        outsiders: Group::NONE,
        changes: [None; Bounds::MAX_CHANGES],
        snapshots: 0,
        snapshot_parts: 1,
        transfers: 0,
        forwarded_reads: false,
        rounds: 0,
        lost_tails: 0,
        settles: 0,
        clients: false,
    };

    /// Whether these bounds can be explored.
    ///
    /// # Errors
    /// Names the bound that is out of range.
    pub fn check(&self) -> Result<(), BoundsError> {
        let all = [
            ("servers", self.servers as u64, 1, Self::MAX_SERVERS as u64),
            ("terms", self.terms, 1, Self::MAX_TERM),
            ("log", self.log as u64, 1, Self::MAX_LOG as u64),
            ("proposals", u64::from(self.proposals), 0, 200),
            ("append_entries", self.append_entries as u64, 1, Self::MAX_LOG as u64),
            ("in_flight", self.in_flight as u64, 1, Self::MAX_IN_FLIGHT as u64),
            ("duplicates", u64::from(self.duplicates), 0, 15),
            ("crashes", u64::from(self.crashes), 0, 15),
            ("slow_writes", self.slow_writes as u64, 0, 8),
            ("reads", u64::from(self.reads), 0, u64::from(Self::MAX_READS)),
            ("snapshots", u64::from(self.snapshots), 0, 15),
            ("transfers", u64::from(self.transfers), 0, 15),
            ("rounds", self.rounds, u64::from(self.forwarded_reads), 15),
            ("lost_tails", u64::from(self.lost_tails), 0, 15),
            ("settles", u64::from(self.settles), 0, 100),
            ("snapshot_parts", u64::from(self.snapshot_parts), 0, 2),
            ("voters at the beginning", self.founders().voters().len() as u64, 1, self.servers as u64),
        ];
        match all.into_iter().find(|&(_, found, low, high)| found < low || found > high) {
            Some((name, found, low, high)) => Err(BoundsError { name, found, low, high }),
            None => Ok(()),
        }
    }

    /// The bounds in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} servers, {} terms, log {}, {} proposals, {} in flight",
            self.servers, self.terms, self.log, self.proposals, self.in_flight
        );
        let counted = [
            (self.append_entries % Self::MAX_LOG, "entry per append"),
            (usize::from(self.duplicates), "duplicates"),
            (usize::from(self.crashes), "crashes"),
            (self.slow_writes, "slow writes"),
            (usize::from(self.reads), "reads"),
            (usize::from(self.snapshots), "snapshots"),
            (usize::from(self.transfers), "transfers"),
            (self.rounds as usize, "rounds"),
            (usize::from(self.lost_tails), "lost tails"),
            (usize::from(self.settles), "periods to settle"),
        ];
        for (count, what) in counted.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!(", {count} {what}"));
        }
        for (_, what) in [
            (self.pre_vote, "pre-vote"),
            (self.contact_timer, "check-quorum"),
            (self.forwarded_reads, "forwarded reads"),
            (self.clients, "clients"),
        ]
        .iter()
        .filter(|(is, _)| *is)
        {
            text.push_str(&format!(", {what}"));
        }
        if self.snapshots > 0 && self.snapshot_parts > 1 {
            text.push_str(&format!(" in {} parts", self.snapshot_parts));
        }
        for (group, what) in [(self.learners, "learners"), (self.outsiders, "outsiders")] {
            if !group.is_empty() {
                text.push_str(&format!(", {what} {group}"));
            }
        }
        for target in self.changes.iter().flatten() {
            text.push_str(&format!(", to {target}"));
        }
        text
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + Clone + use<> {
        (1..=self.servers as u64).map(NodeId)
    }

    /// The members at the beginning.
    pub(crate) fn founders(&self) -> Membership {
        let is_voter = |id: &NodeId| !self.learners.has(*id) && !self.outsiders.has(*id);
        Membership::new(self.ids().filter(is_voter))
            .with_learners(self.ids().filter(|id| self.learners.has(*id)))
    }

    pub(crate) fn changes_members(&self) -> bool {
        self.changes.iter().any(Option::is_some)
    }

    /// Without pre-vote and its timer nobody asks who was heard when; but a leader that leaves prefers an heir that it has
    /// heard of, sends snapshots only to peers that it has heard of, and
    /// followers ask a leader only while they hear from it.
    pub(crate) fn ignores_contact(&self) -> bool {
        !self.pre_vote
            && !self.contact_timer
            && !self.changes_members()
            && self.snapshots == 0
            && !self.forwarded_reads
    }

    /// Whether under these new names everything here is as before. A leader that leaves chooses its heir by name among
    /// equals, so the names of those that stay count.
    pub(crate) fn is_the_same(&self, rename: impl Fn(NodeId) -> NodeId) -> bool {
        let founders = self.founders();
        let keeps = |group: Group| self.ids().all(|id| group.has(id) == group.has(rename(id)));
        let drops = |target: &Target| founders.voters().iter().any(|&id| !target.voters.has(id));
        let keeps_target = |target: &Target| {
            let keeps_names = self.ids().all(|id| !target.voters.has(id) || rename(id) == id);
            keeps(target.voters) && keeps(target.learners) && (keeps_names || !drops(target))
        };
        keeps(self.learners) && keeps(self.outsiders) && self.changes.iter().flatten().all(keeps_target)
    }

    pub(crate) fn config(&self, id: NodeId, mutant: MutantSwitch) -> Config {
        let mut config = Config::joining(id);
        config.founders = Some(self.founders()).filter(|founders| founders.contains(id));
        config.pre_vote = self.pre_vote;
        // Without either nobody asks who was heard when, and servers are not sticky.
        config.check_quorum = self.pre_vote || self.contact_timer;
        config.forward = self.forwarded_reads;
        config.limits.append_entries = self.append_entries;
        config.mutant = mutant;
        config
    }
}
