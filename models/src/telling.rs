//! A counterexample in words, and what servers say to each other.

use raft_core::{AppendOutcome, Body, Entry, Message, Payload};

use crate::members::describe;
use crate::story::{Counterexample, Sent, Step};

/// An entry in a few letters.
pub(crate) fn entry(entry: &Entry<u8>) -> String {
    match &entry.payload {
        Payload::Noop => format!("{}@t{}", entry.index, entry.term),
        Payload::Membership(members) => {
            format!("{}@t{}={}", entry.index, entry.term, describe(members))
        }
        Payload::Command(command) => format!("{}@t{}={command}", entry.index, entry.term),
    }
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sent { from, to, message: Message { term, body } } = self;
        write!(f, "{from}->{to} t{term} ")?;
        let answer = |granted: bool| if granted { "yes" } else { "no" };
        match body {
            Body::PreVoteRequest { next_term, last, .. } => {
                write!(f, "pre-vote for t{next_term}? (log {}@t{})", last.index, last.term)
            }
            Body::PreVoteResponse { next_term, granted } => {
                write!(f, "pre-vote for t{next_term}: {}", answer(*granted))
            }
            Body::VoteRequest { last, .. } => write!(f, "vote? (log {}@t{})", last.index, last.term),
            Body::VoteResponse { granted } => write!(f, "vote: {}", answer(*granted)),
            Body::Append(append) => {
                let entries: Vec<String> = append.entries.iter().map(entry).collect();
                let (prev, commit) = (append.prev, append.commit);
                write!(f, "append [{}] after {}@t{}", entries.join(" "), prev.index, prev.term)?;
                write!(f, ", commit {commit}")?;
                if append.round.0 > 0 { write!(f, ", round {}", append.round.0) } else { Ok(()) }
            }
            Body::AppendResponse(response) => {
                match response.outcome {
                    AppendOutcome::Accepted { matched } => write!(f, "appended to {matched}")?,
                    AppendOutcome::Rejected { refused, hint } => {
                        write!(f, "nothing like {refused}; try {}@t{}", hint.index, hint.term)?;
                    }
                }
                if response.round.0 > 0 { write!(f, ", round {}", response.round.0) } else { Ok(()) }
            }
            Body::TimeoutNow => f.write_str("campaign now"),
            Body::Snapshot(chunk) => {
                let (last, end) = (chunk.snapshot.last, chunk.offset + chunk.data.len() as u64);
                write!(
                    f,
                    "snapshot {}@t{} members {}",
                    last.index,
                    last.term,
                    describe(&chunk.snapshot.membership)
                )?;
                write!(f, ", bytes {}..{end}{}", chunk.offset, if chunk.done { ", the end" } else { "" })
            }
            Body::SnapshotResponse { last, next, .. } => {
                write!(f, "snapshot {}@t{} up to byte {next}", last.index, last.term)
            }
            Body::ReadRequest { ticket } => {
                write!(f, "read? (request {} of life {})", ticket.number, ticket.boot)
            }
            Body::ReadResponse { ticket, index } => {
                write!(f, "read at {index} (request {} of life {})", ticket.number, ticket.boot)
            }
            // Nobody here forwards proposals, passes wishes on or asks for snapshots.
            other => write!(f, "{other:?}"),
        }
    }
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} is broken in {} ({})", self.law, self.scenario, self.bounds.summary())?;
        if let Some(mutant) = &self.mutant {
            writeln!(f, "with the seeded bug {mutant}")?;
        }
        let previous = tell(f, &self.steps, &[])?;
        if !self.clients.is_empty() {
            writeln!(f, "what the clients see:")?;
            self.clients.iter().try_for_each(|line| writeln!(f, "       {line}"))?;
        }
        if self.afterwards.is_empty() {
            writeln!(f, "at the end:")?;
            return previous.iter().try_for_each(|line| writeln!(f, "       {line}"));
        }
        writeln!(
            f,
            "then no fault happens any more, everything arrives, one election follows the other, and still no"
        )?;
        writeln!(f, "command is committed and applied by all members:")?;
        tell(f, &self.afterwards, previous)?;
        writeln!(f, "and so on")
    }
}

/// Tells steps that follow such a view of all servers. Returns the last view.
fn tell<'a>(
    f: &mut std::fmt::Formatter<'_>,
    steps: &'a [Step],
    before: &'a [String],
) -> Result<&'a [String], std::fmt::Error> {
    let mut previous = before;
    for (place, step) in steps.iter().enumerate() {
        writeln!(f, "{:3}. {step}", place + 1)?;
        // Only who changed: that is at most the one it happened to.
        let own = format!("{}:", step.server);
        let changed = step.after.iter().filter(|line| line.starts_with(&own) && !previous.contains(line));
        for line in changed {
            writeln!(f, "       {line}")?;
        }
        previous = &step.after;
    }
    Ok(previous)
}
