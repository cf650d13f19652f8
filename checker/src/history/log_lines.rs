//! Jepsen's log lines: process, type, function, value, error, separated by tabs, perhaps behind a logger's prefix:
//!
//! ```text
//! INFO  jepsen.util - 2⇥:invoke⇥:write⇥4        (jepsen.log)
//! 2⇥:invoke⇥:write⇥4                            (history.txt)
//! ```
//!
//! Lines of the logger that carry no operation are passed over. Tabs that an editor or a web page made spaces of are read as well:
//! then the value is what is whole in itself (`[1 2]`), and all after it the error.

mod spaced;

use std::io::BufRead;

use super::edn::Edn;
use super::error::Misread;
use super::text::{Interner, glance, next_line};
use super::{Event, Kind, Problem, Process};
use crate::{Text, Value};

const LEVELS: [&str; 6] = ["INFO", "WARN", "ERROR", "DEBUG", "TRACE", "FATAL"];

pub(crate) struct LogLines<R> {
    reader: R,
    buffer: Vec<u8>,
    names: Interner,
    line: u64,
}

impl<R: BufRead> LogLines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), names: Interner::new(), line: 0 }
    }

    /// The next event with its place; it may take so many bytes.
    pub(crate) fn next(&mut self, room: usize) -> Result<Option<(Event, u64, u64)>, Misread> {
        loop {
            if !next_line(&mut self.reader, &mut self.buffer, &mut self.line, room)? {
                return Ok(None);
            }
            let line = self.line;
            let text = std::str::from_utf8(&self.buffer)
                .map_err(|error| {
                    let column = error.valid_up_to() as u64 + 1;
                    Problem::syntax("text in UTF-8", "other bytes").at(line, column)
                })?
                .trim_end_matches('\r');
            if text.trim_start().is_empty() {
                continue;
            }
            let logged = LEVELS.iter().any(|level| text.starts_with(level));
            let tabs = text.contains("\t:");
            if logged && !tabs && spaced::start(text).is_none() {
                continue;
            }
            let fields = if tabs { Fields::tabbed(text) } else { Fields::Spaced(spaced::fields(text)) };
            return event(fields, text, line, &mut self.names, room).map(Some);
        }
    }
}

fn event(
    mut fields: Fields<'_>,
    text: &str,
    line: u64,
    names: &mut Interner,
    room: usize,
) -> Result<(Event, u64, u64), Misread> {
    let (prefix, at) = fields.next().unwrap_or(("", 1));
    // The process is the last word before the first tab; the rest is the logger's.
    let process = prefix.rsplit(' ').next().unwrap_or("");
    let column = (prefix.len() - process.len()) as u64 + at;
    let process = match (process.parse::<i64>(), process.strip_prefix(':')) {
        (Ok(number), _) => Process::Client(number),
        (_, Some(name)) if !name.is_empty() => Process::Named(names.get(name)),
        _ => {
            let expected = "process, type, function and value, separated by tabs";
            return Err(Problem::syntax(expected, glance(process)).at(line, column));
        }
    };
    let end = text.len() as u64 + 1;
    let (kind, at) = fields.next().unwrap_or(("", end));
    let kind = kind
        .strip_prefix(':')
        .and_then(Kind::from_name)
        .ok_or_else(|| Problem::syntax("a type: :invoke, :ok, :fail or :info", glance(kind)).at(line, at))?;
    let (f, at) = fields.next().unwrap_or(("", end));
    let f = match f.strip_prefix(':') {
        Some(name) if !name.is_empty() => names.get(name),
        _ => return Err(Problem::syntax("the name of an operation, `:name`", glance(f)).at(line, at)),
    };
    let value = field_value(fields.next(), line, room)?.unwrap_or(Value::Nil);
    let error = match fields.next() {
        // Errors are for people; they need not be EDN.
        Some((error, at)) => {
            field_value(Some((error, at)), line, room).unwrap_or(Some(Value::Str(Text::from(error))))
        }
        None => None,
    };
    Ok((Event { index: None, time: None, process, kind, f, key: None, value, error }, line, column))
}

fn field_value(field: Option<(&str, u64)>, line: u64, room: usize) -> Result<Option<Value>, Misread> {
    match field {
        None => Ok(None),
        Some((text, _)) if text.trim().is_empty() => Ok(None),
        Some(("nil", _)) => Ok(Some(Value::Nil)),
        Some((text, at)) => match text.parse::<i64>() {
            Ok(number) if !text.starts_with(['0', '+', '-']) => Ok(Some(Value::Int(number))),
            _ => Edn::of_field(text.as_bytes(), text.len(), room)
                .only_value()
                .map(Some)
                .map_err(|wrong| Misread { line, column: at + wrong.column - 1, ..wrong }),
        },
    }
}

/// The fields of a line, each with its column.
enum Fields<'a> {
    Tabbed { text: &'a str, at: usize },
    Spaced(std::vec::IntoIter<(&'a str, u64)>),
}

impl<'a> Fields<'a> {
    fn tabbed(text: &'a str) -> Self {
        Self::Tabbed { text, at: 0 }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let (text, at) = match self {
            Self::Tabbed { text, at } => (*text, at),
            Self::Spaced(fields) => return fields.next(),
        };
        let rest = text.get(*at..)?;
        let column = *at as u64 + 1;
        let field = rest.split('\t').next()?;
        *at += field.len() + 1;
        Some((field, column))
    }
}
