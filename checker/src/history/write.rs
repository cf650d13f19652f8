//! Writing histories, an event at a time, as they happen: EDN that Jepsen and Knossos read, and JSON lines.

use std::io::{self, Write};

use super::edn_atoms::is_blank;
use super::{Event, Format, History, Kind, Operation, Outcome, Process};
use crate::Value;
use crate::value::push_json_string;

/// How EDN says the key of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// As `:key k`.
    #[default]
    Member,
    /// As Jepsen's `independent` does: `:value [k v]`.
    Tuple,
}

/// Writes events to an output in one of the formats, one line each. Nothing is buffered here: what was written before a
/// crash is there after it (wrap the output in a `BufWriter` where that does not matter).
///
/// The order of the lines is the order of real time: write an invocation before its request is sent, a completion after its
/// answer has come, and take the time while holding the writer. A time earlier than the last one written is raised to it.
pub struct Writer<W> {
    output: W,
    format: Format,
    keys: Keys,
    line: String,
    index: i64,
    latest: i64,
}

impl<W: Write> Writer<W> {
    /// A writer of that format.
    pub fn new(output: W, format: Format) -> Self {
        Self { output, format, keys: Keys::default(), line: String::new(), index: 0, latest: i64::MIN }
    }

    /// The same, with keys written that way (EDN only).
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Writes one event. An event without an index gets the next one.
    ///
    /// # Errors
    /// What the output says; and [`io::ErrorKind::InvalidInput`] for a name that a log line cannot hold (one with a tab or the end
    /// of a line in it).
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let index = event.index.unwrap_or(self.index);
        self.index = index.saturating_add(1);
        let time = event.time.map(|time| time.max(self.latest));
        self.latest = time.unwrap_or(self.latest);
        self.line.clear();
        match self.format {
            Format::Edn => self.edn(event, index, time),
            Format::JsonLines => self.json(event, index, time),
            Format::LogLines => self.log(event)?,
        }
        self.line.push('\n');
        self.output.write_all(self.line.as_bytes())
    }

    /// Passes everything on.
    ///
    /// # Errors
    /// What the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// The output.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn edn(&mut self, event: &Event, index: i64, time: Option<i64>) {
        let line = &mut self.line;
        push(line, "{:index ", &index);
        if let Some(time) = time {
            push(line, ", :time ", &time);
        }
        push(line, ", :type :", &event.kind.name());
        match &event.process {
            Process::Client(number) => push(line, ", :process ", number),
            Process::Named(name) => push_name(line, ", :process ", name),
        }
        push_name(line, ", :f ", &event.f);
        match (&event.key, self.keys) {
            (Some(key), Keys::Tuple) => {
                push(line, ", :value [", key);
                push(line, " ", &event.value);
                line.push(']');
            }
            (Some(key), Keys::Member) => {
                push(line, ", :key ", key);
                push(line, ", :value ", &event.value);
            }
            (None, _) => push(line, ", :value ", &event.value),
        }
        if let Some(error) = &event.error {
            push(line, ", :error ", error);
        }
        line.push('}');
    }

    fn json(&mut self, event: &Event, index: i64, time: Option<i64>) {
        let line = &mut self.line;
        push(line, "{\"index\":", &index);
        if let Some(time) = time {
            push(line, ",\"time\":", &time);
        }
        line.push_str(",\"process\":");
        match &event.process {
            Process::Client(number) => push(line, "", number),
            Process::Named(name) => push_json_string(line, name),
        }
        push(line, ",\"type\":\"", &event.kind.name());
        line.push_str("\",\"f\":");
        push_json_string(line, &event.f);
        if let Some(key) = &event.key {
            line.push_str(",\"key\":");
            key.write_json(line);
        }
        line.push_str(",\"value\":");
        event.value.write_json(line);
        if let Some(error) = &event.error {
            line.push_str(",\"error\":");
            error.write_json(line);
        }
        line.push('}');
    }

    fn log(&mut self, event: &Event) -> io::Result<()> {
        let line = &mut self.line;
        let named = if let Process::Named(name) = &event.process { name } else { "" };
        if event.f.is_empty()
            || [named, &event.f].iter().any(|name| name.contains(['\t', '\n']))
            || named.contains(' ')
        {
            let message =
                format!("`{}` of `{}`: log lines have no way to write such a name", event.f, event.process);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        push(line, "", &event.process);
        push(line, "\t:", &event.kind.name());
        push(line, "\t:", &event.f);
        match &event.key {
            Some(key) => {
                push(line, "\t[", key);
                push(line, " ", &event.value);
                line.push(']');
            }
            None => push(line, "\t", &event.value),
        }
        Ok(())
    }
}

/// A name as a keyword, or as a string where a keyword could not be read back.
fn push_name(line: &mut String, label: &str, name: &str) {
    let apart = |byte: u8| is_blank(byte) || b"[](){}\";".contains(&byte);
    if name.is_empty() || name.bytes().any(apart) {
        push(line, label, &Value::string(name));
    } else {
        push(line, label, &format_args!(":{name}"));
    }
}

fn push(line: &mut String, label: &str, shown: &dyn std::fmt::Display) {
    use std::fmt::Write as _;
    // Writing into a String cannot fail.
    let _ = write!(line, "{label}{shown}");
}

impl History {
    /// The events of the history, in order: what a writer needs to write it down again.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::with_capacity(self.operations.len() * 2 + self.annotations.len());
        for operation in &self.operations {
            let invoked = operation.invoked;
            events.push((
                invoked.line,
                invoked.position,
                event(&operation, Kind::Invoke, &operation.input, invoked.time),
            ));
            if let Some(completed) = operation.completed {
                let kind = match operation.outcome {
                    Outcome::Ok => Kind::Ok,
                    Outcome::Fail => Kind::Fail,
                    Outcome::Info => Kind::Info,
                };
                let position = (completed.line, completed.position);
                events.push((
                    position.0,
                    position.1,
                    event(&operation, kind, &operation.output, completed.time),
                ));
            }
        }
        for (line, annotation) in &self.annotations {
            events.push((*line, 0, Event { index: None, ..annotation.clone() }));
        }
        events.sort_by_key(|(line, position, _)| (*line, *position));
        events.into_iter().map(|(_, _, event)| event).collect()
    }
}

fn event(operation: &Operation, kind: Kind, value: &Value, time: Option<i64>) -> Event {
    Event {
        index: None,
        time,
        process: Process::Client(operation.process),
        kind,
        f: operation.f.clone(),
        key: operation.key.clone(),
        value: value.clone(),
        error: None,
    }
}
