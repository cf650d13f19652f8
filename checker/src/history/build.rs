//! From events to operations: pairs invocations with completions and refuses what cannot have happened.

use super::clients::{Clients, Doing, State, clock_holds};
use super::operations::{Answer, NAME, NEVER, Row, What};
use super::packed::Packed;
use super::room::Room;
use super::{Counts, Event, Format, History, Kind, Outcome, Problem, Process};
use crate::{Text, Value};

/// The most events of one history: positions are 32 bits wide, and the last ones are reserved.
pub(super) const MAX_EVENTS: u32 = u32::MAX - 16;

/// How far the clock may run backwards *between* processes where a format's recorders read the clock before they took
/// their place in the file, as Jepsen's did: the recorded Knossos histories show 1.1 ms. Order in the file is what counts.
pub(super) const CLOCK_DISORDER: i64 = 10_000_000;

/// Collects events into a [`History`]. Each event is checked against those before it.
pub struct Builder {
    history: History,
    clients: Clients,
    position: u32,
    latest: Option<(i64, u32)>,
    index: Option<i64>,
    disorder: i64,
    room: Room,
}

/// An event of a client, its values taken in.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) index: Option<i64>,
    pub(super) time: Option<i64>,
    pub(super) process: i64,
    pub(super) kind: Kind,
    /// Index of the name.
    pub(super) f: u32,
    /// [`Packed::NONE`] if there is none.
    pub(super) key: Packed,
    pub(super) value: Packed,
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
            clients: Clients::default(),
            position: 0,
            latest: None,
            index: None,
            disorder,
            room: Room::endless(),
        }
    }

    /// The same, holding no more than so many bytes.
    #[must_use]
    pub fn within(mut self, memory_bytes: Option<u64>) -> Self {
        let most = memory_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        self.room = Room::new(most);
        self
    }

    /// How many bytes the next event may take.
    pub(super) fn room(&self) -> usize {
        self.room.left()
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
        match event.process {
            Process::Client(process) => {
                let f = match self.name(event.f.as_bytes()) {
                    Some(f) => f,
                    None => self.new_name(event.f)?,
                };
                let pool = &mut self.history.operations.pool;
                let key = match event.key {
                    Some(key) => pool.pack(key, &mut self.room)?,
                    None => Packed::NONE,
                };
                let value = pool.pack(event.value, &mut self.room)?;
                let Event { index, time, kind, .. } = event;
                self.push_packet(&Packet { index, time, process, kind, f, key, value }, line)
            }
            // Only what says of itself that it is no client is passed over: an operation that nobody looks at would be a pass
            // for nothing.
            Process::Named(ref name) if &**name != "nemesis" && event.kind != Kind::Info => {
                Err(Problem::syntax("a process: a number, or nemesis", format!("`{name}`")))
            }
            Process::Named(_) => self.annotate(event, line),
        }
    }

    fn annotate(&mut self, event: Event, line: u32) -> Result<(), Problem> {
        self.next(event.index, event.time, line)?;
        let memory = |value: &Option<Value>| value.as_ref().map_or(0, Value::memory);
        let beyond = memory(&event.key) + memory(&event.error) + event.value.memory();
        self.room.take(beyond + event.f.len())?;
        self.room.lengthen(&mut self.history.annotations, 1)?;
        self.history.annotations.push((line, event));
        Ok(())
    }

    /// Takes the next event of a client, found on that line.
    #[inline]
    pub(super) fn push_packet(&mut self, packet: &Packet, line: u32) -> Result<(), Problem> {
        let position = self.next(packet.index, packet.time, line)?;
        let client = match self.clients.index(packet.process) {
            Some(client) => client,
            None if packet.kind == Kind::Invoke => self.new_client(packet.process)?,
            None => {
                let process = Process::Client(packet.process);
                return Err(Problem::CompletionWithoutInvocation { process, kind: packet.kind });
            }
        };
        match packet.kind {
            Kind::Invoke => self.invoke(client, packet, position),
            _ => self.complete(client, packet, position),
        }
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

    /// The number of a name that was there before.
    #[inline]
    pub(super) fn name(&self, name: &[u8]) -> Option<u32> {
        const FEW: usize = 8;
        let names = &self.history.operations.names;
        let first = names.as_slice().iter().take(FEW);
        let found = first.zip(0..).find(|(known, _)| known.as_bytes() == name).map(|(_, at)| at);
        match found {
            None if names.len() > FEW => {
                names.get_index_of(str::from_utf8(name).ok()?).and_then(|at| u32::try_from(at).ok())
            }
            found => found,
        }
    }

    fn new_name(&mut self, name: Text) -> Result<u32, Problem> {
        let names = &mut self.history.operations.names;
        self.room.take(name.len() + NAME)?;
        if names.len() == names.capacity() {
            self.room.fits(2 * names.capacity() * NAME)?;
        }
        let at = names.insert_full(name).0;
        let limit = Problem::Limit { what: "different names of operations", limit: What::NAMES as u64 };
        u32::try_from(at).ok().filter(|_| at < What::NAMES).ok_or(limit)
    }

    /// The text of those bytes, taken in; `None` if they are no UTF-8.
    #[inline]
    pub(super) fn text(&mut self, bytes: &[u8]) -> Result<Option<Packed>, Problem> {
        self.history.operations.pool.text(bytes, &mut self.room)
    }

    /// That pair, taken in.
    #[inline]
    pub(super) fn pair(&mut self, pair: [Packed; 2]) -> Result<Packed, Problem> {
        self.history.operations.pool.pair(pair, &mut self.room)
    }

    /// That value and a pair in one more pair, taken in.
    pub(super) fn nested(&mut self, one: Packed, pair: [Packed; 2]) -> Result<Packed, Problem> {
        let pool = &mut self.history.operations.pool;
        let pair = Value::vector(pair.map(|packed| pool.value(packed)));
        let value = Value::vector([pool.value(one), pair]);
        pool.pack(value, &mut self.room)
    }

    fn new_client(&mut self, process: i64) -> Result<u32, Problem> {
        let processes = &mut self.history.operations.processes;
        self.room.lengthen(processes, 1)?;
        // Fits: there are no more than events.
        let index = u32::try_from(processes.len()).unwrap_or(u32::MAX);
        processes.push(process);
        self.clients.insert(process, index, &mut self.room)?;
        Ok(index)
    }

    /// Counts the event: its position.
    #[inline]
    fn next(&mut self, index: Option<i64>, time: Option<i64>, line: u32) -> Result<u32, Problem> {
        let position = self.position;
        if position >= MAX_EVENTS {
            return Err(Problem::Limit { what: "events", limit: u64::from(MAX_EVENTS) });
        }
        if let Some(now) = index {
            if let Some(before) = self.index
                && now <= before
            {
                return Err(Problem::IndexBackwards { now, before });
            }
            self.index = Some(now);
        }
        if let Some(now) = time {
            match self.latest {
                Some((before, at)) if now.saturating_add(self.disorder) < before => {
                    return Err(Problem::TimeBackwards { now, before, line: at });
                }
                Some((before, _)) if now < before => {}
                _ => self.latest = Some((now, line)),
            }
        }
        self.history.operations.times.push(time, &mut self.room)?;
        self.history.operations.lines.push(position, line, &mut self.room)?;
        self.position += 1;
        Ok(position)
    }

    #[inline]
    fn invoke(&mut self, client: u32, packet: &Packet, position: u32) -> Result<(), Problem> {
        let Some(doing) = self.clients.doing.get_mut(client as usize) else { return Ok(()) };
        match doing.state {
            State::Fresh => {}
            State::Idle { .. } if clock_holds(doing.last, packet.time) => {}
            state => return Err(self.cannot_invoke(state, packet)),
        }
        let operations = &mut self.history.operations;
        // Fits: there are at most MAX_EVENTS operations.
        let operation = u32::try_from(operations.rows.len()).unwrap_or(u32::MAX);
        *doing = Doing { state: State::Open { operation }, last: packet.time };
        self.room.lengthen(&mut operations.rows, 1)?;
        self.history.counts.invoke += 1;
        operations.rows.push(Row {
            process: client,
            key: packet.key,
            what: What::new(packet.f, Outcome::Info, Answer::Nothing),
            value: packet.value,
            invoked: position,
            completed: NEVER,
        });
        Ok(())
    }

    #[cold]
    fn cannot_invoke(&self, state: State, packet: &Packet) -> Problem {
        let process = Process::Client(packet.process);
        match state {
            State::Fresh => Problem::CompletionWithoutInvocation { process, kind: packet.kind },
            State::Open { operation } => {
                let (f, invoked) = self.opened(operation);
                Problem::TwoOpen { process, f, invoked }
            }
            State::Retired { operation } => Problem::Retired { process, invoked: self.opened(operation).1 },
            State::Idle { last } => self.backwards(last, packet),
        }
    }

    #[inline]
    fn complete(&mut self, client: u32, packet: &Packet, position: u32) -> Result<(), Problem> {
        let Some(doing) = self.clients.doing.get_mut(client as usize) else { return Ok(()) };
        let operations = &mut self.history.operations;
        let (at, row) = match doing.state {
            State::Open { operation } if clock_holds(doing.last, packet.time) => {
                let Some(row) = operations.rows.get_mut(operation as usize) else { return Ok(()) };
                (operation, row)
            }
            state => return Err(self.cannot_complete(state, packet)),
        };
        let other_key = packet.key != Packed::NONE
            && (row.key == Packed::NONE || !operations.pool.same(packet.key, row.key));
        if row.what.name() != packet.f || other_key {
            return Err(self.other(at, packet));
        }
        let (outcome, state) = match packet.kind {
            Kind::Ok => (Outcome::Ok, State::Idle { last: at }),
            Kind::Fail => (Outcome::Fail, State::Idle { last: at }),
            Kind::Info | Kind::Invoke => (Outcome::Info, State::Retired { operation: at }),
        };
        *doing = Doing { state, last: packet.time };
        self.room.lengthen(&mut operations.both, 1)?;
        row.completed = position;
        row.what = What::new(packet.f, outcome, Answer::Nothing);
        row.answer(packet.value, &mut operations.pool, &mut operations.both, &mut self.room);
        match outcome {
            Outcome::Ok => self.history.counts.ok += 1,
            Outcome::Fail => self.history.counts.fail += 1,
            Outcome::Info => self.history.counts.info += 1,
        }
        Ok(())
    }

    #[cold]
    fn cannot_complete(&self, state: State, packet: &Packet) -> Problem {
        let (process, kind) = (Process::Client(packet.process), packet.kind);
        match state {
            State::Open { operation } => self.backwards(operation, packet),
            State::Fresh => Problem::CompletionWithoutInvocation { process, kind },
            State::Idle { last: done } | State::Retired { operation: done } => {
                match self
                    .history
                    .operations
                    .get(done as usize)
                    .and_then(|op| Some((op.invoked, op.completed?)))
                {
                    Some((invoked, completed)) => Problem::DuplicateCompletion {
                        process,
                        invoked: invoked.line,
                        completed: completed.line,
                    },
                    None => Problem::CompletionWithoutInvocation { process, kind },
                }
            }
        }
    }

    /// The completion is one of another operation than the one that is open.
    #[cold]
    fn other(&self, operation: u32, packet: &Packet) -> Problem {
        let process = Process::Client(packet.process);
        let (open, invoked) = self.opened(operation);
        let operations = &self.history.operations;
        let found =
            operations.names.get_index(packet.f as usize).map_or_else(String::new, ToString::to_string);
        if open != found {
            return Problem::WrongFunction { process, open, found, invoked };
        }
        let key = operations.get(operation as usize).and_then(|operation| operation.key);
        let open = key.map_or("(none)".to_owned(), |key| key.to_string());
        let found = operations.pool.value(packet.key).to_string();
        Problem::WrongKey { process, open, found, invoked }
    }

    /// One process is one thread: its own clock never runs backwards, whatever the recorder's habits.
    #[cold]
    fn backwards(&self, operation: u32, packet: &Packet) -> Problem {
        let last = self.history.operations.get(operation as usize);
        let last = last.map(|operation| operation.completed.unwrap_or(operation.invoked));
        let (before, line) = last.map_or((None, 0), |mark| (mark.time, mark.line));
        let time = |time: Option<i64>| time.unwrap_or_default();
        Problem::TimeBackwards { now: time(packet.time), before: time(before), line }
    }

    fn opened(&self, operation: u32) -> (String, u32) {
        let operation = self.history.operations.get(operation as usize);
        operation.map_or_else(|| (String::new(), 0), |op| (op.f.to_string(), op.invoked.line))
    }
}
