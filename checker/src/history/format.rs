//! Opening a history: which format it is in, and the one way in for all of them.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::str::FromStr;

use super::edn::Edn;
use super::error::Misread;
use super::json_lines::{self, JsonLines};
use super::log_lines::LogLines;
use super::{Builder, Event, History, Problem, ReadError};
use crate::Value;

/// How a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Jepsen's EDN (`history.edn`), also Porcupine's key-value maps.
    Edn,
    /// One JSON object per line.
    JsonLines,
    /// Lines of tabbed fields (`history.txt`, old Jepsen logs).
    LogLines,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edn => "edn",
            Self::JsonLines => "jsonl",
            Self::LogLines => "log",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "edn" | "porcupine-kv" => Ok(Self::Edn),
            "jsonl" | "json" | "json-lines" => Ok(Self::JsonLines),
            "log" | "txt" | "jepsen-log" | "porcupine-jepsen" => Ok(Self::LogLines),
            other => Err(format!("unknown format `{other}`: expected edn, jsonl or log")),
        }
    }
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The format; found out from the content if not given.
    pub format: Option<Format>,
    /// The most bytes that the history may hold, and what it takes to read it; if not given, as many as there are. Beyond that
    /// the history is not read on: [`Problem::Memory`].
    pub memory_bytes: Option<u64>,
}

/// The events of one format's reader.
pub(super) enum Events<R> {
    Edn(Box<Edn<R>>),
    JsonLines(JsonLines<R>),
    LogLines(LogLines<R>),
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(format: Format, input: R) -> Self {
        match format {
            Format::Edn => Self::Edn(Box::new(Edn::new(input))),
            Format::JsonLines => Self::JsonLines(JsonLines::new(input)),
            Format::LogLines => Self::LogLines(LogLines::new(input)),
        }
    }

    /// Has the builder take what can be read quickly; says whether there was anything.
    fn quickly(&mut self, builder: &mut Builder) -> Result<bool, Misread> {
        match self {
            Self::JsonLines(reader) => reader.quickly(builder),
            Self::Edn(reader) => reader.quickly(builder),
            Self::LogLines(_) => Ok(false),
        }
    }

    /// The next event, which may take so many bytes.
    pub(super) fn next(&mut self, room: usize) -> Result<Option<(Event, u64, u64)>, Misread> {
        match self {
            Self::Edn(reader) => reader.next(room),
            Self::JsonLines(reader) => reader.next(room),
            Self::LogLines(reader) => reader.next(room),
        }
    }
}

impl History {
    /// Reads the history in that file.
    ///
    /// # Errors
    /// A [`ReadError`] that names the place.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Problem::Io(error).at(0, 0).in_file(&name))?;
        Self::read(file, &name, options)
    }

    /// Reads a history of that name.
    ///
    /// # Errors
    /// A [`ReadError`] that names the place.
    pub fn read(reader: impl Read, name: &str, options: &ReadOptions) -> Result<Self, ReadError> {
        let mut reader = reader;
        let (head, format) = match options.format {
            Some(format) => (Vec::new(), format),
            None => {
                let head =
                    peek_head(&mut reader).map_err(|error| Problem::Io(error).at(1, 1).in_file(name))?;
                let format = detect(&head).map_err(|misread| misread.in_file(name))?;
                (head, format)
            }
        };
        let input = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(reader));
        let mut events = Events::new(format, input);
        let mut builder = Builder::new(name, Some(format)).within(options.memory_bytes);
        let mut any = false;
        loop {
            any |= events.quickly(&mut builder).map_err(|misread| misread.in_file(name))?;
            let next = events.next(builder.room()).map_err(|misread| misread.in_file(name))?;
            let Some((event, line, column)) = next else { break };
            any = true;
            let short = u32::try_from(line).unwrap_or(u32::MAX);
            builder.push_line(event, short).map_err(|problem| problem.at(line, column).in_file(name))?;
        }
        if !any {
            return Err(Problem::Empty.at(1, 1).in_file(name));
        }
        Ok(builder.finish())
    }
}

impl Value {
    /// Reads one EDN value.
    ///
    /// # Errors
    /// A [`ReadError`] that names the column.
    pub fn from_edn(text: &str) -> Result<Self, ReadError> {
        Edn::of_field(text.as_bytes(), text.len(), usize::MAX)
            .only_value()
            .map_err(|misread| misread.in_file("value"))
    }

    /// Reads one JSON value.
    ///
    /// # Errors
    /// A [`ReadError`] that names the column.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        json_lines::only_value(text).map_err(|misread| misread.in_file("value"))
    }
}

/// How much of a file is looked at to find its format out: a comment longer than this in front hides it.
pub(super) const HEAD: u64 = 1 << 16;

/// How much is read at a time: little enough to stay in the nearest caches.
const BUFFER: usize = 1 << 16;

/// Reads until it is clear what it is.
fn peek_head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    const PIECE: u64 = 1 << 12;
    let mut head = Vec::new();
    loop {
        let read = reader.by_ref().take(PIECE).read_to_end(&mut head)?;
        // A brace alone tells nothing yet.
        let clear = !head.trim_ascii_end().ends_with(b"{") && detect(&head).is_ok();
        if clear || read == 0 || head.len() as u64 >= HEAD {
            return Ok(head);
        }
    }
}

/// The first bytes that are neither blank nor comment tell the formats apart.
pub(super) fn detect(head: &[u8]) -> Result<Format, Misread> {
    let mut rest = head;
    loop {
        rest = rest.trim_ascii_start();
        match rest {
            [b';', ..] => {
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                rest = rest.get(end..).unwrap_or_default();
            }
            [] => return Err(Problem::Empty.at(1, 1)),
            [b'{', after @ ..] => {
                return Ok(match after.trim_ascii_start() {
                    [b'"' | b'}', ..] | [] => Format::JsonLines,
                    _ => Format::Edn,
                });
            }
            [b'[' | b'(' | b'#', ..] => return Ok(Format::Edn),
            [b'0'..=b'9' | b':' | b'A'..=b'Z', ..] => return Ok(Format::LogLines),
            [byte, ..] => {
                let before = head.get(..head.len() - rest.len()).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() as u64 + 1;
                let expected = "a history: EDN, JSON lines or Jepsen's log lines";
                let found = match rest {
                    [0x1f, 0x8b, ..] => "a gzip file: unpack it first".to_owned(),
                    [0xef, 0xbb, 0xbf, ..] => "a byte order mark: remove it first".to_owned(),
                    _ => super::text::shown(Some(*byte)),
                };
                return Err(Problem::syntax(expected, found).at(line, column));
            }
        }
    }
}
