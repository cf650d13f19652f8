//! Several registers, read and written together in transactions: `[[:read :x 1] [:write :y 2]]`.

use std::collections::BTreeMap;

use super::{Specification, Unfit};
use crate::{Operation, Outcome, Value};

/// The multi-register: a transaction's reads and writes happen at one point in time, in their order.
#[derive(Clone, Debug)]
pub struct MultiRegister {
    /// The registers at the start.
    pub initial: BTreeMap<Value, Value>,
    /// The value of every other register at the start.
    pub default: Value,
    /// Whether an ok read of nil is legal in any state.
    pub nil_reads_any: bool,
}

/// What a transaction did, in order: `(is a write, register, value)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction(Vec<(bool, Value, Value)>);

impl Specification for MultiRegister {
    type State = BTreeMap<Value, Value>;
    type Op = Transaction;

    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn initial(&self) -> Self::State {
        self.initial.clone()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transaction>, Unfit> {
        const EXPECTED: &str = "a transaction [[:read k v] [:write k v] …]";
        let known = ["txn", "read", "write", "r", "w"].contains(&&*operation.f);
        let steps = operation.effective().items().filter(|_| known);
        let Some(steps) = steps else { return Err(Unfit::operation(operation, EXPECTED)) };
        let mut transaction = Vec::with_capacity(steps.len());
        for step in steps {
            let parts = match step.items() {
                Some([f, register, value]) => f.text().map(|f| (f, register, value)),
                _ => None,
            };
            let (write, register, value) = match parts {
                Some(("read" | "r", register, value)) => (false, register, value),
                Some(("write" | "w", register, value)) => (true, register, value),
                _ => return Err(Unfit::operation(operation, EXPECTED)),
            };
            let says = write || operation.outcome == Outcome::Ok && !(self.nil_reads_any && value.is_nil());
            if says {
                transaction.push((write, register.clone(), value.clone()));
            }
        }
        Ok((operation.outcome != Outcome::Fail && !transaction.is_empty())
            .then_some(Transaction(transaction)))
    }

    fn step(&self, state: &Self::State, op: &Transaction) -> Option<Self::State> {
        let mut state = state.clone();
        for (write, register, value) in &op.0 {
            if *write {
                state.insert(register.clone(), value.clone());
            } else if state.get(register).unwrap_or(&self.default) != value {
                return None;
            }
        }
        Some(state)
    }

    fn is_pure(&self, op: &Transaction) -> bool {
        op.0.iter().all(|(write, ..)| !write)
    }

    fn describe_op(&self, op: &Transaction) -> String {
        let steps = op.0.iter().map(|(write, register, value)| {
            if *write { format!("{register} := {value}") } else { format!("{register} → {value}") }
        });
        format!("txn {}", steps.collect::<Vec<_>>().join(", "))
    }

    fn describe_state(&self, state: &Self::State) -> String {
        let registers = state.iter().map(|(register, value)| format!("{register} = {value}"));
        format!("{{{}}}", registers.collect::<Vec<_>>().join(", "))
    }
}
