//! Reading: one step after the other, and the difference between what a crash leaves and damage.

use std::io::{self, Read, Seek, SeekFrom};
use std::marker::PhantomData;

use raft_core::{Entry, Moment, Recovered};
use serde::de::DeserializeOwned;

use crate::error::{ReadError, Wrong};
use crate::frame::{HEAD_BYTES, Head as FrameHead, LIFE_BYTES, VERSION, is_torn_life, life_at};
use crate::record::{Head, Record, Start, Step};

/// What a trace says next.
#[derive(Clone, Debug)]
pub enum Item<P> {
    /// A life begins.
    Start(Box<Start<P>>),
    /// The core is given an input, or time goes by.
    Step(Step<P>),
    /// The server stopped as it was asked to; the life ends.
    Stop,
    /// The life ends in a record of which this many bytes were written. Nobody has seen anything of it.
    Torn {
        /// How many.
        bytes: u64,
    },
}

/// An [`Item`], and where it stands.
#[derive(Clone, Debug)]
pub struct Located<P> {
    /// The record's number, counted from 1 over the whole file. (What is torn has the number it would have had.)
    pub record: u64,
    /// What it says.
    pub item: Item<P>,
}

/// How far a life has come.
enum Stage<P> {
    /// Nothing but the beginning of a life can stand here.
    Between,
    /// The first record is to come.
    Begun,
    /// The recovered log is to come, or more of it.
    Recovering {
        head: Box<Head>,
        entries: Vec<Entry<P>>,
    },
    Running,
}

/// Reads a trace.
pub struct Reader<R, P> {
    source: R,
    /// Where the next frame or life begins.
    next: u64,
    /// What was read from there already.
    ahead: Vec<u8>,
    frame: Vec<u8>,
    /// How much of `frame` has been read, and where in the file it began.
    used: usize,
    offset: u64,
    record: u64,
    stage: Stage<P>,
    latest: Moment,
    over: bool,
    _payload: PhantomData<P>,
}

impl<R: Read + Seek, P: DeserializeOwned> Reader<R, P> {
    /// Reads from the source's beginning. It is read in many small pieces: give it a buffer.
    pub fn new(source: R) -> Self {
        Reader {
            source,
            next: 0,
            ahead: Vec::new(),
            frame: Vec::new(),
            used: 0,
            offset: 0,
            record: 0,
            stage: Stage::Between,
            latest: Moment::default(),
            over: false,
            _payload: PhantomData,
        }
    }

    /// How many records were read.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.record
    }

    /// How many bytes were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.next
    }

    /// What comes next, or `None` at the end. After an error there is nothing more.
    ///
    /// # Errors
    /// The first record that no crash can have left like this, or that this version cannot read.
    pub fn read(&mut self) -> Result<Option<Located<P>>, ReadError> {
        if self.over {
            return Ok(None);
        }
        let item = self.advance().map_err(|wrong| {
            self.over = true;
            // A frame's first record is the first that cannot be read; within a frame it is the one just counted.
            let record = if self.used == 0 { self.record + 1 } else { self.record };
            ReadError { record, offset: self.offset, wrong }
        })?;
        self.over = item.is_none();
        Ok(item)
    }

    fn advance(&mut self) -> Result<Option<Located<P>>, Wrong> {
        loop {
            if self.used == self.frame.len() {
                (self.used, self.offset) = (0, self.next);
                self.frame.clear();
                match self.next_frame()? {
                    Found::Frame | Found::Life => continue,
                    Found::End => return Ok(None),
                    Found::Torn(bytes) => {
                        self.stage = Stage::Between;
                        return Ok(Some(Located { record: self.record + 1, item: Item::Torn { bytes } }));
                    }
                }
            }
            let rest = self.frame.get(self.used..).unwrap_or_default();
            self.record += 1;
            let taken =
                postcard::take_from_bytes::<Record<P>>(rest).map(|(record, left)| (record, left.len()));
            let (record, left) = taken.map_err(|error| {
                self.used = self.used.max(1);
                Wrong::Malformed(error)
            })?;
            self.used = self.frame.len() - left;
            if let Some(item) = self.take(record)? {
                return Ok(Some(Located { record: self.record, item }));
            }
        }
    }

    /// What a record means where it stands.
    fn take(&mut self, record: Record<P>) -> Result<Option<Item<P>>, Wrong> {
        let stage = std::mem::replace(&mut self.stage, Stage::Running);
        match (stage, record) {
            (Stage::Begun, Record::Start(head)) => {
                self.stage = Stage::Recovering { head, entries: Vec::new() };
                Ok(None)
            }
            (Stage::Recovering { head, mut entries }, Record::Entries(mut more)) => {
                entries.append(&mut more);
                self.stage = Stage::Recovering { head, entries };
                Ok(None)
            }
            (Stage::Recovering { head, entries }, Record::Started(effects)) => {
                if head.entries != entries.len() as u64 {
                    let why = "the recovered log is not complete";
                    return Err(Wrong::OutOfPlace { found: "the end of a start", why });
                }
                self.latest = head.now;
                Ok(Some(Item::Start(Box::new(started(*head, entries, effects)))))
            }
            (Stage::Running, Record::Step(after, input, effects)) => {
                self.latest = Moment(self.latest.0.wrapping_add(after));
                Ok(Some(Item::Step(Step { now: self.latest, input, effects })))
            }
            (Stage::Running, Record::Stop) => {
                self.stage = Stage::Between;
                Ok(Some(Item::Stop))
            }
            (stage, record) => Err(out_of_place(&stage, &record)),
        }
    }

    fn next_frame(&mut self) -> Result<Found, Wrong> {
        self.look_ahead()?;
        if self.ahead.is_empty() {
            return Ok(Found::End);
        }
        if let Some(version) = life_at(&self.ahead, self.next) {
            if version != VERSION {
                return Err(Wrong::Version { found: version });
            }
            self.ahead.clear();
            self.next += LIFE_BYTES as u64;
            self.stage = Stage::Begun;
            return Ok(Found::Life);
        }
        if self.next == 0 && !is_torn_life(&self.ahead) {
            return Err(Wrong::NotATrace);
        }
        let Some(head) = FrameHead::genuine(&self.ahead, self.next) else {
            let may_be = |left: &[u8]| left.len() < HEAD_BYTES || is_torn_life(left);
            return self.torn(LIFE_BYTES, may_be)?.ok_or(Wrong::Head);
        };
        self.ahead.drain(..HEAD_BYTES);
        let known = self.ahead.len().min(head.len);
        self.frame.extend(self.ahead.drain(..known));
        (&mut self.source).take((head.len - known) as u64).read_to_end(&mut self.frame)?;
        let whole = HEAD_BYTES + head.len;
        if self.frame.len() == head.len && crc32fast::hash(&self.frame) == head.content {
            if matches!(self.stage, Stage::Between) {
                return Err(Wrong::OutOfPlace { found: "a frame", why: "the life before it has ended" });
            }
            self.next += whole as u64;
            return Ok(Found::Frame);
        }
        self.frame.clear();
        self.torn(whole, |left| left.len() < whole)?.ok_or(Wrong::Content { bytes: head.len })
    }

    /// Fills `ahead` with what a life or the head of a frame takes, as far as the file goes.
    fn look_ahead(&mut self) -> io::Result<()> {
        let missing = LIFE_BYTES.saturating_sub(self.ahead.len());
        (&mut self.source).take(missing as u64).read_to_end(&mut self.ahead).map(|_| ())
    }

    /// Whether what stands here is the beginning of something `whole` bytes long, then another life, or the end of the file.
    fn torn(&mut self, whole: usize, may_be: impl Fn(&[u8]) -> bool) -> Result<Option<Found>, Wrong> {
        self.source.seek(SeekFrom::Start(self.next))?;
        let mut bytes = Vec::new();
        (&mut self.source).take((whole + LIFE_BYTES) as u64).read_to_end(&mut bytes)?;
        let offset = |at: usize| self.next + at as u64;
        let begins = |at: &usize| bytes.get(*at..).is_some_and(|rest| life_at(rest, offset(*at)).is_some());
        let end = (1..bytes.len()).find(begins).unwrap_or(bytes.len());
        let left = bytes.get(..end).unwrap_or_default();
        if !may_be(left) {
            return Ok(None);
        }
        self.next += end as u64;
        self.ahead.clear();
        self.source.seek(SeekFrom::Start(self.next))?;
        Ok(Some(Found::Torn(end as u64)))
    }
}

enum Found {
    Frame,
    Life,
    Torn(u64),
    End,
}

fn started<P>(head: Head, entries: Vec<Entry<P>>, effects: [u8; 4]) -> Start<P> {
    let Head { core, config, timing, seed, now, boot, hard_state, snapshot, applied, lost_tail, .. } = head;
    let recovered = Recovered { boot, hard_state, snapshot, entries, applied, lost_tail };
    Start { core, config, timing, seed, now, recovered, effects }
}

fn out_of_place<P>(stage: &Stage<P>, record: &Record<P>) -> Wrong {
    let found = match record {
        Record::Start(_) => "a start",
        Record::Entries(_) => "a piece of a recovered log",
        Record::Started(_) => "the end of a start",
        Record::Step(..) => "a step",
        Record::Stop => "a stop",
    };
    let why = match stage {
        Stage::Between => "the life before it has ended",
        Stage::Begun => "a life begins with a start",
        Stage::Recovering { .. } => "the server has not started yet",
        Stage::Running => "the server runs",
    };
    Wrong::OutOfPlace { found, why }
}
