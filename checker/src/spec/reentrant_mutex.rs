//! A lock that its holder may take again; it is free after as many releases. Who asks is told apart: a process, or the client
//! that the operation's value names (`{:client c}`, as Jepsen's lock tests write).

use super::{Specification, Unfit};
use crate::{Operation, Outcome, Value};

/// The reentrant mutex, free at the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReentrantMutex {
    /// How often its holder may have it at a time; with 1 it is a lock that only its holder can release. `None`: any.
    pub most: Option<u32>,
}

/// What was done to it, by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReentrantOp {
    /// Taken, perhaps once more.
    Acquire(Value),
    /// Given back once.
    Release(Value),
}

/// The client that a value names, else the process.
fn owner(operation: &Operation) -> Value {
    let named = match &operation.input {
        Value::Map(entries) => entries.iter().find(|(name, _)| name.text() == Some("client")),
        _ => None,
    };
    named.map_or(Value::Int(operation.process), |(_, client)| client.clone())
}

impl Specification for ReentrantMutex {
    /// Who has it, and how often.
    type State = Option<(Value, u32)>;
    type Op = ReentrantOp;

    fn name(&self) -> &'static str {
        "reentrant-mutex"
    }

    fn initial(&self) -> Self::State {
        None
    }

    fn parse(&self, operation: &Operation) -> Result<Option<ReentrantOp>, Unfit> {
        let op = match &*operation.f {
            "acquire" | "lock" => ReentrantOp::Acquire(owner(operation)),
            "release" | "unlock" => ReentrantOp::Release(owner(operation)),
            _ => return Err(Unfit::operation(operation, "acquire or release")),
        };
        match Unfit::refused(operation) {
            Some(refused) => Err(refused),
            None => Ok((operation.outcome != Outcome::Fail).then_some(op)),
        }
    }

    fn step(&self, state: &Self::State, op: &ReentrantOp) -> Option<Self::State> {
        match (op, state) {
            (ReentrantOp::Acquire(client), None) => (self.most != Some(0)).then(|| Some((client.clone(), 1))),
            (ReentrantOp::Acquire(client), Some((holder, times))) => {
                let room = self.most.is_none_or(|most| *times < most);
                (client == holder && room).then(|| Some((holder.clone(), times + 1)))
            }
            (ReentrantOp::Release(client), Some((holder, times))) if client == holder => {
                Some(times.checked_sub(1).filter(|left| *left > 0).map(|left| (holder.clone(), left)))
            }
            (ReentrantOp::Release(_), _) => None,
        }
    }

    fn describe_op(&self, op: &ReentrantOp) -> String {
        match op {
            ReentrantOp::Acquire(client) => format!("acquire by {client}"),
            ReentrantOp::Release(client) => format!("release by {client}"),
        }
    }

    fn describe_state(&self, state: &Self::State) -> String {
        match state {
            None => "free".to_owned(),
            Some((holder, times)) => format!("held by {holder}, {times}×"),
        }
    }
}
