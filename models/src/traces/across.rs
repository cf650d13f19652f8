//! The laws across servers.

use std::collections::BTreeMap;

use raft_core::{Index, Membership, NodeId, Term};
use rustc_hash::FxHashMap;

use super::facts::{Applied, COMPLETE, Commit, Facts};
use super::messages::{self, Checked};
use super::snapshots;
use super::verdict::{Place, TraceFinding, Validated};
use crate::check::Verdict;
use crate::property::Law;

/// Judges what the replays brought.
pub(super) fn judge(mut all: Vec<Facts>) -> Validated {
    let mut findings: Vec<TraceFinding> =
        all.iter_mut().flat_map(|facts| std::mem::take(&mut facts.findings)).collect();
    completeness(&all, &mut findings);
    let Checked { matched, cut, findings: unsent } = messages::check(&all);
    findings.extend(unsent);
    election_safety(&all, &mut findings);
    log_matching(&all, &mut findings);
    let committed = state_machine_safety(&all, &mut findings);
    snapshots::are_true(&all, &committed, &mut findings);
    leader_completeness(&all, &by_when(&all, &committed), &mut findings);
    let is_excused = |id: NodeId| cut.contains(&id) || all.iter().any(|f| f.id == Some(id) && f.is_partial);
    durability(&all, is_excused, &mut findings);
    findings.sort_by_key(|finding| !finding.is_violation);
    let verdict = match findings.first() {
        None => Verdict::Holds,
        Some(finding) if finding.is_violation => Verdict::Violated,
        Some(_) => Verdict::Unknown,
    };
    let sum = |count: fn(&Facts) -> u64| all.iter().map(count).sum::<u64>();
    Validated {
        verdict,
        servers: all.len(),
        lives: sum(|facts| facts.lives),
        torn: sum(|facts| facts.torn),
        inputs: sum(|facts| facts.inputs),
        messages: matched,
        elections: sum(|facts| facts.elections.len() as u64),
        installs: sum(Facts::installs),
        committed: committed.len() as u64,
        bytes: sum(|facts| facts.bytes),
        seconds: 0.0,
        findings,
    }
}

pub(super) fn violation(law: Law, what: String, place: Place) -> TraceFinding {
    TraceFinding { rule: law.name(), is_violation: true, what, place: Some(place) }
}

/// Whether there is enough to be judged: a pass must not come of what was not looked at.
fn completeness(all: &[Facts], findings: &mut Vec<TraceFinding>) {
    let mut doubt = |what: String, place| {
        findings.push(TraceFinding { rule: COMPLETE, is_violation: false, what, place });
    };
    for facts in all.iter().filter(|facts| facts.inputs == 0) {
        doubt(format!("nothing happens in {}", facts.file.display()), None);
    }
    if all.iter().all(|facts| facts.applied.is_empty()) {
        doubt("no server applies anything".to_owned(), None);
    }
    let with_founders = || all.iter().filter(|facts| facts.founders.is_some());
    let Some(first) = with_founders().next() else { return };
    for member in first.founders.iter().flat_map(Membership::members) {
        if !all.iter().any(|facts| facts.id == Some(member)) {
            doubt(format!("there is no trace of server {member}"), None);
        }
    }
    for other in with_founders().filter(|other| other.founders != first.founders) {
        let what = format!("{} and {} name different founders", first.file.display(), other.file.display());
        doubt(what, None);
    }
}

/// At most one leader in a term (§5.2), and that one once.
fn election_safety(all: &[Facts], findings: &mut Vec<TraceFinding>) {
    let mut leaders: BTreeMap<Term, Place> = BTreeMap::new();
    for facts in all {
        for election in &facts.elections {
            let place = facts.place(election.record);
            match leaders.get(&election.term) {
                None => drop(leaders.insert(election.term, place)),
                Some(known) => {
                    let what = format!("elected in term {}, as was {known}", election.term);
                    findings.push(violation(Law::ElectionSafety, what, place));
                }
            }
        }
    }
}

/// Entries of one index and term are one, with all that stands before them (§5.3). The earliest that are not.
fn log_matching(all: &[Facts], findings: &mut Vec<TraceFinding>) {
    let mut known: FxHashMap<(Index, Term), (u64, usize, u64)> = FxHashMap::default();
    let mut broken: Option<((Index, Term), usize, u64)> = None;
    for (server, facts) in all.iter().enumerate() {
        for (position, seen) in &facts.entries {
            let (hash, ..) = *known.entry(*position).or_insert((seen.hash, server, seen.record));
            if hash != seen.hash && broken.is_none_or(|(least, ..)| *position < least) {
                broken = Some((*position, server, seen.record));
            }
        }
    }
    let Some((position @ (index, term), server, record)) = broken else { return };
    let (Some(facts), Some((_, other, there))) = (all.get(server), known.get(&position)) else { return };
    let Some(other) = all.get(*other) else { return };
    let what = format!(
        "entry {index} of term {term} is another one than that of {}, or follows other entries",
        other.place(*there)
    );
    findings.push(violation(Law::LogMatching, what, facts.place(record)));
}

/// What was committed at an index, and in which term at the latest.
#[derive(Clone, Copy)]
pub(super) struct Committed {
    pub(super) term: Term,
    in_term: Term,
}

/// All servers apply the same at each index (§5.4.3). Returns what that is; where all had a snapshot instead, nothing.
fn state_machine_safety(all: &[Facts], findings: &mut Vec<TraceFinding>) -> BTreeMap<Index, Committed> {
    let mut known: BTreeMap<Index, (&Facts, Applied)> = BTreeMap::new();
    let mut broken: Option<(Index, &Facts, u64)> = None;
    for facts in all {
        for (index, applied) in &facts.applied {
            let (_, first) = known.entry(*index).or_insert((facts, *applied));
            first.in_term = first.in_term.min(applied.in_term);
            if first.link != applied.link && broken.is_none_or(|(least, ..)| *index < least) {
                broken = Some((*index, facts, applied.record));
            }
        }
    }
    // Whatever comes after it may differ as well.
    if let Some((index, facts, record)) = broken
        && let Some((other, first)) = known.get(&index)
    {
        let what = format!("applies another entry {index} than {}", other.place(first.record));
        findings.push(violation(Law::StateMachineSafety, what, facts.place(record)));
    }
    let committed =
        |(_, Applied { link, in_term, .. }): (&Facts, Applied)| Committed { term: link.term, in_term };
    known.into_iter().map(|(index, applied)| (index, committed(applied))).collect()
}

/// What was committed by when: what was applied, and the last entries of snapshots that leaders sent.
fn by_when(all: &[Facts], applied: &BTreeMap<Index, Committed>) -> Vec<(Index, Committed)> {
    let mut committed = applied.clone();
    for snapshot in all.iter().flat_map(|facts| &facts.snapshots) {
        let Some(in_term) = snapshot.in_term else { continue };
        let last = Committed { term: snapshot.last.term, in_term };
        let entry = committed.entry(snapshot.last.index).or_insert(last);
        entry.in_term = entry.in_term.min(in_term);
    }
    // Where an entry is committed, those before it are.
    let mut least = Term::LIMIT;
    for entry in committed.values_mut().rev() {
        least = least.min(entry.in_term);
        entry.in_term = least;
    }
    committed.into_iter().collect()
}

/// Who is elected has what was committed in earlier terms (§5.4.1), whenever it was elected.
fn leader_completeness(all: &[Facts], committed: &[(Index, Committed)], findings: &mut Vec<TraceFinding>) {
    for facts in all {
        for election in &facts.elections {
            let due = committed.partition_point(|(_, entry)| entry.in_term < election.term);
            let Some((index, last)) = due.checked_sub(1).and_then(|last| committed.get(last)) else {
                continue;
            };
            // By log matching, the one term tells that all before it is there, too.
            if !election.holds(*index, last.term) {
                let what = format!(
                    "elected in term {} without entry {index} of term {}, which was committed in term {}",
                    election.term, last.term, last.in_term
                );
                findings.push(violation(Law::LeaderCompleteness, what, facts.place(election.record)));
            }
        }
    }
}

/// What a leader commits is on the disks of a quorum.
fn durability(all: &[Facts], is_excused: impl Fn(NodeId) -> bool, findings: &mut Vec<TraceFinding>) {
    for facts in all {
        let lacking =
            facts.commits.iter().find_map(|commit| Some((commit, lacks(all, commit, &is_excused)?)));
        if let Some((commit, (index, holders))) = lacking {
            let what = format!("commits entry {index}, which only the disks of {holders:?} ever held");
            findings.push(violation(Law::DurableCommit, what, facts.place(commit.record)));
        }
    }
}

/// The first entry of a commitment that no quorum held, by itself or in a snapshot, and who did.
fn lacks(
    all: &[Facts],
    commit: &Commit,
    is_excused: impl Fn(NodeId) -> bool,
) -> Option<(Index, Vec<NodeId>)> {
    (commit.first.0..).map(Index).zip(&commit.entries).find_map(|(index, link)| {
        let holds = |id: &NodeId| {
            let server = all.iter().find(|facts| facts.id == Some(*id));
            is_excused(*id) || server.is_none_or(|server| server.held(index, *link))
        };
        let majority = |voters: &[NodeId]| {
            voters.is_empty() || voters.iter().filter(|id| holds(id)).count() > voters.len() / 2
        };
        let is_kept = majority(commit.members.voters()) && majority(commit.members.outgoing());
        (!is_kept).then(|| (index, commit.members.members().filter(holds).collect()))
    })
}
