//! A lock: `acquire` when free, `release` when held. Knossos' mutex: who holds it is not looked at.

use super::{Specification, Unfit};
use crate::{Operation, Outcome, Value};

/// The mutex.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex {
    /// Whether it is held at the start.
    pub held: bool,
}

/// What was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// Taken.
    Acquire,
    /// Given back.
    Release,
}

const FREE: Value = Value::Bool(false);
const HELD: Value = Value::Bool(true);

impl Specification for Mutex {
    type State = bool;
    type Op = MutexOp;

    fn name(&self) -> &'static str {
        "mutex"
    }

    fn initial(&self) -> bool {
        self.held
    }

    fn parse(&self, operation: &Operation) -> Result<Option<MutexOp>, Unfit> {
        let op = match &*operation.f {
            "acquire" | "lock" => MutexOp::Acquire,
            "release" | "unlock" => MutexOp::Release,
            _ => return Err(Unfit::operation(operation, "acquire or release")),
        };
        match Unfit::refused(operation) {
            Some(refused) => Err(refused),
            None => Ok((operation.outcome != Outcome::Fail).then_some(op)),
        }
    }

    fn step(&self, held: &bool, op: &MutexOp) -> Option<bool> {
        match (op, held) {
            (MutexOp::Acquire, false) => Some(true),
            (MutexOp::Release, true) => Some(false),
            _ => None,
        }
    }

    /// A mutex is a register that only ever knows two compare-and-sets.
    fn access<'a>(&self, op: &'a MutexOp) -> Option<super::Access<'a>> {
        Some(match op {
            MutexOp::Acquire => super::Access::Cas(&FREE, &HELD),
            MutexOp::Release => super::Access::Cas(&HELD, &FREE),
        })
    }

    fn initial_value(&self) -> Option<&Value> {
        Some(if self.held { &HELD } else { &FREE })
    }

    fn describe_op(&self, op: &MutexOp) -> String {
        match op {
            MutexOp::Acquire => "acquire".to_owned(),
            MutexOp::Release => "release".to_owned(),
        }
    }

    fn describe_state(&self, held: &bool) -> String {
        if *held { "held".to_owned() } else { "free".to_owned() }
    }
}
