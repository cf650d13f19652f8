//! EDN's strings and characters.

use std::io::Read;

use super::Problem;
use super::edn::Edn;
use super::error::Misread;
use super::text::glance;
use crate::Value;

impl<R: Read> Edn<R> {
    pub(super) fn string(&mut self) -> Result<Value, Misread> {
        let start = self.source.place();
        self.source.bump();
        self.token.clear();
        loop {
            match self.source.peek()? {
                None => return self.wrong("`\"` at the end of the string", None),
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(byte) => {
                    self.token.push(byte);
                    self.source.bump();
                }
            }
            self.bounded()?;
        }
        self.source.bump();
        self.take(self.token.len())?;
        let text = std::str::from_utf8(&self.token)
            .map_err(|_| Problem::syntax("a string in UTF-8", "other bytes").at(start.0, start.1))?;
        Ok(Value::Str(self.names.get(text)))
    }

    fn escape(&mut self) -> Result<(), Misread> {
        let (line, column) = self.source.place();
        self.source.bump();
        let found = self.source.peek()?;
        let letter = match found {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'u') => {
                let mut code = 0;
                for _ in 0..4 {
                    self.source.bump();
                    let digit = self.source.peek()?.and_then(|byte| char::from(byte).to_digit(16));
                    let Some(digit) = digit else {
                        return Err(Problem::syntax("four hexadecimal digits", "others").at(line, column));
                    };
                    code = code * 16 + digit;
                }
                // Read as anything else, two different values would become one.
                let Some(letter) = char::from_u32(code) else {
                    return Err(Problem::syntax("a character", "half of a surrogate pair").at(line, column));
                };
                letter
            }
            _ => return self.wrong("an escape (n, t, r, b, f, u, \\, \")", found),
        };
        self.source.bump();
        self.token.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    pub(super) fn character(&mut self) -> Result<Value, Misread> {
        let (line, column) = self.source.place();
        self.source.bump();
        self.token.clear();
        // The first byte may be a delimiter: `\(` is a character.
        if let Some(byte) = self.source.peek()? {
            self.token.push(byte);
            self.source.bump();
        }
        self.rest_of_token()?;
        let text = std::str::from_utf8(&self.token).unwrap_or_default();
        let mut letters = text.chars();
        let letter = match (letters.next(), letters.as_str()) {
            (Some(letter), "") => Some(letter),
            _ => match text {
                "newline" => Some('\n'),
                "return" => Some('\r'),
                "tab" => Some('\t'),
                "space" => Some(' '),
                "backspace" => Some('\u{8}'),
                "formfeed" => Some('\u{c}'),
                text => text
                    .strip_prefix('u')
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .and_then(char::from_u32),
            },
        };
        letter.map(Value::Char).ok_or_else(|| Problem::syntax("a character", glance(text)).at(line, column))
    }
}
