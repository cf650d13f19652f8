//! Choosing a specification by name, with the options of the command line and defaults that fit the history.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{
    AppendList, Counter, FifoQueue, MultiRegister, Mutex, PriorityQueue, ReentrantMutex, RegisterFamily, Set,
    Stack, UnorderedQueue, Vocabulary,
};
use crate::history::{Format, History};
use crate::{Outcome, Value};

/// The specifications that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelName {
    /// `register`
    Register,
    /// `cas-register`
    CasRegister,
    /// `write-once`
    WriteOnce,
    /// `kv`
    KeyValue,
    /// `multi-register`
    MultiRegister,
    /// `append-list`
    AppendList,
    /// `set`
    Set,
    /// `counter`
    Counter,
    /// `fifo-queue`
    FifoQueue,
    /// `unordered-queue`
    UnorderedQueue,
    /// `priority-queue`
    PriorityQueue,
    /// `stack`
    Stack,
    /// `mutex`
    Mutex,
    /// `reentrant-mutex`
    ReentrantMutex,
}

impl ModelName {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Register,
        Self::CasRegister,
        Self::WriteOnce,
        Self::KeyValue,
        Self::MultiRegister,
        Self::AppendList,
        Self::Set,
        Self::Counter,
        Self::FifoQueue,
        Self::UnorderedQueue,
        Self::PriorityQueue,
        Self::Stack,
        Self::Mutex,
        Self::ReentrantMutex,
    ];
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::CasRegister => "cas-register",
            Self::WriteOnce => "write-once",
            Self::KeyValue => "kv",
            Self::MultiRegister => "multi-register",
            Self::AppendList => "append-list",
            Self::Set => "set",
            Self::Counter => "counter",
            Self::FifoQueue => "fifo-queue",
            Self::UnorderedQueue => "unordered-queue",
            Self::PriorityQueue => "priority-queue",
            Self::Stack => "stack",
            Self::Mutex => "mutex",
            Self::ReentrantMutex => "reentrant-mutex",
        })
    }
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|model| model.to_string() == name).ok_or_else(|| {
            let all = Self::ALL.map(|model| model.to_string()).join(", ");
            format!("unknown model `{name}`: expected one of {all}")
        })
    }
}

/// What an ok read of nil says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NilReads {
    /// `Any` if the initial value is given and not nil, and the history never sets nil (then no register can hold it: nil
    /// says "the client does not know"); else `Value`.
    #[default]
    Auto,
    /// Nothing: the read is legal in any state (Knossos).
    Any,
    /// That the register holds nil (Porcupine).
    Value,
}

/// What a failed compare-and-set says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedCas {
    /// `Observe` for Jepsen's log lines (Porcupine's etcd histories), else `Drop`.
    #[default]
    Auto,
    /// Nothing: it did not happen (Knossos, Jepsen).
    Drop,
    /// That the value was another one (Porcupine's etcd model).
    Observe,
}

/// The options of the specifications.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions {
    /// The state at the start; for the default see [`Model::new`].
    pub initial: Option<Value>,
    /// What an ok read of nil says.
    pub nil_reads: NilReads,
    /// What a failed compare-and-set says.
    pub failed_cas: FailedCas,
}

/// A specification chosen by name.
#[derive(Clone, Debug)]
pub enum Model {
    /// register, cas-register, write-once, kv
    Registers(RegisterFamily),
    /// multi-register
    MultiRegister(MultiRegister),
    /// append-list
    AppendList(AppendList),
    /// set
    Set(Set),
    /// counter
    Counter(Counter),
    /// fifo-queue
    FifoQueue(FifoQueue),
    /// unordered-queue
    UnorderedQueue(UnorderedQueue),
    /// priority-queue
    PriorityQueue(PriorityQueue),
    /// stack
    Stack(Stack),
    /// mutex
    Mutex(Mutex),
    /// reentrant-mutex
    ReentrantMutex(ReentrantMutex),
}

/// Runs an expression with whatever specification a [`Model`] is.
macro_rules! with_specification {
    ($model:expr, $spec:ident => $body:expr) => {
        match $model {
            $crate::Model::Registers($spec) => $body,
            $crate::Model::MultiRegister($spec) => $body,
            $crate::Model::AppendList($spec) => $body,
            $crate::Model::Set($spec) => $body,
            $crate::Model::Counter($spec) => $body,
            $crate::Model::FifoQueue($spec) => $body,
            $crate::Model::UnorderedQueue($spec) => $body,
            $crate::Model::PriorityQueue($spec) => $body,
            $crate::Model::Stack($spec) => $body,
            $crate::Model::Mutex($spec) => $body,
            $crate::Model::ReentrantMutex($spec) => $body,
        }
    };
}
pub(crate) use with_specification;

impl Model {
    /// The specification of that name, with what the options leave open settled by looking at the history.
    ///
    /// The initial state, if not given: nil for registers; absent (nil) for the keys of a map, or the empty string if the
    /// history appends strings and never reads nil (Porcupine's key-value histories); 0 for a counter and for every register of
    /// a multi-register (Knossos' histories); empty for lists, sets, queues and stacks; free for a mutex.
    ///
    /// # Errors
    /// A message, if the initial state does not suit the specification.
    pub fn new(name: ModelName, options: &ModelOptions, history: &History) -> Result<Self, String> {
        let start = options.initial.as_ref().unwrap_or(&Value::Nil);
        Ok(match name {
            ModelName::Register => Self::registers(Vocabulary::Register, options, history),
            ModelName::CasRegister => Self::registers(Vocabulary::CasRegister, options, history),
            ModelName::WriteOnce => Self::registers(Vocabulary::WriteOnce, options, history),
            ModelName::KeyValue => Self::registers(Vocabulary::KeyValue, options, history),
            ModelName::MultiRegister => return Self::multi_register(options),
            ModelName::AppendList => Self::AppendList(AppendList::new(contents(start)?)),
            ModelName::Set => Self::Set(Set::new(contents(start)?, history)),
            ModelName::Counter => match start {
                Value::Nil => Self::Counter(Counter::default()),
                Value::Int(initial) => Self::Counter(Counter { initial: *initial }),
                other => return Err(format!("a counter starts as a whole number, not {other}")),
            },
            ModelName::FifoQueue => Self::FifoQueue(FifoQueue { initial: contents(start)? }),
            ModelName::UnorderedQueue => {
                let found_empty = history.operations.silent();
                Self::UnorderedQueue(UnorderedQueue { initial: contents(start)?, found_empty })
            }
            ModelName::PriorityQueue => Self::PriorityQueue(PriorityQueue { initial: numbers(start)? }),
            ModelName::Stack => Self::Stack(Stack { initial: contents(start)? }),
            ModelName::Mutex => Self::Mutex(Mutex { held: held(start)? }),
            ModelName::ReentrantMutex if held(start)? => {
                return Err("a reentrant mutex starts free: nobody could release it".to_owned());
            }
            ModelName::ReentrantMutex => Self::ReentrantMutex(ReentrantMutex::default()),
        })
    }

    /// Whether something was seen in the history that makes a difference to what the object is (see [`Model::new`]): a read of the
    /// whole set, say. Once seen, it stays.
    pub(crate) fn heeds_history(&self) -> bool {
        match self {
            Self::Registers(spec) => !spec.nil_reads_any,
            Self::Set(spec) => !spec.is_by_element(),
            Self::UnorderedQueue(spec) => spec.found_empty,
            _ => false,
        }
    }

    fn registers(vocabulary: Vocabulary, options: &ModelOptions, history: &History) -> Self {
        let initial = match &options.initial {
            Some(value) => value.clone(),
            None if vocabulary == Vocabulary::KeyValue && appends(history) => Value::string(""),
            None => Value::Nil,
        };
        let nil_reads_any = match options.nil_reads {
            NilReads::Any => true,
            NilReads::Value => false,
            NilReads::Auto => vocabulary != Vocabulary::KeyValue && !initial.is_nil() && !sets_nil(history),
        };
        let failed_cas_observes = match options.failed_cas {
            FailedCas::Observe => true,
            FailedCas::Drop => false,
            FailedCas::Auto => history.format == Some(Format::LogLines),
        };
        Self::Registers(RegisterFamily { vocabulary, initial, nil_reads_any, failed_cas_observes })
    }

    fn multi_register(options: &ModelOptions) -> Result<Self, String> {
        let (initial, default) = match &options.initial {
            None => (BTreeMap::new(), Value::Int(0)),
            Some(Value::Map(entries)) => (entries.iter().cloned().collect(), Value::Nil),
            Some(value) if value.items().is_none() => (BTreeMap::new(), value.clone()),
            Some(value) => {
                return Err(format!(
                    "a multi-register starts as a map {{:x 0 :y 0}} or one value for all, not {value}"
                ));
            }
        };
        let holds_nil = default.is_nil() && initial.is_empty();
        let nil_reads_any = match options.nil_reads {
            NilReads::Any => true,
            NilReads::Value => false,
            NilReads::Auto => !holds_nil,
        };
        Ok(Self::MultiRegister(MultiRegister { initial, default, nil_reads_any }))
    }
}

/// What is in a collection at the start.
fn contents(start: &Value) -> Result<Vec<Value>, String> {
    match start {
        Value::Nil => Ok(Vec::new()),
        Value::Set(items) | Value::List(items) | Value::Vector(items) => Ok(items.to_vec()),
        other => Err(format!("a collection starts with [values], not {other}")),
    }
}

fn numbers(start: &Value) -> Result<Vec<i64>, String> {
    let number = |value: Value| match value {
        Value::Int(number) => Ok(number),
        other => Err(format!("a priority queue holds whole numbers, not {other}")),
    };
    contents(start)?.into_iter().map(number).collect()
}

fn held(start: &Value) -> Result<bool, String> {
    match (start, start.text()) {
        (Value::Nil | Value::Bool(false), _) | (_, Some("free")) => Ok(false),
        (Value::Bool(true), _) | (_, Some("held")) => Ok(true),
        _ => Err(format!("a mutex starts free or held, not {start}")),
    }
}

fn appends(history: &History) -> bool {
    let appends = history.operations.named(&["append"]).any(|op| matches!(op.input, Value::Str(_)));
    let nil = |op: &crate::Operation| op.outcome == Outcome::Ok && op.output.is_nil();
    appends && !history.operations.named(&["get", "read"]).any(|op| nil(&op))
}

fn sets_nil(history: &History) -> bool {
    history.operations.named(&["write", "put", "cas", "delete"]).any(|op| match &*op.f {
        "write" | "put" => op.effective().is_nil(),
        "cas" => matches!(op.effective().items(), Some([from, to]) if from.is_nil() || to.is_nil()),
        "delete" => true,
        _ => false,
    })
}
