//! What a node may be told by anyone: the sequences of raft-core's own test (`n01_random_messages_never_panic`), in words that
//! both libraries have.

use bytes::Bytes;
use raft::prelude::{Entry, HardState, Message, MessageType};
use raft_core::{
    Append, AppendOutcome, AppendResponse, Body, Config, Effects, Index, Input, NodeId, Payload, Position,
    Raft, ReadId, Recovered, Round, Term, Timer,
};
use rand::{Rng, RngExt};

use crate::published::{Node, Usage};

/// One thing that happens to a node.
#[derive(Clone, Debug)]
pub enum Step {
    /// A message arrives.
    Hear {
        /// From one of the three members, or from a stranger.
        from: u64,
        /// The sender's term.
        term: u64,
        /// What it says.
        said: Said,
    },
    /// The election timer runs out.
    Campaign,
    /// The heartbeat timer runs out.
    Heartbeat,
    /// A command is proposed.
    Propose,
    /// A linearizable read is asked for.
    Read(u8),
}

/// An index and the term of the entry there.
type Place = (u64, u64);

/// What a message says.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "they are the messages of Figure 2 and of pre-vote")]
pub enum Said {
    PreVoteRequest { next_term: u64, last: Place },
    PreVoteResponse { next_term: u64, granted: bool },
    VoteRequest { last: Place },
    VoteResponse { granted: bool },
    Append { prev: Place, entries: Vec<Place>, commit: u64 },
    Accepted { matched: u64 },
    Rejected { refused: u64, hint: Place },
}

/// Up to forty steps.
pub fn sequence(random: &mut impl Rng) -> Vec<Step> {
    (0..random.random_range(1..40)).map(|_| step(random)).collect()
}

fn step(random: &mut impl Rng) -> Step {
    match random.random_range(0..17) {
        0..12 => Step::Hear { from: random.random_range(0..6), term: number(random), said: said(random) },
        12 => Step::Campaign,
        13 => Step::Heartbeat,
        14 | 15 => Step::Propose,
        _ => Step::Read(random.random()),
    }
}

fn said(random: &mut impl Rng) -> Said {
    match random.random_range(0..10) {
        0 => Said::PreVoteRequest { next_term: number(random), last: place(random) },
        1 => Said::PreVoteResponse { next_term: number(random), granted: random.random() },
        2 => Said::VoteRequest { last: place(random) },
        3 => Said::VoteResponse { granted: random.random() },
        4 => Said::Accepted { matched: number(random) },
        5 => Said::Rejected { refused: number(random), hint: place(random) },
        _ => {
            let prev = place(random);
            // Half of them follow their predecessor, or few would get past the gate.
            let (is_tidy, count) = (random.random(), random.random_range(0..4));
            let follow = |i: u64| if is_tidy { (prev.0.wrapping_add(i), prev.1) } else { place(random) };
            Said::Append { entries: (1..=count).map(follow).collect(), prev, commit: number(random) }
        }
    }
}

fn place(random: &mut impl Rng) -> Place {
    (number(random), number(random))
}

/// Mostly small, sometimes absurd.
fn number(random: &mut impl Rng) -> u64 {
    match random.random_range(0..23) {
        0..20 => random.random_range(0..6),
        20 => random.random(),
        21 => u64::MAX,
        _ => 1 << 62,
    }
}

/// Takes a raft-core node through a sequence, with a disk and a state machine that answer at once.
pub fn take_raft_core(steps: &[Step]) -> anyhow::Result<()> {
    let entry = raft_core::Entry { index: Index(1), term: Term(1), payload: Payload::Noop };
    let hard_state = raft_core::HardState::new(Term(1), None);
    let recovered = Recovered { boot: 1, hard_state, entries: vec![entry], ..Recovered::nothing() };
    let mut effects = Effects::default();
    let mut node = Raft::start(Config::new(NodeId(1), (1..=3).map(NodeId)), recovered, &mut effects)?;
    for step in steps {
        // A refusal is an answer.
        let _ = node.step(input(step), &mut effects);
        while let Some(write) = effects.writes.pop() {
            effects.writes.clear();
            node.step(Input::Durable(write.split().1), &mut effects)?;
        }
        if let Some(apply) = effects.apply.pop() {
            node.step(Input::Applied(apply.index()), &mut effects)?;
        }
        effects.clear();
    }
    Ok(())
}

fn input(step: &Step) -> Input<Bytes> {
    match step {
        Step::Hear { from, term, said } => Input::Receive {
            from: NodeId(*from),
            message: raft_core::Message { term: Term(*term), body: body(said) },
        },
        Step::Campaign => Input::Timer(Timer::Election),
        Step::Heartbeat => Input::Timer(Timer::Heartbeat),
        Step::Propose => Input::Propose(vec![Bytes::from_static(b"x")]),
        Step::Read(id) => Input::Read(ReadId(u64::from(*id))),
    }
}

fn body(said: &Said) -> Body<Bytes> {
    let at = |(index, term): Place| Position { index: Index(index), term: Term(term) };
    let response = |outcome| Body::AppendResponse(AppendResponse { round: Round(1), outcome });
    match *said {
        Said::PreVoteRequest { next_term, last } => {
            Body::PreVoteRequest { next_term: Term(next_term), last: at(last), priority: 0 }
        }
        Said::PreVoteResponse { next_term, granted } => {
            Body::PreVoteResponse { next_term: Term(next_term), granted }
        }
        Said::VoteRequest { last } => Body::VoteRequest { last: at(last), priority: 0, by_transfer: false },
        Said::VoteResponse { granted } => Body::VoteResponse { granted },
        Said::Append { prev, ref entries, commit } => {
            let entry = |&(index, term): &Place| {
                let payload = Payload::Command(Bytes::from_static(b"x"));
                raft_core::Entry { index: Index(index), term: Term(term), payload }
            };
            let entries = entries.iter().map(entry).collect();
            Body::Append(Append { prev: at(prev), entries, commit: Index(commit), round: Round(1) })
        }
        Said::Accepted { matched } => response(AppendOutcome::Accepted { matched: Index(matched) }),
        Said::Rejected { refused, hint } => {
            response(AppendOutcome::Rejected { refused: Index(refused), hint: at(hint) })
        }
    }
}

/// Takes a raft-rs node through a sequence, likewise.
pub fn take_raft_rs(steps: &[Step]) -> anyhow::Result<()> {
    let mut node = Node::start(1, 3, Usage::Documented)?;
    {
        let mut disk = node.raw.mut_store().wl();
        disk.set_hardstate(HardState { term: 1, ..HardState::default() });
        disk.append(&[Entry { index: 1, term: 1, ..Entry::default() }])?;
    }
    let mut node = Node::restart(1, node.raw.store().clone(), Usage::Documented)?;
    for step in steps {
        // A refusal is an answer.
        let _ = match step {
            Step::Hear { from, term, said } => node.raw.step(message(*from, *term, said)),
            Step::Campaign => node.raw.campaign(),
            Step::Heartbeat => {
                node.raw.ping();
                Ok(())
            }
            Step::Propose => node.raw.propose(Vec::new(), vec![b'x']),
            Step::Read(id) => {
                node.raw.read_index(vec![*id]);
                Ok(())
            }
        };
        node.handle_ready(&mut Default::default())?;
    }
    Ok(())
}

fn message(from: u64, term: u64, said: &Said) -> Message {
    // Term 0 is how raft-rs marks what its own host says: no message has it.
    let mut message = Message { from, to: 1, term: term.max(1), ..Message::default() };
    let place = |(index, log_term): Place, message: &mut Message| {
        (message.index, message.log_term) = (index, log_term);
    };
    match *said {
        Said::PreVoteRequest { next_term, last } => {
            message.set_msg_type(MessageType::MsgRequestPreVote);
            message.term = next_term.max(1);
            place(last, &mut message);
        }
        Said::PreVoteResponse { next_term, granted } => {
            message.set_msg_type(MessageType::MsgRequestPreVoteResponse);
            (message.term, message.reject) = (next_term.max(1), !granted);
        }
        Said::VoteRequest { last } => {
            message.set_msg_type(MessageType::MsgRequestVote);
            place(last, &mut message);
        }
        Said::VoteResponse { granted } => {
            message.set_msg_type(MessageType::MsgRequestVoteResponse);
            message.reject = !granted;
        }
        Said::Append { prev, ref entries, commit } => {
            message.set_msg_type(MessageType::MsgAppend);
            place(prev, &mut message);
            message.commit = commit;
            let entry = |&(index, term): &Place| Entry {
                index,
                term,
                data: Bytes::from_static(b"x"),
                ..Entry::default()
            };
            message.set_entries(entries.iter().map(entry).collect::<Vec<_>>().into());
        }
        Said::Accepted { matched } => {
            message.set_msg_type(MessageType::MsgAppendResponse);
            message.index = matched;
        }
        Said::Rejected { refused, hint } => {
            message.set_msg_type(MessageType::MsgAppendResponse);
            (message.reject, message.index) = (true, refused);
            (message.reject_hint, message.log_term) = hint;
        }
    }
    message
}
