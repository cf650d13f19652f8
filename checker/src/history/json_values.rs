//! JSON values, as a part of a line.

use super::Problem;
use super::json_lines::{Scan, Wrong};
use super::text::{ITEM, MAX_DEPTH, MAX_ITEMS, glance};
use crate::value::is_json_number;
use crate::{Text, Value};

impl Scan<'_> {
    pub(super) fn string(&mut self, what: &str) -> Result<Text, Wrong> {
        let at = self.at;
        if let Some(bytes) = self.plain_string() {
            return self.names.text(bytes).ok_or_else(|| not_text(at));
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
        self.names.text(&text).ok_or_else(|| not_text(at))
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
    pub(super) fn plain_integer(&mut self) -> Option<i64> {
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

    pub(super) fn value(&mut self, depth: u32) -> Result<Value, Wrong> {
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
        if self.at > digits + 1 && self.bytes.get(digits) == Some(&b'0') {
            self.at = digits;
            return self.wrong("a number without a leading zero");
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
            return Ok(text.parse().map_or_else(|_| Value::Big(Text::from(text)), Value::Int));
        }
        match text.parse::<f64>() {
            _ if !is_json_number(text) => {
                Err(Wrong { at: start, problem: Problem::syntax("a number", glance(text)) })
            }
            Ok(number) if number.is_finite() => Ok(Value::float(number)),
            // Too large for a float: kept as it is written, so that different ones stay different.
            Ok(_) => Ok(Value::Big(Text::from(text))),
            Err(_) => Err(Wrong { at: start, problem: Problem::syntax("a number", glance(text)) }),
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value, Wrong> {
        self.at += 1;
        // Room for a pair: what a compare-and-set has.
        let mut items = Vec::with_capacity(2);
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

    /// Counts one more item, or member.
    fn few(&mut self, items: usize) -> Result<(), Wrong> {
        self.room = self.room.checked_sub(2 * ITEM).ok_or(Wrong { at: self.at, problem: Problem::Memory })?;
        if items > MAX_ITEMS {
            let problem = Problem::Limit { what: "items of one collection", limit: MAX_ITEMS as u64 };
            return Err(Wrong { at: self.at, problem });
        }
        Ok(())
    }
}

fn not_text(at: usize) -> Wrong {
    Wrong { at, problem: Problem::syntax("a string in UTF-8", "other bytes") }
}
