//! Jepsen's EDN: one vector (or list) of maps, or one map after the other; `;` comments, `#_` discards, tagged literals.
//!
//! A recursive reader over a byte source. Nesting, tokens and collections are bounded; the top level, which may be as long
//! as it likes, is streamed.

use std::io::Read;
use std::sync::Arc;

use super::build::Builder;
use super::edn_atoms::{as_integer, as_kind, as_name, as_process, is_blank, is_symbolic, number};
use super::error::Misread;
use super::text::{ITEM, Interner, MAX_DEPTH, MAX_ITEMS, MAX_TOKEN, Source, glance, shown};
use super::{Event, Kind, Problem, Process, quick_edn};
use crate::{Text, Value};

pub(crate) struct Edn<R> {
    pub(super) source: Source<R>,
    pub(super) names: Interner,
    pub(super) token: Vec<u8>,
    /// The bracket that closes the top level, once it is open.
    closing: Option<u8>,
    /// How many bytes the present event may still take.
    room: usize,
}

/// What an event is made of; the rest is passed over.
const MEMBERS: [&str; 8] = ["process", "type", "f", "index", "time", "key", "value", "error"];

impl<R: Read> Edn<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            source: Source::new(reader),
            names: Interner::new(),
            token: Vec::new(),
            closing: None,
            room: usize::MAX,
        }
    }

    /// For one short text: a field of a log line, a flag. Its buffers are no larger than that.
    pub(crate) fn of_field(reader: R, bytes: usize, room: usize) -> Self {
        let source = Source::with_room(reader, bytes.min(1 << 16));
        Self { source, names: Interner::none(), token: Vec::new(), closing: None, room }
    }

    /// Has the builder take the lines that are plain and there already, and leaves the first that is not. Says whether there were any.
    pub(super) fn quickly(&mut self, builder: &mut Builder) -> Result<bool, Misread> {
        // An event that was read with care leaves the end of its line.
        while self.source.peek()? == Some(b'\n') {
            self.source.bump();
        }
        let mut any = false;
        loop {
            let (line, column) = self.source.place();
            let short = u32::try_from(line).unwrap_or(u32::MAX);
            let taken = match quick_edn::event(self.source.there(), builder) {
                Ok(None) => return Ok(any),
                Ok(Some((packet, length))) => builder.push_packet(&packet, short).map(|()| length),
                Err(problem) => Err(problem),
            };
            self.source.step_line(taken.map_err(|problem| problem.at(line, column))?);
            any = true;
        }
    }

    /// The next event with its place; it may take so many bytes.
    pub(crate) fn next(&mut self, room: usize) -> Result<Option<(Event, u64, u64)>, Misread> {
        self.room = room;
        loop {
            self.skip_blank(0)?;
            let (line, column) = self.source.place();
            match (self.source.peek()?, self.closing) {
                (None, None) => return Ok(None),
                (None, Some(closing)) => {
                    let expected = format!("an event or `{}`", char::from(closing));
                    return Err(Problem::syntax(expected, shown(None)).at(line, column));
                }
                (Some(b'['), None) => self.open(b']'),
                (Some(b'('), None) => self.open(b')'),
                (Some(byte), Some(closing)) if byte == closing => {
                    self.source.bump();
                    self.closing = None;
                }
                (Some(b'{'), _) => return self.event().map(|event| Some((event, line, column))),
                (Some(b'#'), _) => {
                    // `#jepsen.history.Op{…}`: the tag says what we know already.
                    self.source.bump();
                    self.token()?;
                }
                (Some(byte), _) => {
                    return Err(Problem::syntax("an event, `{…}`", shown(Some(byte))).at(line, column));
                }
            }
        }
    }

    fn open(&mut self, closing: u8) {
        self.source.bump();
        self.closing = Some(closing);
    }

    fn event(&mut self) -> Result<Event, Misread> {
        let start = self.source.place();
        self.source.bump();
        let mut event = Event {
            index: None,
            time: None,
            process: Process::Client(0),
            kind: Kind::Invoke,
            f: Text::from(""),
            key: None,
            value: Value::Nil,
            error: None,
        };
        let (mut process, mut kind, mut f) = (false, false, false);
        let mut said = Vec::new();
        loop {
            self.skip_blank(1)?;
            if self.source.peek()? == Some(b'}') {
                self.source.bump();
                break;
            }
            let (line, column) = self.source.place();
            let key = self.value(1)?;
            let name = match &key {
                Value::Keyword(name) => &**name,
                _ => "",
            };
            // Which of two would count, another reader may see differently.
            if let Some(known) = MEMBERS.iter().find(|known| **known == name) {
                if said.contains(known) {
                    return Err(
                        Problem::syntax("each member once", format!("another `:{name}`")).at(line, column)
                    );
                }
                said.push(*known);
            }
            self.skip_blank(1)?;
            let (line, column) = self.source.place();
            let value = self.value(1)?;
            match name {
                "process" => (event.process, process) = (as_process(value, line, column)?, true),
                "type" => (event.kind, kind) = (as_kind(&value, line, column)?, true),
                "f" => (event.f, f) = (as_name(&value, line, column)?, true),
                "index" => event.index = as_integer(&value, line, column)?,
                "time" => event.time = as_integer(&value, line, column)?,
                "key" => event.key = Some(value).filter(|key| !key.is_nil()),
                "value" => event.value = value,
                "error" => event.error = Some(value),
                _ => {}
            }
        }
        for (there, what) in [(process, ":process"), (kind, ":type"), (f, ":f")] {
            if !there {
                return Err(Problem::syntax(format!("an event with {what}"), "none").at(start.0, start.1));
            }
        }
        Ok(event)
    }

    /// One whole text as one value.
    pub(crate) fn only_value(&mut self) -> Result<Value, Misread> {
        self.skip_blank(0)?;
        let value = self.value(0)?;
        self.skip_blank(0)?;
        match self.source.peek()? {
            None => Ok(value),
            found => self.wrong("the end of the value", found),
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, Misread> {
        self.skip_blank(depth)?;
        if depth > MAX_DEPTH {
            let (line, column) = self.source.place();
            return Err(Problem::Limit { what: "nesting", limit: u64::from(MAX_DEPTH) }.at(line, column));
        }
        match self.source.peek()? {
            None => self.wrong("a value", None),
            Some(b'[') => Ok(Value::Vector(self.items(b']', depth)?.into())),
            Some(b'(') => Ok(Value::List(self.items(b')', depth)?.into())),
            Some(b'{') => self.map(depth),
            Some(b'"') => self.string(),
            Some(b'\\') => self.character(),
            Some(b'#') => self.dispatch(depth),
            Some(byte @ (b']' | b')' | b'}')) => self.wrong("a value", Some(byte)),
            Some(_) => self.atom(),
        }
    }

    fn items(&mut self, closing: u8, depth: u32) -> Result<Vec<Value>, Misread> {
        self.source.bump();
        let mut items = Vec::new();
        loop {
            self.skip_blank(depth)?;
            match self.source.peek()? {
                Some(byte) if byte == closing => {
                    self.source.bump();
                    return Ok(items);
                }
                None => return self.wrong(format!("a value or `{}`", char::from(closing)), None),
                Some(_) => {
                    items.push(self.value(depth + 1)?);
                    self.take(ITEM)?;
                }
            }
            if items.len() > MAX_ITEMS {
                let (line, column) = self.source.place();
                let problem = Problem::Limit { what: "items of one collection", limit: MAX_ITEMS as u64 };
                return Err(problem.at(line, column));
            }
        }
    }

    fn map(&mut self, depth: u32) -> Result<Value, Misread> {
        let (line, column) = self.source.place();
        let items = self.items(b'}', depth)?;
        if items.len() % 2 != 0 {
            return Err(
                Problem::syntax("a value for every key of the map", "a key without one").at(line, column)
            );
        }
        let mut entries = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        Ok(Value::map(entries))
    }

    fn dispatch(&mut self, depth: u32) -> Result<Value, Misread> {
        let (line, column) = self.source.place();
        self.source.bump();
        match self.source.peek()? {
            Some(b'{') => Ok(Value::set(self.items(b'}', depth)?)),
            Some(b'#') => {
                self.source.bump();
                match &*self.token()? {
                    "NaN" => Ok(Value::float(f64::NAN)),
                    "Inf" => Ok(Value::float(f64::INFINITY)),
                    "-Inf" => Ok(Value::float(f64::NEG_INFINITY)),
                    other => Err(Problem::syntax("##NaN, ##Inf or ##-Inf", glance(other)).at(line, column)),
                }
            }
            // An old Clojure printed objects as `#<…>`, and `#[…]` is seen in recorded nemesis lines.
            Some(b'[') => Ok(Value::Vector(self.items(b']', depth)?.into())),
            Some(byte) if byte.is_ascii_alphabetic() => {
                let tag = self.token()?;
                let value = self.value(depth + 1)?;
                Ok(Value::Tagged(Arc::new((Box::from(&*tag), value))))
            }
            found => self.wrong("a set, a tag or `#_`", found),
        }
    }

    fn atom(&mut self) -> Result<Value, Misread> {
        let (line, column) = self.source.place();
        let text = self.token()?;
        let mut letters = text.bytes();
        let first = letters.next();
        let numeric = match first {
            Some(b'0'..=b'9') => true,
            Some(b'+' | b'-') => letters.next().is_some_and(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        if numeric {
            return number(&text).ok_or_else(|| Problem::syntax("a number", glance(&text)).at(line, column));
        }
        match &*text {
            "nil" => Ok(Value::Nil),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => match text.strip_prefix(':') {
                Some("") => Err(Problem::syntax("a keyword", "`:` alone").at(line, column)),
                Some(name) => Ok(Value::Keyword(self.names.get(name))),
                None if text.bytes().all(is_symbolic) => Ok(Value::Symbol(text)),
                None => Err(Problem::syntax("a value", glance(&text)).at(line, column)),
            },
        }
    }

    fn token(&mut self) -> Result<Text, Misread> {
        let (line, column) = self.source.place();
        self.token.clear();
        self.rest_of_token()?;
        self.take(self.token.len())?;
        match std::str::from_utf8(&self.token) {
            Ok("") => {
                let found = self.source.peek()?;
                self.wrong("a value", found)
            }
            Ok(text) => Ok(self.names.get(text)),
            Err(_) => Err(Problem::syntax("text in UTF-8", "other bytes").at(line, column)),
        }
    }

    pub(super) fn rest_of_token(&mut self) -> Result<(), Misread> {
        while let Some(byte) = self.source.peek()? {
            if is_blank(byte) || matches!(byte, b'[' | b']' | b'(' | b')' | b'{' | b'}' | b'"' | b';') {
                break;
            }
            self.token.push(byte);
            self.source.bump();
            self.bounded()?;
        }
        Ok(())
    }

    /// Counts what the event holds.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Misread> {
        let (line, column) = self.source.place();
        self.room = self.room.checked_sub(bytes).ok_or_else(|| Problem::Memory.at(line, column))?;
        Ok(())
    }

    pub(super) fn bounded(&self) -> Result<(), Misread> {
        // A token that grows is there twice for a moment.
        if self.token.len() > self.room / 4 {
            let (line, column) = self.source.place();
            return Err(Problem::Memory.at(line, column));
        }
        if self.token.len() > MAX_TOKEN {
            let (line, column) = self.source.place();
            return Err(
                Problem::Limit { what: "bytes of one token", limit: MAX_TOKEN as u64 }.at(line, column)
            );
        }
        Ok(())
    }

    /// Blanks, commas, comments and discarded values.
    fn skip_blank(&mut self, depth: u32) -> Result<(), Misread> {
        loop {
            match self.source.peek()? {
                Some(byte) if is_blank(byte) => self.source.bump(),
                Some(b';') => {
                    while self.source.peek()?.is_some_and(|byte| byte != b'\n') {
                        self.source.bump();
                    }
                }
                Some(b'#') if self.source.after()? == Some(b'_') => {
                    self.source.bump();
                    self.source.bump();
                    if depth > MAX_DEPTH {
                        let (line, column) = self.source.place();
                        let problem = Problem::Limit { what: "nesting", limit: u64::from(MAX_DEPTH) };
                        return Err(problem.at(line, column));
                    }
                    self.value(depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    pub(super) fn wrong<T>(&self, expected: impl Into<String>, found: Option<u8>) -> Result<T, Misread> {
        let (line, column) = self.source.place();
        Err(Problem::syntax(expected, shown(found)).at(line, column))
    }
}
