//! Histories made to order: linearizable by construction, since every operation takes effect at one point between its
//! ends; and ways to break them. The same seed gives the same history.
//!
//! ```
//! use checker::generate::{Plan, Workload, generate};
//!
//! let generated = generate(&Plan { operations: 20, ..Plan::new(Workload::KeyValue, 7) });
//! assert_eq!(generated.history().counts.invoke, 20);
//! ```

mod faults;
mod objects;
mod world;

use crate::ModelName;
use crate::history::{Builder, Event, History};

pub use world::generate;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// read, write
    Register,
    /// read, write, cas
    CasRegister,
    /// read, write; the first write is ok, all others fail
    WriteOnce,
    /// get, put, delete, cas on keys
    KeyValue,
    /// get, put, append of strings on keys
    Append,
    /// transactions over two registers
    MultiRegister,
    /// append, read of lists on keys
    AppendList,
    /// add, remove, read of the whole set
    Set,
    /// add, remove, contains of a set's elements
    Elements,
    /// add, read
    Counter,
    /// enqueue, dequeue
    FifoQueue,
    /// enqueue, dequeue, in any order
    UnorderedQueue,
    /// enqueue, dequeue of numbers, the least first
    PriorityQueue,
    /// push, pop
    Stack,
    /// acquire, release
    Mutex,
    /// acquire, release, twice by the same process
    ReentrantMutex,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Register,
        Self::CasRegister,
        Self::WriteOnce,
        Self::KeyValue,
        Self::Append,
        Self::MultiRegister,
        Self::AppendList,
        Self::Set,
        Self::Elements,
        Self::Counter,
        Self::FifoQueue,
        Self::UnorderedQueue,
        Self::PriorityQueue,
        Self::Stack,
        Self::Mutex,
        Self::ReentrantMutex,
    ];

    /// The specification of what they do it to.
    #[must_use]
    pub fn model(self) -> ModelName {
        match self {
            Self::Register => ModelName::Register,
            Self::CasRegister => ModelName::CasRegister,
            Self::WriteOnce => ModelName::WriteOnce,
            Self::KeyValue => ModelName::KeyValue,
            Self::Append => ModelName::KeyValue,
            Self::MultiRegister => ModelName::MultiRegister,
            Self::AppendList => ModelName::AppendList,
            Self::Set => ModelName::Set,
            Self::Elements => ModelName::Set,
            Self::Counter => ModelName::Counter,
            Self::FifoQueue => ModelName::FifoQueue,
            Self::UnorderedQueue => ModelName::UnorderedQueue,
            Self::PriorityQueue => ModelName::PriorityQueue,
            Self::Stack => ModelName::Stack,
            Self::Mutex => ModelName::Mutex,
            Self::ReentrantMutex => ModelName::ReentrantMutex,
        }
    }

    /// Whether the objects are many, with keys.
    #[must_use]
    pub fn has_keys(self) -> bool {
        matches!(self, Self::KeyValue | Self::Append | Self::AppendList)
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::CasRegister => "cas-register",
            Self::WriteOnce => "write-once",
            Self::KeyValue => "kv",
            Self::Append => "append",
            Self::MultiRegister => "multi-register",
            Self::AppendList => "append-list",
            Self::Set => "set",
            Self::Elements => "elements",
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

impl std::str::FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|workload| workload.to_string() == name).ok_or_else(|| {
            let all = Self::ALL.map(|workload| workload.to_string()).join(", ");
            format!("unknown workload `{name}`: expected one of {all}")
        })
    }
}

/// What kind of history.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the clients do.
    pub workload: Workload,
    /// Everything random comes from this.
    pub seed: u64,
    /// How many operations are invoked.
    pub operations: usize,
    /// How many clients there are at a time.
    pub clients: usize,
    /// How many keys, for the workloads that have keys.
    pub keys: usize,
    /// How many different values are written; 0: every value once.
    pub values: u64,
    /// Out of a thousand operations, how many end with unknown outcome.
    pub unknown: u64,
}

impl Plan {
    /// 100 operations of 5 clients on 3 keys, every value once, 3 % unknown.
    #[must_use]
    pub fn new(workload: Workload, seed: u64) -> Self {
        Self { workload, seed, operations: 100, clients: 5, keys: 3, values: 0, unknown: 30 }
    }
}

/// A history and the order in which its operations took effect.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The events in real time.
    pub events: Vec<Event>,
    /// The operations (numbered by invocation) in the order of their linearization points. Those that failed or never took
    /// effect are not in it.
    pub points: Vec<u32>,
    /// What the clients did.
    pub workload: Workload,
}

impl Generated {
    /// The events as a history.
    #[must_use]
    pub fn history(&self) -> History {
        history(&self.events)
    }
}

/// Events, one after the other, as a history. Events that cannot be a history give an empty one.
#[must_use]
pub fn history(events: &[Event]) -> History {
    let mut builder = Builder::new("generated", None);
    for event in events {
        if builder.push(event.clone()).is_err() {
            return History::default();
        }
    }
    builder.finish()
}

/// A small deterministic source of numbers (SplitMix64, Steele et al. 2014): the checker needs no dependency for it.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll().checked_rem(bound).unwrap_or(0)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }
}
