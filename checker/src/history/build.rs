//! From events to operations: pairs invocations with completions and refuses what cannot have happened.

use rustc_hash::FxHashMap;

use super::{Counts, Event, Format, History, Kind, Mark, Operation, Outcome, Problem, Process};

/// The most events of one history: positions are 32 bits wide, and the last ones are reserved.
pub(super) const MAX_EVENTS: u32 = u32::MAX - 16;

/// How far the clock may run backwards *between* processes where a format's recorders read the clock before they took
/// their place in the file, as Jepsen's did: the recorded Knossos histories show 1.1 ms. Order in the file is what counts.
pub(super) const CLOCK_DISORDER: i64 = 10_000_000;

/// What a process is doing.
#[derive(Clone, Copy)]
enum State {
    Idle { last: u32 },
    Open { operation: u32 },
    Retired { operation: u32 },
}

/// Collects events into a [`History`]. Each event is checked against those before it.
pub struct Builder {
    history: History,
    processes: FxHashMap<i64, State>,
    position: u32,
    latest: Option<(i64, u32)>,
    index: Option<i64>,
    disorder: i64,
    /// Bytes held by operations, annotations and processes.
    held: usize,
    most: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new("history", None)
    }
}

impl Builder {
    /// A builder for a history of that name, read from that format.
    #[must_use]
    pub fn new(name: &str, format: Option<Format>) -> Self {
        let disorder = match format {
            Some(Format::Edn | Format::LogLines) => CLOCK_DISORDER,
            Some(Format::JsonLines) | None => 0,
        };
        let history = History { name: name.to_owned(), format, ..History::default() };
        Self {
            history,
            processes: FxHashMap::default(),
            position: 0,
            latest: None,
            index: None,
            disorder,
            held: 0,
            most: usize::MAX,
        }
    }

    /// The same, holding no more than so many bytes.
    #[must_use]
    pub fn within(mut self, memory_bytes: Option<u64>) -> Self {
        self.most = memory_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        self
    }

    /// How many bytes the next event may take.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.held)
    }

    /// Takes the next event; its line is its position plus one.
    ///
    /// # Errors
    /// A [`Problem`] if the event cannot follow those before it.
    pub fn push(&mut self, event: Event) -> Result<(), Problem> {
        let line = self.position.saturating_add(1);
        self.push_line(event, line)
    }

    /// Takes the next event, found on that line.
    ///
    /// # Errors
    /// A [`Problem`] if the event cannot follow those before it.
    pub fn push_line(&mut self, event: Event, line: u32) -> Result<(), Problem> {
        if self.position >= MAX_EVENTS {
            return Err(Problem::Limit { what: "events", limit: u64::from(MAX_EVENTS) });
        }
        self.check_order(&event, line)?;
        self.make_room(&event)?;
        let mark = Mark { position: self.position, line, time: event.time };
        self.position += 1;
        match event.process {
            // Only what says of itself that it is no client is passed over: an operation that nobody looks at would be a pass
            // for nothing.
            Process::Named(ref name) if &**name != "nemesis" && event.kind != Kind::Info => {
                return Err(Problem::syntax("a process: a number, or nemesis", format!("`{name}`")));
            }
            Process::Named(_) => self.history.annotations.push((line, event)),
            Process::Client(process) => match event.kind {
                Kind::Invoke => self.invoke(process, event, mark)?,
                kind => self.complete(process, kind, event, mark)?,
            },
        }
        Ok(())
    }

    /// The history; operations still open stay open for ever.
    #[must_use]
    pub fn finish(mut self) -> History {
        self.so_far();
        self.history
    }

    /// The history so far, as if nothing more came.
    pub fn so_far(&mut self) -> &History {
        let Counts { invoke, ok, fail, info, .. } = self.history.counts;
        self.history.counts.open = invoke - ok - fail - info;
        &self.history
    }

    /// Counts the event, and lengthens what it is kept in. While that moves it is there twice: there must be room for both, even
    /// if the allocator finds a better way.
    fn make_room(&mut self, event: &Event) -> Result<(), Problem> {
        /// Longer names are not shared (see the interner of the readers).
        const SHARED: usize = 64;
        let name = if event.f.len() > SHARED { event.f.len() } else { 0 };
        let key = event.key.as_ref().map_or(0, crate::Value::memory);
        self.held += name + key + event.value.memory();
        let processes = self.processes.capacity() * PROCESS;
        let moving = match event.process {
            Process::Client(_) if event.kind == Kind::Invoke => {
                lengthen(&mut self.history.operations, &mut self.held, self.most)?
                    + if self.processes.len() == self.processes.capacity() { processes * 3 } else { 0 }
            }
            Process::Client(_) => 0,
            Process::Named(_) => {
                self.held += event.error.as_ref().map_or(0, crate::Value::memory);
                lengthen(&mut self.history.annotations, &mut self.held, self.most)?
            }
        };
        let taken = self.held.saturating_add(processes).saturating_add(moving);
        if taken > self.most { Err(Problem::Memory) } else { Ok(()) }
    }

    fn check_order(&mut self, event: &Event, line: u32) -> Result<(), Problem> {
        if let Some(now) = event.index {
            if let Some(before) = self.index
                && now <= before
            {
                return Err(Problem::IndexBackwards { now, before });
            }
            self.index = Some(now);
        }
        if let Some(now) = event.time {
            match self.latest {
                Some((before, at)) if now.saturating_add(self.disorder) < before => {
                    return Err(Problem::TimeBackwards { now, before, line: at });
                }
                Some((before, _)) if now < before => {}
                _ => self.latest = Some((now, line)),
            }
        }
        Ok(())
    }

    fn invoke(&mut self, process: i64, event: Event, mark: Mark) -> Result<(), Problem> {
        match self.processes.get(&process) {
            Some(State::Open { operation }) => {
                let (f, invoked) = self.opened(*operation);
                return Err(Problem::TwoOpen { process: Process::Client(process), f, invoked });
            }
            Some(State::Retired { operation }) => {
                let (_, invoked) = self.opened(*operation);
                return Err(Problem::Retired { process: Process::Client(process), invoked });
            }
            Some(State::Idle { last }) => self.check_clock(*last, mark)?,
            None => {}
        }
        self.history.counts.invoke += 1;
        // Fits: there are at most MAX_EVENTS operations.
        let operation = u32::try_from(self.history.operations.len()).unwrap_or(u32::MAX);
        self.history.operations.push(Operation {
            process,
            f: event.f,
            key: event.key,
            input: event.value,
            output: crate::Value::Nil,
            outcome: Outcome::Info,
            invoked: mark,
            completed: None,
        });
        self.processes.insert(process, State::Open { operation });
        Ok(())
    }

    fn complete(&mut self, process: i64, kind: Kind, event: Event, mark: Mark) -> Result<(), Problem> {
        let named = Process::Client(process);
        let at = match self.processes.get(&process) {
            Some(State::Open { operation }) => *operation,
            Some(State::Idle { last: done } | State::Retired { operation: done }) => {
                let operation = self.history.operations.get(*done as usize);
                return Err(match operation.and_then(|op| op.completed.map(|mark| (op.invoked, mark))) {
                    Some((invoked, completed)) => Problem::DuplicateCompletion {
                        process: named,
                        invoked: invoked.line,
                        completed: completed.line,
                    },
                    None => Problem::CompletionWithoutInvocation { process: named, kind },
                });
            }
            None => return Err(Problem::CompletionWithoutInvocation { process: named, kind }),
        };
        self.check_clock(at, mark)?;
        let Some(operation) = self.history.operations.get_mut(at as usize) else {
            return Err(Problem::CompletionWithoutInvocation { process: named, kind });
        };
        let invoked = operation.invoked.line;
        if *operation.f != *event.f {
            let (open, found) = (operation.f.to_string(), event.f.to_string());
            return Err(Problem::WrongFunction { process: named, open, found, invoked });
        }
        if event.key.is_some() && operation.key != event.key {
            let shown =
                |key: &Option<crate::Value>| key.as_ref().map_or("(none)".to_owned(), ToString::to_string);
            let (open, found) = (shown(&operation.key), shown(&event.key));
            return Err(Problem::WrongKey { process: named, open, found, invoked });
        }
        // Most completions repeat what was asked: one of the two is enough.
        operation.output = if event.value == operation.input { operation.input.clone() } else { event.value };
        operation.completed = Some(mark);
        let (outcome, state) = match kind {
            Kind::Ok => (Outcome::Ok, State::Idle { last: at }),
            Kind::Fail => (Outcome::Fail, State::Idle { last: at }),
            Kind::Info | Kind::Invoke => (Outcome::Info, State::Retired { operation: at }),
        };
        operation.outcome = outcome;
        match outcome {
            Outcome::Ok => self.history.counts.ok += 1,
            Outcome::Fail => self.history.counts.fail += 1,
            Outcome::Info => self.history.counts.info += 1,
        }
        self.processes.insert(process, state);
        Ok(())
    }

    /// One process is one thread: its own clock never runs backwards, whatever the recorder's habits.
    fn check_clock(&self, operation: u32, mark: Mark) -> Result<(), Problem> {
        let Some(operation) = self.history.operations.get(operation as usize) else { return Ok(()) };
        let last = operation.completed.unwrap_or(operation.invoked);
        match (last.time, mark.time) {
            (Some(before), Some(now)) if now < before => {
                Err(Problem::TimeBackwards { now, before, line: last.line })
            }
            _ => Ok(()),
        }
    }

    fn opened(&self, operation: u32) -> (String, u32) {
        self.history
            .operations
            .get(operation as usize)
            .map_or_else(|| (String::new(), 0), |op| (op.f.to_string(), op.invoked.line))
    }
}

/// What one process takes in the table: at most seven of eight places are taken.
const PROCESS: usize = (size_of::<(i64, State)>() + 1) * 8 / 7 + 1;

/// Makes room for one more, if both copies of the vector fit beside what is held; says what moved.
fn lengthen<T>(vector: &mut Vec<T>, held: &mut usize, most: usize) -> Result<usize, Problem> {
    if vector.len() < vector.capacity() {
        return Ok(0);
    }
    let old = vector.capacity() * size_of::<T>();
    let more = (vector.capacity() / 2).max(64);
    *held += more * size_of::<T>();
    if held.saturating_add(old) > most {
        return Err(Problem::Memory);
    }
    vector.reserve_exact(more);
    Ok(old)
}
