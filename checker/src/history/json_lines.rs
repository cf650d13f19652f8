//! JSON lines: one flat object per event, `{"index":0,"time":12,"process":3,"type":"ok","f":"read","key":"k","value":1}`.
//!
//! Written by hand because reading the file is part of every check's time: one pass over the bytes of a line, no tree of
//! values for what is known to be a number or a name. It is a complete JSON reader all the same: members in any
//! order, blanks, escapes, nested values, members that are not ours.

use std::io::BufRead;

use super::build::Builder;
use super::error::Misread;
use super::quick_lines;
use super::text::{Interner, glance, next_line, shown};
use super::{Event, Kind, Problem, Process};
use crate::Value;

pub(crate) struct JsonLines<R> {
    reader: R,
    buffer: Vec<u8>,
    names: Interner,
    line: u64,
}

impl<R: BufRead> JsonLines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), names: Interner::new(), line: 0 }
    }

    /// Has the builder take the lines that are plain and there already, and leaves the first that is not. Says whether there were any.
    pub(super) fn quickly(&mut self, builder: &mut Builder) -> Result<bool, Misread> {
        // An error comes again where the next line is read.
        let there = self.reader.fill_buf().unwrap_or_default();
        let mut used = 0;
        let mut wrong = None;
        while let Some(rest) = there.get(used..) {
            let line = self.line + 1;
            let short = u32::try_from(line).unwrap_or(u32::MAX);
            let taken = match quick_lines::event(rest, builder) {
                Ok(None) => break,
                Ok(Some((packet, length))) => builder.push_packet(&packet, short).map(|()| length),
                Err(problem) => Err(problem),
            };
            match taken {
                Ok(length) => used += length,
                Err(problem) => {
                    wrong = Some(problem.at(line, 1));
                    break;
                }
            }
            self.line = line;
        }
        self.reader.consume(used);
        wrong.map_or(Ok(used > 0), Err)
    }

    /// The next event with its place; it may take so many bytes.
    pub(crate) fn next(&mut self, room: usize) -> Result<Option<(Event, u64, u64)>, Misread> {
        loop {
            // Most lines lie whole in the reader's buffer, and need not be copied. (An error comes again below.)
            let end = self.reader.fill_buf().ok().and_then(|there| memchr::memchr(b'\n', there));
            let (read, used) = if let Some(end) = end {
                self.line += 1;
                let there = self.reader.fill_buf().map_err(|error| Problem::Io(error).at(self.line, 1))?;
                (event(there.get(..end).unwrap_or_default(), self.line, &mut self.names, room), end + 1)
            } else {
                if !next_line(&mut self.reader, &mut self.buffer, &mut self.line, room)? {
                    return Ok(None);
                }
                (event(&self.buffer, self.line, &mut self.names, room), 0)
            };
            self.reader.consume(used);
            if let Some(event) = read? {
                return Ok(Some(event));
            }
        }
    }
}

/// The event of a line, with its place; `None` for a blank line.
fn event(
    bytes: &[u8],
    line: u64,
    names: &mut Interner,
    room: usize,
) -> Result<Option<(Event, u64, u64)>, Misread> {
    let mut scan = Scan { bytes, at: 0, names, room };
    scan.blank();
    if scan.peek().is_none() {
        return Ok(None);
    }
    let column = scan.at as u64 + 1;
    match scan.event() {
        Ok(event) => Ok(Some((event, line, column))),
        Err(wrong) => Err(wrong.problem.at(line, wrong.at as u64 + 1)),
    }
}

/// One whole text as one value.
pub(crate) fn only_value(text: &str) -> Result<Value, Misread> {
    let mut names = Interner::new();
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, names: &mut names, room: usize::MAX };
    let value = scan.value(0).and_then(|value| {
        scan.blank();
        if scan.peek().is_none() { Ok(value) } else { scan.wrong("the end of the value") }
    });
    value.map_err(|wrong| wrong.problem.at(1, wrong.at as u64 + 1))
}

pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) problem: Problem,
}

pub(super) struct Scan<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) names: &'a mut Interner,
    /// How many bytes the event may still take.
    pub(super) room: usize,
}

/// What an event is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Index,
    Time,
    Process,
    Type,
    F,
    Key,
    Value,
    Error,
    /// Passed over.
    Other,
}

impl Member {
    fn of(name: &[u8]) -> Self {
        match name {
            b"index" => Self::Index,
            b"time" => Self::Time,
            b"process" => Self::Process,
            b"type" => Self::Type,
            b"f" => Self::F,
            b"key" => Self::Key,
            b"value" => Self::Value,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

impl<'a> Scan<'a> {
    fn event(&mut self) -> Result<Event, Wrong> {
        let start = self.at;
        let (mut process, mut kind, mut f) = (None, None, None);
        let (mut index, mut time, mut key, mut value, mut error) = (None, None, None, Value::Nil, None);
        let mut said = 0_u16;
        self.expect(b'{', "an event, `{…}`")?;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.blank();
                let at = self.at;
                let escaped;
                let name = match self.plain_string() {
                    Some(name) => name,
                    None => {
                        escaped = self.string("the name of a member, or `}`")?;
                        escaped.as_bytes()
                    }
                };
                self.blank();
                self.expect(b':', "`:`")?;
                self.blank();
                let member = Member::of(name);
                // Which of two would count, another reader may see differently.
                if member != Member::Other && said & 1 << member as u16 != 0 {
                    let found = format!("another `{}`", String::from_utf8_lossy(name));
                    return Err(Wrong { at, problem: Problem::syntax("each member once", found) });
                }
                said |= 1 << member as u16;
                match member {
                    Member::Index => index = self.integer()?,
                    Member::Time => time = self.integer()?,
                    Member::Process => process = Some(self.process()?),
                    Member::Type => kind = Some(self.kind()?),
                    Member::F => f = Some(self.string("the name of an operation")?),
                    Member::Key => key = Some(self.value(1)?),
                    Member::Value => value = self.value(1)?,
                    Member::Error => error = Some(self.value(1)?),
                    Member::Other => drop(self.value(1)?),
                }
                self.blank();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break self.at += 1,
                    _ => return self.wrong("`,` or `}`"),
                }
            }
        }
        self.blank();
        if self.peek().is_some() {
            return self.wrong("the end of the line");
        }
        let missing = |what: &str| Wrong {
            at: start,
            problem: Problem::syntax(format!("an event with \"{what}\""), "none"),
        };
        Ok(Event {
            index,
            time,
            process: process.ok_or_else(|| missing("process"))?,
            kind: kind.ok_or_else(|| missing("type"))?,
            f: f.ok_or_else(|| missing("f"))?,
            key: key.filter(|key: &Value| !key.is_nil()),
            value,
            error,
        })
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Result<(), Wrong> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.wrong(what)
    }

    pub(super) fn wrong<T>(&self, expected: &str) -> Result<T, Wrong> {
        let found = self.peek().map_or_else(|| shown(Some(b'\n')), |byte| shown(Some(byte)));
        Err(Wrong { at: self.at, problem: Problem::syntax(expected, found) })
    }

    /// A string without escapes, as its bytes; steps over it. Anything else is left alone.
    pub(super) fn plain_string(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?.strip_prefix(b"\"")?;
        let end = plain_length(rest);
        if rest.get(end) != Some(&b'"') {
            return None;
        }
        self.at += end + 2;
        rest.get(..end)
    }

    fn kind(&mut self) -> Result<Kind, Wrong> {
        let at = self.at;
        const EXPECTED: &str = "a type: \"invoke\", \"ok\", \"fail\" or \"info\"";
        let text = match self.plain_string() {
            Some(text) => text,
            None => return self.wrong(EXPECTED),
        };
        match text {
            b"invoke" => Ok(Kind::Invoke),
            b"ok" => Ok(Kind::Ok),
            b"fail" => Ok(Kind::Fail),
            b"info" => Ok(Kind::Info),
            other => {
                let found = glance(&String::from_utf8_lossy(other));
                Err(Wrong { at, problem: Problem::syntax(EXPECTED, found) })
            }
        }
    }

    fn process(&mut self) -> Result<Process, Wrong> {
        if self.peek() == Some(b'"') {
            return self.string("a process").map(Process::Named);
        }
        match self.integer()? {
            Some(number) => Ok(Process::Client(number)),
            None => self.wrong("a process: a number or \"nemesis\""),
        }
    }

    /// A whole number, or null.
    fn integer(&mut self) -> Result<Option<i64>, Wrong> {
        let at = self.at;
        if let Some(number) = self.plain_integer() {
            return Ok(Some(number));
        }
        match self.value(1)? {
            Value::Int(number) => Ok(Some(number)),
            Value::Nil => Ok(None),
            other => {
                let found = glance(&other.to_json());
                Err(Wrong { at, problem: Problem::syntax("a whole number", found) })
            }
        }
    }
}

/// How many bytes of a string come before the first that is not simply itself: `"`, `\`, or a control character. Eight bytes at a
/// time, since every name and text of a history passes here.
pub(super) fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The lowest bit that this sets is right: borrows only go upwards ("Bit Twiddling Hacks", hasless).
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | escape | below(word, 0x20);
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    text.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_part_of_a_string_ends_at_the_first_special_byte() {
        for before in 0..20 {
            for byte in 0..=u8::MAX {
                for after in [b'a', b'"', 0x1f, 0xff] {
                    let mut text = vec![b'~'; before];
                    text.extend([byte, after, b'x', b'y', b'z', b'x', b'y', b'z', b'"']);
                    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
                    assert_eq!(Some(plain_length(&text)), text.iter().position(special), "{text:?}");
                }
            }
            assert_eq!(plain_length(&vec![0x80; before]), before);
        }
    }
}
