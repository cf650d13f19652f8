//! What the readers share: bytes with a place, limits, names said once.

use std::io::{BufRead, Read};

use super::Problem;
use super::error::Misread;
use crate::{Text, Value};

/// How deep values may nest. Readers recurse on nesting alone, so this bounds their stack.
pub(crate) const MAX_DEPTH: u32 = 64;
/// The longest line, string, number or name, in bytes.
pub(crate) const MAX_TOKEN: usize = 16 << 20;
/// The most items of one collection inside an event.
pub(crate) const MAX_ITEMS: usize = 1 << 20;

/// What one value among others takes while it is being read: its collection grows, and is moved when it is complete.
pub(crate) const ITEM: usize = 3 * size_of::<Value>();

/// Shares equal texts: histories say the same few names and keys over and over. A direct-mapped cache, so its size is
/// bounded whatever the file says.
pub(crate) struct Interner {
    slots: Vec<Option<Text>>,
}

impl Interner {
    const SLOTS: usize = 1 << 10;
    /// Long texts are seldom repeated.
    const LONGEST: usize = 64;

    pub(crate) fn new() -> Self {
        Self { slots: vec![None; Self::SLOTS] }
    }

    /// One that shares nothing and takes no room, for a single value.
    pub(crate) fn none() -> Self {
        Self { slots: Vec::new() }
    }

    pub(crate) fn get(&mut self, text: &str) -> Text {
        self.text(text.as_bytes()).unwrap_or_else(|| Text::from(text))
    }

    /// The text of those bytes; `None` if they are no UTF-8.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> Option<Text> {
        let slot = match bytes.len() {
            0..=Self::LONGEST => self.slots.get_mut(slot(bytes) % Self::SLOTS),
            _ => None,
        };
        match slot {
            // What was text once is text again.
            Some(Some(known)) if known.as_bytes() == bytes => Some(known.clone()),
            Some(slot) => Some(slot.insert(Text::from(str::from_utf8(bytes).ok()?)).clone()),
            None => str::from_utf8(bytes).ok().map(Text::from),
        }
    }
}

/// Which slot a text has: its two ends, mixed. Texts that agree in both share one, and only take turns in it.
#[inline]
pub(super) fn slot(bytes: &[u8]) -> usize {
    let end = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (end(bytes), bytes.len() as u64),
    };
    let mixed = (first ^ last.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize
}

/// A byte at a time out of a reader, with line and column.
pub(crate) struct Source<R> {
    reader: R,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    line: u64,
    column: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self::with_room(reader, 1 << 16)
    }

    /// With a buffer of so many bytes; two at least, for [`Source::after`].
    pub(crate) fn with_room(reader: R, bytes: usize) -> Self {
        Self { reader, buffer: vec![0; bytes.max(2)], at: 0, end: 0, line: 1, column: 1 }
    }

    pub(crate) fn place(&self) -> (u64, u64) {
        (self.line, self.column)
    }

    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Misread> {
        if self.at == self.end && !self.fill()? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// The byte after the one that was peeked.
    pub(crate) fn after(&mut self) -> Result<Option<u8>, Misread> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        if self.at + 1 == self.end {
            // The second byte is in the next bufferful: put the first in front of it.
            if let Some(byte) = self.buffer.get(self.at).copied() {
                let mut next = [0];
                loop {
                    match self.reader.read(&mut next) {
                        Ok(0) => return Ok(None),
                        Ok(_) => break,
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(Problem::Io(error).at(self.line, self.column)),
                    }
                }
                if let [first, second, ..] = self.buffer.as_mut_slice() {
                    (*first, *second) = (byte, next[0]);
                }
                (self.at, self.end) = (0, 2);
            }
        }
        Ok(self.buffer.get(self.at + 1).copied())
    }

    /// Steps over the byte that was peeked.
    pub(crate) fn bump(&mut self) {
        if self.buffer.get(self.at) == Some(&b'\n') {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        self.at += 1;
    }

    /// What has been read already, without reading on.
    pub(super) fn there(&self) -> &[u8] {
        self.buffer.get(self.at..self.end).unwrap_or_default()
    }

    /// Steps over so many bytes, of which the last ends the line, and no other does.
    pub(super) fn step_line(&mut self, bytes: usize) {
        self.at += bytes;
        self.line += 1;
        self.column = 1;
    }

    fn fill(&mut self) -> Result<bool, Misread> {
        loop {
            match self.reader.read(&mut self.buffer) {
                Ok(read) => {
                    self.at = 0;
                    self.end = read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Problem::Io(error).at(self.line, self.column)),
            }
        }
    }
}

/// Reads one line, without its end, into `buffer`; false at the end of the file.
pub(crate) fn next_line(
    reader: &mut impl BufRead,
    buffer: &mut Vec<u8>,
    line: &mut u64,
    room: usize,
) -> Result<bool, Misread> {
    // A line that grows is there twice for a moment, and what is read from it is about as long.
    let longest = MAX_TOKEN.min(room / 4);
    buffer.clear();
    *line += 1;
    let mut limited = Read::take(reader, longest as u64 + 1);
    let read = limited.read_until(b'\n', buffer).map_err(|error| Problem::Io(error).at(*line, 1))?;
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
    } else if buffer.len() > longest && longest < MAX_TOKEN {
        return Err(Problem::Memory.at(*line, 1));
    } else if buffer.len() > longest {
        return Err(Problem::Limit { what: "bytes of one line", limit: MAX_TOKEN as u64 }.at(*line, 1));
    }
    Ok(read > 0)
}

/// How an error message shows what it found.
pub(crate) fn shown(byte: Option<u8>) -> String {
    match byte {
        None => "the end of the file".to_owned(),
        Some(b'\n') => "the end of the line".to_owned(),
        Some(byte) if byte.is_ascii_graphic() || byte == b' ' => format!("`{}`", char::from(byte)),
        Some(byte) => format!("byte 0x{byte:02x}"),
    }
}

/// Text in an error message: never more than a glance.
pub(crate) fn glance(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
