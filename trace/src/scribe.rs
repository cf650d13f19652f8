//! Records into frames, frames into bytes.

use std::marker::PhantomData;

use raft_core::{Command, Entry, Moment, Payload};
use serde::Serialize;

use crate::frame::{FULL_FRAME_BYTES, HEAD_BYTES, begin_life, seal};
use crate::read::Item;
use crate::record::{Head, RecordRef, Start, Step, UNENCODABLE};

/// How many entries of a recovered log go into one record.
const ENTRIES_PER_RECORD: usize = 256;

/// Writes records of whose truth it knows nothing. [`Recorder`](crate::Recorder) is what a server uses; this is for whoever
/// copies a trace, or alters one to see that it is found out.
#[derive(Clone, Debug)]
pub struct Scribe<P> {
    /// Where in the file `buffer` comes to lie.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in `buffer` the frame begins that is not closed yet.
    frame: Option<usize>,
    latest: Moment,
    _payload: PhantomData<P>,
}

impl<P: Command + Serialize> Scribe<P> {
    /// Writes at the end of a file of so many bytes.
    #[must_use]
    pub fn new(file_bytes: u64) -> Self {
        Scribe {
            offset: file_bytes,
            buffer: Vec::new(),
            frame: None,
            latest: Moment::default(),
            _payload: PhantomData,
        }
    }

    /// Adds what a reader has read. What was torn is left out: nobody has seen anything of it.
    pub fn write(&mut self, item: &Item<P>) {
        match item {
            Item::Start(start) => {
                let Start { core, config, timing, seed, now, recovered, effects } = &**start;
                self.start(Head {
                    core: core.clone(),
                    config: config.clone(),
                    timing: *timing,
                    seed: *seed,
                    now: *now,
                    boot: recovered.boot,
                    hard_state: recovered.hard_state,
                    snapshot: recovered.snapshot.clone(),
                    applied: recovered.applied,
                    lost_tail: recovered.lost_tail,
                    entries: recovered.entries.len() as u64,
                });
                self.entries(&recovered.entries);
                self.put(&RecordRef::Started(*effects));
            }
            Item::Step(Step { now, input, effects }) => {
                let after = self.since_last(*now);
                self.put(&RecordRef::Step(after, input.as_ref()));
                self.finish(*effects);
            }
            Item::Stop => self.put(&RecordRef::Stop),
            Item::Torn { .. } => {}
        }
    }

    /// Appends to `out` what was written since the last time, in frames.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.close();
        self.offset += self.buffer.len() as u64;
        out.append(&mut self.buffer);
    }

    /// Begins a life.
    pub(crate) fn start(&mut self, head: Head) {
        self.close();
        let offset = self.offset + self.buffer.len() as u64;
        begin_life(&mut self.buffer, offset);
        self.latest = head.now;
        self.put(&RecordRef::Start(Box::new(head)));
    }

    /// The recovered log: few entries at once where they are large, so that no frame gets much longer than a full one.
    pub(crate) fn entries(&mut self, entries: &[Entry<P>]) {
        let size = |entry: &Entry<P>| match &entry.payload {
            Payload::Command(command) => command.size(),
            _ => 0,
        };
        let largest = entries.iter().map(size).max().unwrap_or(0);
        let at_once = (FULL_FRAME_BYTES / largest.max(1)).clamp(1, ENTRIES_PER_RECORD);
        entries.chunks(at_once).for_each(|chunk| self.put(&RecordRef::Entries(chunk)));
    }

    /// How long after the last record this one is; wraps should the clock go backwards.
    pub(crate) fn since_last(&mut self, now: Moment) -> u64 {
        let after = now.0.wrapping_sub(self.latest.0);
        self.latest = now;
        after
    }

    pub(crate) fn put(&mut self, record: &RecordRef<'_, P>) {
        if self.frame.is_some_and(|start| self.buffer.len() - start >= FULL_FRAME_BYTES) {
            self.close();
        }
        if self.frame.is_none() {
            self.frame = Some(self.buffer.len());
            self.buffer.extend([0; HEAD_BYTES]);
        }
        let start = self.buffer.len();
        if postcard::to_io(record, &mut self.buffer).is_err() {
            // Memory takes everything, and no type of the core's is without a form. Should one be, then the trace must
            // not look as if nothing had happened: nobody can read on from here.
            self.buffer.truncate(start);
            self.buffer.push(UNENCODABLE);
        }
    }

    /// Completes a step.
    pub(crate) fn finish(&mut self, effects: [u8; 4]) {
        self.buffer.extend(effects);
    }

    fn close(&mut self) {
        let Some(start) = self.frame.take() else { return };
        let offset = self.offset + start as u64;
        if let Some(frame) = self.buffer.get_mut(start..) {
            seal(frame, offset);
        }
    }
}
