//! The register family: register, cas-register, and the key-value map, which is one register per key.
//!
//! Two meanings differ between the checkers of the field, and both are options (`ModelOptions`):
//!
//! - an `ok` read of nil: *any* (Knossos: the read says nothing) or *value* (Porcupine: the register holds nil);
//! - a failed compare-and-set: *dropped* (Knossos) or an *observation* that the value differed (Porcupine's etcd model).

use super::{Access, Specification, Unfit};
use crate::{Operation, Outcome, Text, Value};

/// Which operations there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// `read`, `write`.
    Register,
    /// `read`, `write`, `cas`.
    CasRegister,
    /// `read`, `write`; the first write is `ok` and all others must `fail`. To be that one is a compare-and-set from the
    /// initial value, and a write that failed is one that failed.
    WriteOnce,
    /// `get`, `put`, `delete`, `cas`, `append` on keys; `read` and `write` are the same as `get` and `put`.
    KeyValue,
}

/// One of the family, with its options settled.
#[derive(Clone, Debug)]
pub struct RegisterFamily {
    /// Which operations there are.
    pub vocabulary: Vocabulary,
    /// The value at the start; in a map, the value of an absent key.
    pub initial: Value,
    /// Whether an ok read of nil is legal in any state.
    pub nil_reads_any: bool,
    /// Whether a failed compare-and-set observed that the value differed.
    pub failed_cas_observes: bool,
}

/// An operation on one register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Saw this value.
    Read(Value),
    /// Set this value.
    Write(Value),
    /// Set absent.
    Delete(Value),
    /// Saw the first, set the second.
    Cas(Value, Value),
    /// Saw another value than this.
    CasFailed(Value),
    /// Added this text at the end.
    Append(Text),
}

impl RegisterFamily {
    fn expected(&self) -> &'static str {
        match self.vocabulary {
            Vocabulary::Register | Vocabulary::WriteOnce => "read or write",
            Vocabulary::CasRegister => "read, write or cas",
            Vocabulary::KeyValue => "get, put, delete, cas or append (read and write are get and put)",
        }
    }
}

impl Specification for RegisterFamily {
    type State = Value;
    type Op = RegisterOp;

    fn name(&self) -> &'static str {
        match self.vocabulary {
            Vocabulary::Register => "register",
            Vocabulary::CasRegister => "cas-register",
            Vocabulary::WriteOnce => "write-once",
            Vocabulary::KeyValue => "kv",
        }
    }

    fn initial(&self) -> Value {
        self.initial.clone()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<RegisterOp>, Unfit> {
        let map = self.vocabulary == Vocabulary::KeyValue;
        let cas = matches!(self.vocabulary, Vocabulary::CasRegister | Vocabulary::KeyValue);
        if map && operation.key.is_none() {
            return Err(Unfit::operation(operation, "a key: `key`, or a value [key value]"));
        }
        let op = match &*operation.f {
            "read" | "r" => self.read(operation),
            "get" if map => self.read(operation),
            "write" | "w" if self.vocabulary == Vocabulary::WriteOnce => return self.write_once(operation),
            "write" | "w" => Some(RegisterOp::Write(operation.effective().clone())),
            "put" | "set" if map => Some(RegisterOp::Write(operation.effective().clone())),
            "delete" | "del" if map => Some(RegisterOp::Delete(self.initial.clone())),
            "append" if map => match operation.effective() {
                Value::Str(text) => Some(RegisterOp::Append(text.clone())),
                _ => return Err(Unfit::operation(operation, "a string to append")),
            },
            "cas" if cas => {
                let pair = operation.effective().items().or_else(|| operation.input.items());
                let Some([from, to]) = pair else {
                    return Err(Unfit::operation(operation, "cas of [from to]"));
                };
                let output = &operation.output;
                let agrees = output.is_nil() || *output == Value::Bool(true) || output.items().is_some();
                if operation.outcome == Outcome::Ok && !agrees {
                    return Err(Unfit::answer(
                        operation,
                        "nothing, true or [from to]; a cas that failed ends as fail",
                    ));
                }
                if operation.outcome == Outcome::Fail {
                    return Ok(self.failed_cas_observes.then(|| RegisterOp::CasFailed(from.clone())));
                }
                Some(RegisterOp::Cas(from.clone(), to.clone()))
            }
            _ => return Err(Unfit::operation(operation, self.expected())),
        };
        Ok(op.filter(|_| operation.outcome != Outcome::Fail))
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match op {
            RegisterOp::Read(seen) => (seen == state).then(|| state.clone()),
            RegisterOp::Write(value) | RegisterOp::Delete(value) => Some(value.clone()),
            RegisterOp::Cas(from, to) => (from == state).then(|| to.clone()),
            RegisterOp::CasFailed(from) => (from != state).then(|| state.clone()),
            RegisterOp::Append(text) => match state {
                Value::Str(before) => Some(Value::string(&format!("{before}{text}"))),
                Value::Nil => Some(Value::Str(text.clone())),
                _ => None,
            },
        }
    }

    fn is_pure(&self, op: &RegisterOp) -> bool {
        match op {
            RegisterOp::Read(_) | RegisterOp::CasFailed(_) => true,
            RegisterOp::Cas(from, to) => from == to,
            RegisterOp::Write(_) | RegisterOp::Delete(_) | RegisterOp::Append(_) => false,
        }
    }

    fn access<'a>(&self, op: &'a RegisterOp) -> Option<Access<'a>> {
        match op {
            RegisterOp::Read(seen) => Some(Access::Read(seen)),
            RegisterOp::Write(value) | RegisterOp::Delete(value) => Some(Access::Write(value)),
            RegisterOp::Cas(from, to) => Some(Access::Cas(from, to)),
            RegisterOp::CasFailed(from) => Some(Access::Differs(from)),
            RegisterOp::Append(_) => None,
        }
    }

    fn initial_value(&self) -> Option<&Value> {
        Some(&self.initial)
    }

    fn weight(&self, state: &Value) -> usize {
        state.text().map_or(0, str::len)
    }

    fn describe_op(&self, op: &RegisterOp) -> String {
        match op {
            RegisterOp::Read(seen) => format!("read → {seen}"),
            RegisterOp::Write(value) => format!("write {value}"),
            RegisterOp::Delete(_) => "delete".to_owned(),
            RegisterOp::Cas(_, to) if self.vocabulary == Vocabulary::WriteOnce => format!("write {to}"),
            RegisterOp::CasFailed(_) if self.vocabulary == Vocabulary::WriteOnce => {
                "write refused".to_owned()
            }
            RegisterOp::Cas(from, to) => format!("cas {from} → {to}"),
            RegisterOp::CasFailed(from) => format!("cas from {from} refused"),
            RegisterOp::Append(text) => format!("append {:?}", &**text),
        }
    }

    fn describe_state(&self, state: &Value) -> String {
        state.to_string()
    }
}

impl RegisterFamily {
    fn read(&self, operation: &Operation) -> Option<RegisterOp> {
        let unknown = operation.outcome != Outcome::Ok;
        let seen = &operation.output;
        let silent = unknown || (self.nil_reads_any && seen.is_nil());
        (!silent).then(|| RegisterOp::Read(seen.clone()))
    }

    fn write_once(&self, operation: &Operation) -> Result<Option<RegisterOp>, Unfit> {
        let (unset, value) = (&self.initial, operation.effective());
        if value == unset {
            return Err(Unfit::operation(operation, "a value other than that of an unwritten register"));
        }
        Ok(match operation.outcome {
            Outcome::Fail => self.failed_cas_observes.then(|| RegisterOp::CasFailed(unset.clone())),
            Outcome::Ok | Outcome::Info => Some(RegisterOp::Cas(unset.clone(), value.clone())),
        })
    }
}
