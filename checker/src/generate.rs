//! Histories made to order: linearizable by construction, since every operation takes effect at one point between its
//! ends; and ways to break them. The same seed gives the same history.
//!
//! ```
//! use checker::generate::{Plan, Workload, generate};
//!
//! let generated = generate(&Plan { operations: 20, ..Plan::new(Workload::KeyValue, 7) });
//! assert_eq!(generated.history().counts.invoke, 20);
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{Builder, Event, History, Kind};
use crate::{Outcome, Value};

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// read, write
    Register,
    /// read, write, cas
    CasRegister,
    /// get, put, delete, cas on keys
    KeyValue,
    /// get, put, append of strings on keys
    Append,
    /// transactions over two registers
    MultiRegister,
    /// acquire, release
    Mutex,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Register, Self::CasRegister, Self::KeyValue, Self::Append, Self::MultiRegister, Self::Mutex];
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::CasRegister => "cas-register",
            Self::KeyValue => "kv",
            Self::Append => "append",
            Self::MultiRegister => "multi-register",
            Self::Mutex => "mutex",
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
}

impl Generated {
    /// The events as a history.
    #[must_use]
    pub fn history(&self) -> History {
        history(&self.events)
    }

    /// Makes one read stale so that no doubt is left: it returns a value that was overwritten, by an operation that began
    /// after the value's write had ended and ended before the read began. Needs values that are written once; `None` if
    /// there is no such read. `choice` picks one of them.
    #[must_use]
    pub fn with_stale_read(&self, choice: u64) -> Option<Vec<Event>> {
        let history = self.history();
        let ok = |op: &&crate::Operation| op.outcome == Outcome::Ok;
        let end = |op: &crate::Operation| op.completed.map_or(u32::MAX, |mark| mark.position);
        let write = |op: &&crate::Operation| matches!(&*op.f, "write" | "put");
        let mut stale = Vec::new();
        for read in history.operations.iter().filter(ok).filter(|op| matches!(&*op.f, "read" | "get")) {
            let writes =
                || history.operations.iter().filter(ok).filter(write).filter(|op| op.key == read.key);
            let over =
                writes().filter(|op| end(op) < read.invoked.position).max_by_key(|op| op.invoked.position);
            let Some(over) = over else { continue };
            let old = writes().filter(|op| end(op) < over.invoked.position && op.input != over.input);
            if let Some(old) = old.max_by_key(|op| end(op)) {
                stale.push((end(read), old.input.clone()));
            }
        }
        let which = usize::try_from(choice).unwrap_or(0).checked_rem(stale.len())?;
        let (position, value) = stale.get(which)?.clone();
        let mut events = self.events.clone();
        events.get_mut(position as usize)?.value = value;
        Some(events)
    }

    /// Makes one read return a value that nobody ever wrote; `None` if there is no read.
    #[must_use]
    pub fn with_phantom_read(&self, choice: u64) -> Option<Vec<Event>> {
        let mut events = self.events.clone();
        let reads =
            events.iter_mut().filter(|event| event.kind == Kind::Ok && matches!(&*event.f, "read" | "get"));
        let mut reads: Vec<_> = reads.collect();
        let which = usize::try_from(choice).unwrap_or(0).checked_rem(reads.len())?;
        reads.get_mut(which)?.value = Value::string("nobody wrote this");
        Some(events)
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

/// An operation on its way.
struct Pending {
    operation: u32,
    process: i64,
    f: &'static str,
    key: Option<Value>,
    value: Value,
    /// What it answers, once it took effect.
    answer: Option<(Kind, Value)>,
}

/// Makes a history.
#[must_use]
pub fn generate(plan: &Plan) -> Generated {
    let mut world = World {
        plan,
        dice: Dice::new(plan.seed),
        state: BTreeMap::new(),
        fresh: 0,
        time: 0,
        out: Generated { events: Vec::with_capacity(plan.operations * 2), points: Vec::new() },
        invoked: 0,
        next_process: i64::try_from(plan.clients).unwrap_or(1),
        late: Vec::new(),
    };
    let mut clients: Vec<(i64, Option<Pending>)> =
        (0..world.next_process.max(1)).map(|id| (id, None)).collect();
    loop {
        let busy = clients.iter().any(|(_, pending)| pending.is_some());
        if world.invoked as usize >= plan.operations && !busy {
            return world.out;
        }
        world.land_late();
        let which = world.dice.index(clients.len());
        let Some((process, slot)) = clients.get_mut(which) else { return world.out };
        *slot = match slot.take() {
            None if (world.invoked as usize) < plan.operations => Some(world.invoke(*process)),
            None => None,
            Some(mut pending) => {
                let lost = world.dice.below(1000) < plan.unknown;
                if lost {
                    world.event(&pending, Kind::Info, pending.value.clone());
                    *process = world.next_process;
                    world.next_process += 1;
                    // It may land later, or never, or it has landed already.
                    if pending.answer.is_none() && world.dice.below(3) > 0 {
                        world.late.push(pending);
                    }
                    None
                } else if let Some((kind, value)) = pending.answer.clone() {
                    world.event(&pending, kind, value);
                    None
                } else {
                    world.apply(&mut pending);
                    Some(pending)
                }
            }
        };
    }
}

struct World<'a> {
    plan: &'a Plan,
    dice: Dice,
    state: BTreeMap<Value, Value>,
    fresh: u64,
    time: i64,
    out: Generated,
    invoked: u32,
    next_process: i64,
    /// Operations of unknown outcome that have not taken effect yet.
    late: Vec<Pending>,
}

impl World<'_> {
    fn event(&mut self, pending: &Pending, kind: Kind, value: Value) {
        self.time += 1 + i64::try_from(self.dice.below(1_000_000)).unwrap_or(0);
        let mut event = Event::new(pending.process, kind, pending.f, value).at_time(self.time);
        event.key = pending.key.clone();
        event.f = Arc::from(pending.f);
        self.out.events.push(event);
    }

    /// Some lost operation takes effect after all.
    fn land_late(&mut self) {
        if !self.late.is_empty() && self.dice.below(20) == 0 {
            let which = self.dice.index(self.late.len());
            let mut pending = self.late.swap_remove(which);
            self.apply(&mut pending);
        }
    }

    fn value(&mut self) -> Value {
        if self.plan.values == 0 {
            self.fresh += 1;
            return Value::Int(i64::try_from(self.fresh).unwrap_or(0));
        }
        Value::Int(i64::try_from(self.dice.below(self.plan.values)).unwrap_or(0))
    }

    fn invoke(&mut self, process: i64) -> Pending {
        let keyed = matches!(self.plan.workload, Workload::KeyValue | Workload::Append);
        let key = keyed.then(|| Value::string(&format!("k{}", self.dice.below(self.plan.keys as u64))));
        let (f, value) = self.operation(key.as_ref());
        let pending = Pending { operation: self.invoked, process, f, key, value, answer: None };
        self.invoked += 1;
        self.event(&pending, Kind::Invoke, pending.value.clone());
        pending
    }

    fn operation(&mut self, key: Option<&Value>) -> (&'static str, Value) {
        let choice = self.dice.below(10);
        match self.plan.workload {
            Workload::Register if choice < 5 => ("read", Value::Nil),
            Workload::Register => ("write", self.value()),
            Workload::CasRegister => match choice {
                0..4 => ("read", Value::Nil),
                4..7 => ("write", self.value()),
                _ => ("cas", self.cas(key)),
            },
            Workload::KeyValue => match choice {
                0..4 => ("get", Value::Nil),
                4..7 => ("put", self.value()),
                7 => ("delete", Value::Nil),
                _ => ("cas", self.cas(key)),
            },
            Workload::Append if choice < 5 => ("get", Value::Nil),
            Workload::Append => {
                let text = Value::string(&format!("{} ", self.value()));
                (if choice == 5 { "put" } else { "append" }, text)
            }
            Workload::MultiRegister => {
                let mut steps = Vec::new();
                for register in ["x", "y"] {
                    let (f, value) = match self.dice.below(3) {
                        0 => continue,
                        1 => ("read", Value::Nil),
                        _ => ("write", self.value()),
                    };
                    let step = [Value::keyword(f), Value::keyword(register), value];
                    steps.push(Value::vector(step));
                }
                ("txn", Value::vector(steps))
            }
            Workload::Mutex if choice < 5 => ("acquire", Value::Nil),
            Workload::Mutex => ("release", Value::Nil),
        }
    }

    /// A compare-and-set that has a chance: from the present value, mostly.
    fn cas(&mut self, key: Option<&Value>) -> Value {
        let present = self.state.get(key.unwrap_or(&Value::Nil)).cloned().unwrap_or_default();
        let from = if self.dice.below(3) == 0 { self.value() } else { present };
        let to = self.value();
        Value::vector([from, to])
    }

    /// The linearization point.
    fn apply(&mut self, pending: &mut Pending) {
        let place = pending.key.clone().unwrap_or_default();
        let present = self.state.get(&place).cloned();
        let value = pending.value.clone();
        let answer = match (pending.f, value.items()) {
            ("read", _) => (Kind::Ok, present.unwrap_or_default()),
            ("get", _) if self.plan.workload == Workload::Append => {
                (Kind::Ok, present.unwrap_or_else(|| Value::string("")))
            }
            ("get", _) => (Kind::Ok, present.unwrap_or_default()),
            ("delete", _) => {
                self.state.remove(&place);
                (Kind::Ok, Value::Nil)
            }
            ("append", _) => {
                let before = present.as_ref().and_then(Value::text).unwrap_or_default();
                let text = format!("{before}{}", value.text().unwrap_or_default());
                self.state.insert(place, Value::string(&text));
                (Kind::Ok, value)
            }
            ("cas", Some([from, to])) => {
                if *from == present.unwrap_or_default() {
                    self.state.insert(place, to.clone());
                    (Kind::Ok, value.clone())
                } else {
                    (Kind::Fail, value.clone())
                }
            }
            ("txn", Some(steps)) => (Kind::Ok, self.transaction(steps)),
            ("acquire", _) | ("release", _) => {
                let held = present == Some(Value::Bool(true));
                let acquire = pending.f == "acquire";
                if held != acquire {
                    self.state.insert(place, Value::Bool(acquire));
                }
                (if held == acquire { Kind::Fail } else { Kind::Ok }, Value::Nil)
            }
            _ => {
                self.state.insert(place, value.clone());
                (Kind::Ok, value)
            }
        };
        if answer.0 == Kind::Ok {
            self.out.points.push(pending.operation);
        }
        pending.answer = Some(answer);
    }

    fn transaction(&mut self, steps: &[Value]) -> Value {
        let mut done = Vec::with_capacity(steps.len());
        for step in steps {
            if let Some([f, register, value]) = step.items() {
                let value = if f.text() == Some("write") {
                    self.state.insert(register.clone(), value.clone());
                    value.clone()
                } else {
                    self.state.get(register).cloned().unwrap_or(Value::Int(0))
                };
                done.push(Value::vector([f.clone(), register.clone(), value]));
            }
        }
        Value::vector(done)
    }
}
