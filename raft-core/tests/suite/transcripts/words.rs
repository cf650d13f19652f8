//! What is in a transcript: inputs and effects in words.

use raft_core::{
    Append, AppendOutcome, Batch, Body, Entry, Event, HardState, Membership, NodeId, Payload, Position,
    RoleKind,
};

pub fn position(position: Position) -> String {
    if position.index.0 == 0 { "nothing".to_owned() } else { format!("{}@{}", position.index, position.term) }
}

fn ids(ids: &[NodeId]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("n{id}")).collect();
    ids.join(" ")
}

pub fn membership(membership: &Membership) -> String {
    let mut words = format!("voters {}", ids(membership.voters()));
    if membership.is_joint() {
        words += &format!(" and {}", ids(membership.outgoing()));
    }
    if !membership.learners().is_empty() {
        words += &format!(", learners {}", ids(membership.learners()));
    }
    words
}

fn entry(entry: &Entry<u64>) -> String {
    let payload = match &entry.payload {
        Payload::Noop => "opening".to_owned(),
        Payload::Command(command) => format!("\"{command}\""),
        Payload::Membership(to) => membership(to),
    };
    format!("{} {payload}", position(entry.position()))
}

pub fn entries(entries: &[Entry<u64>]) -> String {
    let all: Vec<String> = entries.iter().map(entry).collect();
    format!("[{}]", all.join(", "))
}

pub fn body(body: &Body<u64>) -> String {
    match body {
        Body::PreVoteRequest { next_term, last, .. } => {
            format!("would you vote for me in term {next_term}? my log ends with {}", position(*last))
        }
        Body::PreVoteResponse { next_term, granted: true } => format!("I would in term {next_term}"),
        Body::PreVoteResponse { next_term, granted: false } => format!("I would not in term {next_term}"),
        Body::VoteRequest { last, by_transfer, .. } => {
            let why = if *by_transfer { "; the leader sent me" } else { "" };
            format!("vote for me! my log ends with {}{why}", position(*last))
        }
        Body::VoteResponse { granted: true } => "you have my vote".to_owned(),
        Body::VoteResponse { granted: false } => "you do not get my vote".to_owned(),
        Body::Append(Append { prev, entries: none, commit, round }) if none.is_empty() => {
            format!("heartbeat after {}, commit {commit}, round {}", position(*prev), round.0)
        }
        Body::Append(Append { prev, entries: some, commit, round }) => {
            let prev = position(*prev);
            format!("append {} after {prev}, commit {commit}, round {}", entries(some), round.0)
        }
        Body::AppendResponse(response) => {
            let round = response.round.0;
            match response.outcome {
                AppendOutcome::Accepted { matched } => format!("durable up to {matched}, round {round}"),
                AppendOutcome::Rejected { refused, hint } => {
                    format!("no such entry {refused}, try after {}; round {round}", position(hint))
                }
            }
        }
        Body::Snapshot(chunk) => {
            let last = position(chunk.snapshot.last);
            let data = String::from_utf8_lossy(&chunk.data);
            let done = if chunk.done { ", the last" } else { "" };
            format!("snapshot up to {last}, from byte {}: \"{data}\"{done}", chunk.offset)
        }
        Body::SnapshotResponse { last, next, .. } => {
            format!("of the snapshot up to {}: next byte {next}", position(*last))
        }
        Body::TimeoutNow => "campaign now".to_owned(),
        other => format!("{other:?}"),
    }
}

fn hard_state(hard: HardState) -> String {
    match hard.voted_for {
        Some(voted_for) => format!("term {}, vote for n{voted_for}", hard.term),
        None => format!("term {}", hard.term),
    }
}

pub fn batch(batch: &Batch<u64>) -> String {
    let mut parts = Vec::new();
    parts.extend(batch.hard_state.map(hard_state));
    parts.extend(batch.chunk.as_ref().map(|chunk| format!("{} bytes of snapshot", chunk.data.len())));
    parts
        .extend(batch.install.as_ref().map(|install| format!("install {}", position(install.snapshot.last))));
    if !batch.entries.is_empty() {
        parts.push(entries(&batch.entries));
    }
    parts.join("; ")
}

pub fn event(event: &Event) -> String {
    match event {
        Event::Role { role, term, leader } => {
            let role = match role {
                RoleKind::Follower => "follower",
                RoleKind::Candidate => "candidate",
                RoleKind::Leader => return format!("is the LEADER of term {term}"),
            };
            match leader {
                Some(leader) => format!("is a {role} of n{leader} in term {term}"),
                None => format!("is a {role} in term {term}, without a leader"),
            }
        }
        Event::Membership(to) => format!("goes by {}", membership(to)),
        other => format!("{other:?}"),
    }
}
