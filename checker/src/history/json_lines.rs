//! JSON lines: one flat object per event, `{"index":0,"time":12,"process":3,"type":"ok","f":"read","key":"k","value":1}`.
//!
//! Written by hand because reading the file is part of every check's time: one pass over the bytes of a line, no tree of
//! values for what is known to be a number or a name. It is a complete JSON reader all the same: members in any
//! order, blanks, escapes, nested values, members that are not ours.

use std::io::BufRead;
use std::sync::Arc;

use super::error::Misread;
use super::text::{Interner, MAX_DEPTH, MAX_ITEMS, glance, next_line, shown};
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

    /// The next event with its place.
    pub(crate) fn next(&mut self) -> Result<Option<(Event, u64, u64)>, Misread> {
        loop {
            // Most lines lie whole in the reader's buffer, and need not be copied. (An error comes again below.)
            let end = self.reader.fill_buf().ok().and_then(|there| memchr::memchr(b'\n', there));
            let (read, used) = if let Some(end) = end {
                self.line += 1;
                let there = self.reader.fill_buf().map_err(|error| Problem::Io(error).at(self.line, 1))?;
                (event(there.get(..end).unwrap_or_default(), self.line, &mut self.names), end + 1)
            } else {
                if !next_line(&mut self.reader, &mut self.buffer, &mut self.line)? {
                    return Ok(None);
                }
                (event(&self.buffer, self.line, &mut self.names), 0)
            };
            self.reader.consume(used);
            if let Some(event) = read? {
                return Ok(Some(event));
            }
        }
    }
}

/// The event of a line, with its place; `None` for a blank line.
fn event(bytes: &[u8], line: u64, names: &mut Interner) -> Result<Option<(Event, u64, u64)>, Misread> {
    let mut scan = Scan { bytes, at: 0, names };
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
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, names: &mut names };
    let value = scan.value(0).and_then(|value| {
        scan.blank();
        if scan.peek().is_none() { Ok(value) } else { scan.wrong("the end of the value") }
    });
    value.map_err(|wrong| wrong.problem.at(1, wrong.at as u64 + 1))
}

struct Wrong {
    at: usize,
    problem: Problem,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    names: &'a mut Interner,
}

impl<'a> Scan<'a> {
    fn event(&mut self) -> Result<Event, Wrong> {
        let start = self.at;
        let (mut process, mut kind, mut f) = (None, None, None);
        let (mut index, mut time, mut key, mut value, mut error) = (None, None, None, Value::Nil, None);
        self.expect(b'{', "an event, `{…}`")?;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.blank();
                match self.plain_string() {
                    Some(name) => {
                        self.blank();
                        self.expect(b':', "`:`")?;
                        self.blank();
                        match name {
                            b"index" => index = self.integer()?,
                            b"time" => time = self.integer()?,
                            b"process" => process = Some(self.process()?),
                            b"type" => kind = Some(self.kind()?),
                            b"f" => f = Some(self.string("the name of an operation")?),
                            b"key" => key = Some(self.value(1)?),
                            b"value" => value = self.value(1)?,
                            b"error" => error = Some(self.value(1)?),
                            _ => drop(self.value(1)?),
                        }
                    }
                    // A name with escapes is none of ours.
                    None => {
                        self.string("the name of a member, or `}`")?;
                        self.blank();
                        self.expect(b':', "`:`")?;
                        self.value(1)?;
                    }
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

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Wrong> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.wrong(what)
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Wrong> {
        let found = self.peek().map_or_else(|| shown(Some(b'\n')), |byte| shown(Some(byte)));
        Err(Wrong { at: self.at, problem: Problem::syntax(expected, found) })
    }

    /// A string without escapes, as its bytes; steps over it. Anything else is left alone.
    fn plain_string(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
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

    fn string(&mut self, what: &str) -> Result<Arc<str>, Wrong> {
        let at = self.at;
        if let Some(bytes) = self.plain_string() {
            return match std::str::from_utf8(bytes) {
                Ok(text) => Ok(self.names.get(text)),
                Err(_) => Err(Wrong { at, problem: Problem::syntax("a string in UTF-8", "other bytes") }),
            };
        }
        self.expect(b'"', what)?;
        let mut text = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => {
                    self.at += 1;
                    let letter = self.escape()?;
                    text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte) if byte >= 0x20 => {
                    text.push(byte);
                    self.at += 1;
                }
                _ => return self.wrong("`\"` at the end of the string"),
            }
        }
        match std::str::from_utf8(&text) {
            Ok(text) => Ok(self.names.get(text)),
            Err(_) => Err(Wrong { at, problem: Problem::syntax("a string in UTF-8", "other bytes") }),
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        let letter = match self.peek() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'u') => {
                self.at += 1;
                let high = self.hex()?;
                let low_follows = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"));
                if (0xd800..0xdc00).contains(&high) && low_follows {
                    self.at += 2;
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return self.wrong("the second half of a surrogate pair");
                    }
                    let code = 0x10000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                // Half a pair stands for nothing; read as anything else, two different values would become one.
                return match char::from_u32(high) {
                    Some(letter) => Ok(letter),
                    None => self.wrong("a character, not half of a surrogate pair"),
                };
            }
            _ => return self.wrong("an escape"),
        };
        self.at += 1;
        Ok(letter)
    }

    fn hex(&mut self) -> Result<u32, Wrong> {
        let mut code = 0;
        for _ in 0..4 {
            match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return self.wrong("four hexadecimal digits"),
            }
            self.at += 1;
        }
        Ok(code)
    }

    /// A whole number of few digits; steps over it. Anything else is left alone.
    fn plain_integer(&mut self) -> Option<i64> {
        /// So many digits always fit.
        const DIGITS: usize = 18;
        let rest = self.bytes.get(self.at..)?;
        let (negative, digits) = match rest.split_first() {
            Some((b'-', digits)) => (true, digits),
            _ => (false, rest),
        };
        let (mut number, mut many) = (0_i64, 0);
        for byte in digits.iter().take(DIGITS + 1) {
            match byte {
                b'0'..=b'9' => number = number.wrapping_mul(10).wrapping_add(i64::from(byte - b'0')),
                b',' | b'}' | b']' if (1..=DIGITS).contains(&many) => {
                    self.at += many + usize::from(negative);
                    return Some(if negative { -number } else { number });
                }
                _ => return None,
            }
            many += 1;
        }
        None
    }

    fn value(&mut self, depth: u32) -> Result<Value, Wrong> {
        if let Some(number) = self.plain_integer() {
            return Ok(Value::Int(number));
        }
        if depth > MAX_DEPTH {
            let problem = Problem::Limit { what: "nesting", limit: u64::from(MAX_DEPTH) };
            return Err(Wrong { at: self.at, problem });
        }
        self.blank();
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.string("a string").map(Value::Str),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'n') => self.word(b"null", Value::Nil),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            _ => self.wrong("a value"),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Wrong> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        self.wrong("a value")
    }

    fn number(&mut self) -> Result<Value, Wrong> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let (mut number, mut fits, digits) = (0_i64, true, self.at);
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            let next = number.checked_mul(10).and_then(|ten| ten.checked_add(i64::from(byte - b'0')));
            fits &= next.is_some();
            number = next.unwrap_or(0);
            self.at += 1;
        }
        if self.at == digits {
            return self.wrong("a digit");
        }
        if !matches!(self.peek(), Some(b'.' | b'e' | b'E')) && fits {
            return Ok(Value::Int(if negative { -number } else { number }));
        }
        while let Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') = self.peek() {
            self.at += 1;
        }
        let text =
            self.bytes.get(start..self.at).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("");
        if text.bytes().skip(usize::from(negative)).all(|byte| byte.is_ascii_digit()) {
            return Ok(text.parse().map_or_else(|_| Value::Big(Arc::from(text)), Value::Int));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::float(number)),
            // Too large for a float: kept as it is written, so that different ones stay different.
            Ok(_) => Ok(Value::Big(Arc::from(text))),
            Err(_) => Err(Wrong { at: start, problem: Problem::syntax("a number", glance(text)) }),
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value, Wrong> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Vector(items.into()));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.few(items.len())?;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break self.at += 1,
                _ => return self.wrong("`,` or `]`"),
            }
        }
        Ok(Value::Vector(items.into()))
    }

    fn object(&mut self, depth: u32) -> Result<Value, Wrong> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::map(entries));
        }
        loop {
            self.blank();
            let key = self.string("the name of a member")?;
            self.blank();
            self.expect(b':', "`:`")?;
            entries.push((Value::Str(key), self.value(depth + 1)?));
            self.few(entries.len())?;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break self.at += 1,
                _ => return self.wrong("`,` or `}`"),
            }
        }
        Ok(Value::map(entries))
    }

    fn few(&self, items: usize) -> Result<(), Wrong> {
        if items > MAX_ITEMS {
            let problem = Problem::Limit { what: "items of one collection", limit: MAX_ITEMS as u64 };
            return Err(Wrong { at: self.at, problem });
        }
        Ok(())
    }
}
