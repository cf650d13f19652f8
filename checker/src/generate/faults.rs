//! Ways to break a history so that no doubt is left.

use super::{Generated, Workload};
use crate::history::{Event, Kind, Operation};
use crate::{Outcome, Value};

impl Generated {
    /// Makes one read stale so that no doubt is left: it returns a value that was overwritten, by an operation that began
    /// after the value's write had ended and ended before the read began. Needs values that are written once; `None` if
    /// there is no such read. `choice` picks one of them.
    #[must_use]
    pub fn with_stale_read(&self, choice: u64) -> Option<Vec<Event>> {
        let history: Vec<Operation> = self.history().operations.iter().collect();
        let ok = |op: &&crate::Operation| op.outcome == Outcome::Ok;
        let end = |op: &crate::Operation| op.completed.map_or(u32::MAX, |mark| mark.position);
        let write = |op: &&crate::Operation| matches!(&*op.f, "write" | "put");
        let mut stale = Vec::new();
        for read in history.iter().filter(ok).filter(|op| matches!(&*op.f, "read" | "get")) {
            let writes = || history.iter().filter(ok).filter(write).filter(|op| op.key == read.key);
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

    /// Changes one answer so that no doubt is left, whatever the clients did; `None` if there is none that would do. Values
    /// must be written once. `choice` picks one of them.
    #[must_use]
    pub fn with_fault(&self, choice: u64) -> Option<Vec<Event>> {
        let history: Vec<Operation> = self.history().operations.iter().collect();
        match self.workload {
            Workload::Register | Workload::CasRegister | Workload::KeyValue => self.with_stale_read(choice),
            Workload::MultiRegister => self.with_phantom_step(choice),
            Workload::Append => self.with_phantom_read(choice),
            Workload::WriteOnce => self.with(choice, second_writes(&history)),
            Workload::AppendList => self.with(choice, stale(&history, "append", &Value::vector([]))),
            Workload::Set => self.with(choice, stale(&history, "add", &Value::set(Vec::new()))),
            Workload::Elements => self.with(choice, missing_elements(&history)),
            Workload::Counter => self.with(choice, stale(&history, "add", &Value::Int(0))),
            Workload::FifoQueue | Workload::UnorderedQueue | Workload::PriorityQueue | Workload::Stack => {
                self.with(choice, taken_twice(&history))
            }
            Workload::Mutex | Workload::ReentrantMutex => self.with(choice, held_by_two(&history)),
        }
    }

    /// One of those changes: at the event at that position, this kind and value.
    fn with(&self, choice: u64, mut changes: Vec<(u32, Kind, Value)>) -> Option<Vec<Event>> {
        let which = usize::try_from(choice).unwrap_or(0).checked_rem(changes.len())?;
        let (position, kind, value) = changes.swap_remove(which);
        let mut events = self.events.clone();
        let event = events.get_mut(position as usize)?;
        (event.kind, event.value) = (kind, value);
        Some(events)
    }

    fn with_phantom_step(&self, choice: u64) -> Option<Vec<Event>> {
        let read = |step: &Value| matches!(step.items(), Some([f, ..]) if f.text() == Some("read"));
        let phantom = |step: &Value| match step.items() {
            Some([f, register, _]) if read(step) => {
                Value::vector([f.clone(), register.clone(), Value::string("nobody wrote this")])
            }
            _ => step.clone(),
        };
        let changes = self.events.iter().zip(0..).filter(|(event, _)| event.kind == Kind::Ok);
        let changes = changes.filter_map(|(event, at)| {
            let steps = event.value.items()?;
            let changed: Vec<Value> = steps.iter().map(phantom).collect();
            steps.iter().any(read).then(|| (at, Kind::Ok, Value::vector(changed)))
        });
        self.with(choice, changes.collect())
    }
}

fn end(operation: &Operation) -> u32 {
    operation.completed.map_or(u32::MAX, |mark| mark.position)
}

fn ok<'a>(history: &'a [Operation], f: &'a [&'a str]) -> impl Iterator<Item = &'a Operation> {
    let named = move |op: &&Operation| op.outcome == Outcome::Ok && f.contains(&&*op.f);
    history.iter().filter(named)
}

/// Reads as if nothing had happened, of what something had happened to before they began.
fn stale(history: &[Operation], change: &str, nothing: &Value) -> Vec<(u32, Kind, Value)> {
    let names = [change];
    let removed = |element: &Value| history.iter().any(|op| &*op.f == "remove" && op.input == *element);
    let stale = ok(history, &["read"]).filter(|read| {
        ok(history, &names)
            .any(|op| op.key == read.key && end(op) < read.invoked.position && !removed(&op.input))
    });
    stale.map(|read| (end(read), Kind::Ok, nothing.clone())).collect()
}

/// Elements that are said not to be there, although they were added and never removed.
fn missing_elements(history: &[Operation]) -> Vec<(u32, Kind, Value)> {
    let removed = |element: &Value| history.iter().any(|op| &*op.f == "remove" && op.input == *element);
    let missing = ok(history, &["contains"]).filter(|read| {
        let added = |op: &Operation| op.input == read.input && end(op) < read.invoked.position;
        !removed(&read.input) && ok(history, &["add"]).any(added)
    });
    missing.map(|read| (end(read), Kind::Ok, Value::Bool(false))).collect()
}

/// Writes that succeed although another one had.
fn second_writes(history: &[Operation]) -> Vec<(u32, Kind, Value)> {
    let failed = history.iter().filter(|op| op.outcome == Outcome::Fail);
    let failed = failed.filter(|_| ok(history, &["write"]).next().is_some());
    failed.map(|op| (end(op), Kind::Ok, op.input.clone())).collect()
}

/// Takes that answer what somebody else took.
fn taken_twice(history: &[Operation]) -> Vec<(u32, Kind, Value)> {
    let takes: Vec<&Operation> =
        ok(history, &["dequeue", "pop"]).filter(|take| !take.output.is_nil()).collect();
    let twice = takes.windows(2).filter_map(|pair| match pair {
        [one, other] => Some((end(other), Kind::Ok, one.output.clone())),
        _ => None,
    });
    twice.collect()
}

/// Locks that were refused, given to a second holder although the first one has not even begun to give it back.
fn held_by_two(history: &[Operation]) -> Vec<(u32, Kind, Value)> {
    let refused = history.iter().filter(|op| &*op.f == "acquire" && op.outcome == Outcome::Fail);
    let held = |refused: &&Operation| {
        let (from, to) = (refused.invoked.position, end(refused));
        let taken = ok(history, &["acquire"]).filter(|op| end(op) < from && op.process != refused.process);
        taken.max_by_key(|op| end(op)).is_some_and(|holder| {
            let other = |op: &&Operation| {
                op.outcome != Outcome::Fail
                    && op.invoked != refused.invoked
                    && op.invoked != holder.invoked
                    && op.invoked.position < to
                    && (op.outcome == Outcome::Info || end(op) > holder.invoked.position)
            };
            // Nothing else that happened overlaps with the two.
            !history.iter().any(|op| other(&op))
        })
    };
    refused.filter(held).map(|op| (end(op), Kind::Ok, Value::Nil)).collect()
}
