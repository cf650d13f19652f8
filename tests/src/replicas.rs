//! Whether all servers hold the same once everything is healed and nobody writes any more: each is asked for a digest of its
//! state, and for the last entry that the state contains. Servers that have applied the same entries and differ have diverged,
//! whatever clients saw: a client asks whoever leads, and may never see the others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cluster::Cluster;
use crate::report::{Finding, Weight};
use crate::schedule::NodeId;
use crate::system::Digest;

/// How long one server has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(50);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaReport {
    /// How many servers there are.
    pub servers: usize,
    /// The last digest that each told.
    pub digests: BTreeMap<NodeId, Digest>,
    /// Servers that had applied the same and held different states, in words.
    pub diverged: Vec<String>,
    /// Whether all came to have applied the same in time.
    pub level: bool,
}

impl ReplicaReport {
    /// Asks every server until all have applied the same, or the deadline is over.
    pub async fn of(cluster: &Cluster, deadline: Instant) -> ReplicaReport {
        let nodes = cluster.nodes();
        let mut report = ReplicaReport {
            servers: nodes.len(),
            digests: BTreeMap::new(),
            diverged: Vec::new(),
            level: false,
        };
        // Whatever two have ever said about the same entry must agree.
        let mut by_applied: BTreeMap<u64, (NodeId, u64)> = BTreeMap::new();
        loop {
            let system = cluster.system();
            let questions = nodes.iter().map(|node| async move {
                Some((node.id(), system.digest(node.client_address(), PATIENCE).await?))
            });
            let answers: Vec<_> = futures::future::join_all(questions).await.into_iter().flatten().collect();
            let is_whole = answers.len() == nodes.len();
            for (id, digest) in answers {
                report.digests.insert(id, digest);
                report.hold_against(id, digest, &mut by_applied);
            }
            let mut applied = report.digests.values().map(|digest| digest.applied);
            let first = applied.next();
            report.level = is_whole && applied.all(|applied| Some(applied) == first);
            if report.level || !report.diverged.is_empty() || Instant::now() >= deadline {
                return report;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn hold_against(&mut self, id: NodeId, digest: Digest, by_applied: &mut BTreeMap<u64, (NodeId, u64)>) {
        let Digest { applied, hash } = digest;
        let (other, theirs) = *by_applied.entry(applied).or_insert((id, hash));
        if theirs != hash {
            self.diverged.push(format!(
                "n{other} and n{id} have both applied everything up to {applied} and hold different states ({theirs:016x}, {hash:016x})"
            ));
        }
    }

    /// In one line, for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.diverged.is_empty(), self.digests.values().next()) {
            (false, _) => format!("diverged: {}", self.diverged.join("; ")),
            (true, Some(digest)) if self.level => {
                format!(
                    "{} servers hold the same state, of everything up to {}",
                    self.servers, digest.applied
                )
            }
            _ => "not all servers came to have applied the same".to_owned(),
        }
    }

    /// What it means for the verdict.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let kind = "servers have diverged";
        let diverged = self.diverged.iter();
        let mut findings: Vec<Finding> = diverged
            .map(|what| Finding::new(Weight::Violation, format!("{kind}: {what}")).of_kind(kind))
            .collect();
        if findings.is_empty() && !self.level {
            let told: Vec<String> =
                self.digests.iter().map(|(id, digest)| format!("n{id} {}", digest.applied)).collect();
            let what = format!(
                "not all servers came to have applied the same after the faults were healed: {}",
                told.join(", ")
            );
            findings.push(Finding::new(Weight::Doubt, what));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Validity, weigh};

    fn report(answers: &[(NodeId, u64, u64)], level: bool) -> ReplicaReport {
        let mut report = ReplicaReport { servers: 3, digests: BTreeMap::new(), diverged: Vec::new(), level };
        let mut by_applied = BTreeMap::new();
        for (id, applied, hash) in answers {
            let digest = Digest { applied: *applied, hash: *hash };
            report.digests.insert(*id, digest);
            report.hold_against(*id, digest, &mut by_applied);
        }
        report
    }

    #[test]
    fn servers_that_applied_the_same_must_hold_the_same_also_if_others_lag() {
        let verdict = |answers: &[_], level| weigh(&report(answers, level).findings());
        assert_eq!(verdict(&[(1, 9, 7), (2, 9, 7), (3, 9, 7)], true), Validity::True);
        assert_eq!(verdict(&[(1, 9, 7), (2, 9, 7), (3, 8, 5)], false), Validity::Unknown, "one lags");
        assert_eq!(verdict(&[(1, 9, 7), (2, 9, 8), (3, 8, 5)], false), Validity::False);
        assert_eq!(verdict(&[(1, 8, 5), (2, 9, 7), (1, 9, 6)], false), Validity::False, "and later, too");
        assert_eq!(verdict(&[], false), Validity::Unknown, "nobody answered");
        let words = report(&[(1, 9, 7), (3, 9, 8)], true).findings();
        assert!(words[0].what.starts_with("servers have diverged: n1 and n3"), "{words:?}");
    }
}
