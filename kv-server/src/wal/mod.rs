//! The write-ahead log: what the server must not forget, on disk before anybody is told.
//!
//! ```text
//!   data directory
//!   ├── lock                        held while a server runs here
//!   ├── wal-0000000000000001.log    ┐  each: a header (magic, version, cluster, node, number), then frames,
//!   ├── wal-0000000000000002.log    ├  the first of which says what all segments before it add up to
//!   └── wal-0000000000000003.log    ┘  ◄── written at its end only
//!
//!   append(batch) ─► group in memory ── sync() ─► one frame ─► one write, one fdatasync ─► durable
//! ```
//!
//! - **Acknowledged means synced.** [`Wal::append`] only collects; what was collected is durable when [`Wal::sync`] returns
//!   `Ok`, all of it by one write and one fdatasync (group commit). After any error the log accepts nothing more:
//!   what an fsync that failed has left on the disk is unknown, and asking again may hide it ("fsyncgate", PostgreSQL 2018).
//! - **All or nothing.** A batch (term and vote, truncation, new entries) lies in one frame under one checksum, so a crash
//!   leaves the state before it or after it (compare raft-rs #428, where a crash could come between truncate and append).
//! - **A torn end is cut off and reported; damage is refused.** Only the last frame can be unfinished, and what a crash can
//!   do to it is known (see `frame.rs`); everything else stops [`Wal::open`] with the file and the offset, and
//!   changes nothing. Damage that was cut off silently would be an acknowledged write lost (Alagappan et al., "Protocol-Aware
//!   Recovery", FAST '18).
//! - **Snapshots lie in files of their own** ([`snapshots`](crate::snapshots)), whole and durable before the log says, in one
//!   frame with what else changes, that one is there to start from. When that frame is durable, what the snapshot stands for is
//!   removed: older snapshots, and the segments that hold nothing else.
//! - **One owner.** The directory is locked, and the files bear the server's identity.
//!
//! A full segment is followed by the next one only between groups: the old one is durable, then the new file with its
//! header and its first frame is, then the directory. A file grows by a stretch of zeros at a time and frames overwrite
//! them, since an fdatasync that changes a file's length waits for the filesystem's journal (8 KiB writes by three processes
//! on ext4: 230 µs each within the file, 530 µs each at its end; with the disk busy, 300 µs and 2.5 ms). Zeros at the end of
//! a file are nothing: every frame ends with another byte.
//!
//! What this does not do: it keeps the segment that is being written, however much of it a snapshot covers. It cannot see that
//! the last frames are gone without a trace, because a disk lied about fsync, nor that pages it reads were never written,
//! because an earlier process died of a failed fsync. In the last frame, damage passes for a torn write if a sector's worth
//! of the frame holds nothing but zeros, or if it strikes two of the head's numbers, or head and content together (and so
//! for the last few frames, if every one of their heads is struck): recovery reports that as a torn tail, never as an entry.

mod active;
mod directory;
mod error;
mod frame;
pub mod mutant;
mod outline;
mod record;
mod recover;
mod segment;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_core::{Batch, Entry, HardState, Index, NodeId, Position, SnapshotMeta};

use active::Active;
use directory::{cut_off, lock};
pub use error::{Damage, Evidence, Misfit, WalError};
pub use frame::MAX_FRAME_BYTES;
use mutant::{ServerMutant, ServerMutantSwitch};
use outline::Outline;
use record::RecordRef;
use recover::Contents;
use segment::Place;

use crate::snapshots::Snapshots;

/// The largest [`WalOptions::segment_bytes`] there may be: recovery reads one segment at a time into memory.
pub const MAX_SEGMENT_BYTES: u64 = 512 << 20;
/// A group that would grow past this is synced by [`Wal::append`] before more is added.
pub const MAX_GROUP_BYTES: usize = 8 << 20;

/// How a log is kept, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalOptions {
    /// The cluster's identity.
    pub cluster: u64,
    /// The server's identity.
    pub node: NodeId,
    /// A segment that has reached this size is followed by a new one. More than [`MAX_SEGMENT_BYTES`] counts as that.
    pub segment_bytes: u64,
    /// When a segment's file has to grow, it grows by this many zeros more than needed. At most [`MAX_FRAME_BYTES`] count.
    pub ahead_bytes: usize,
    /// The seeded bug that is on, if any.
    pub mutant: ServerMutantSwitch,
}

impl WalOptions {
    /// For this server of cluster 0, with segments of 64 MiB that grow by 1 MiB at a time.
    #[must_use]
    pub fn new(node: NodeId) -> WalOptions {
        let mutant = ServerMutantSwitch::default();
        WalOptions { cluster: 0, node, segment_bytes: 64 << 20, ahead_bytes: 1 << 20, mutant }
    }
}

/// What the log held when it was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The latest durable term and vote.
    pub hard_state: HardState,
    /// What the snapshot to start from stands for. Its file has been read and is whole.
    pub snapshot: Option<SnapshotMeta>,
    /// The log, from entry 1 on, or at the latest from the one after the snapshot.
    pub entries: Vec<Entry<Bytes>>,
    /// What a crash had left of an unfinished write, now cut off. It was never acknowledged.
    pub torn_tail: Option<TornTail>,
    /// How many times the log was opened, this time included: durable, and never the same twice.
    pub boot: u64,
}

/// The remains of an unfinished write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail {
    /// The last segment.
    pub file: PathBuf,
    /// Where in it the unfinished write began. At 0, the segment itself was unfinished, and was removed.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes_dropped: u64,
}

/// One file of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its number, from 1.
    pub sequence: u64,
    /// The highest index of any entry in it, replaced ones included; 0 if it has none. Once a snapshot reaches
    /// that, nothing needs the segment.
    pub highest: Index,
    /// How far it is written; zeros may follow.
    pub bytes: u64,
}

impl SegmentInfo {
    fn saw(&mut self, batch: &Batch<Bytes>) {
        self.highest = batch.entries.last().map_or(self.highest, |entry| self.highest.max(entry.index));
    }
}

/// The write-ahead log, open for writing. See the [module](self).
#[derive(Debug)]
pub struct Wal {
    dir: PathBuf,
    segment_bytes: u64,
    ahead: usize,
    /// What is in the log, the group included.
    outline: Outline,
    /// All segments but the active one.
    earlier: Vec<SegmentInfo>,
    active: Active,
    /// The frame of the next sync: room for its head, then the records.
    group: Vec<u8>,
    snapshots: Snapshots,
    mutant: ServerMutantSwitch,
    /// The latest snapshot that the group names: once that is durable, what it stands for may go.
    named: Option<Position>,
    poisoned: bool,
    _lock: File,
}

/// A frame without records yet.
const EMPTY_GROUP: [u8; frame::HEAD_BYTES] = [0; frame::HEAD_BYTES];

impl Wal {
    /// Opens the log in `dir`, creating both where they are missing, and counts this boot. When this returns, everything
    /// in [`Recovered`] is durable.
    pub fn open(dir: impl AsRef<Path>, options: WalOptions) -> Result<(Wal, Recovered), WalError> {
        let dir = dir.as_ref().to_owned();
        let lock = lock(&dir)?;
        let owner = Place { cluster: options.cluster, node: options.node, sequence: 0 };
        let Contents { outline, entries, mut segments, torn_tail, .. } =
            recover::read_all(&dir, owner, options.mutant)?;
        let snapshots = Snapshots::new(&dir, options.cluster);
        let snapshot = outline.snapshot().map(|last| snapshots.verify(last)).transpose()?;
        if let Some(tail) = &torn_tail {
            cut_off(&dir, tail)?;
        }
        let ahead = options.ahead_bytes.min(MAX_FRAME_BYTES);
        let active = match segments.pop() {
            Some(info) => Active::reopen(&dir, owner, info, ahead)?,
            None => Active::create(&dir, Place { sequence: 1, ..owner }, &outline, ahead)?,
        };
        // An earlier boot that was interrupted may have left files that are there but not durably so.
        segment::sync_directory(&dir)?;
        let group = EMPTY_GROUP.to_vec();
        let segment_bytes = options.segment_bytes.min(MAX_SEGMENT_BYTES);
        let mut wal = Wal {
            dir,
            segment_bytes,
            ahead,
            outline,
            earlier: segments,
            active,
            group,
            snapshots,
            mutant: options.mutant,
            named: None,
            poisoned: false,
            _lock: lock,
        };
        if let Some(snapshot) = wal.outline.snapshot() {
            wal.remove_what_it_stands_for(snapshot)?;
        }
        wal.snapshots.remove_all_but(wal.outline.snapshot())?;
        // This first sync also makes durable what an earlier process may have written and not synced: it is read above,
        // so it will be acted on.
        let boot = wal.count_boot()?;
        let hard_state = wal.outline.hard_state();
        Ok((wal, Recovered { hard_state, snapshot, entries, torn_tail, boot }))
    }

    /// Adds a batch to the group that the next [`Wal::sync`] makes durable. A batch that cannot follow the log is refused
    /// and leaves everything as it was. A part of a snapshot goes to its file at once; a snapshot that is to be installed is
    /// made durable at once, and counts with the group.
    pub fn append(&mut self, batch: &Batch<Bytes>) -> Result<(), WalError> {
        self.refuse_if_poisoned()?;
        if batch.chunk.is_some() || batch.install.is_some() {
            self.outline.check(batch).map_err(WalError::InvalidBatch)?;
            if !self.mutant.is(ServerMutant::SnapshotNotAtomic) {
                self.or_poison(|wal| wal.store_snapshot(batch, wal.outline.snapshot()))?;
            }
        }
        let Batch { hard_state, install, entries, .. } = batch;
        if hard_state.is_none() && install.is_none() && entries.is_empty() {
            return Ok(());
        }
        let start = self.begin_record()?;
        let taken = match batch.chunk {
            None => self.encode(&RecordRef::Batch(batch)),
            Some(_) => self.encode(&RecordRef::Batch(&Batch { chunk: None, ..batch.clone() })),
        };
        let taken = taken.and_then(|()| self.outline.accept(batch).map_err(WalError::InvalidBatch));
        if taken.is_err() {
            self.group.truncate(start);
            return taken;
        }
        self.end_record(start)?;
        self.named = install.as_ref().map(|install| install.snapshot.last).or(self.named);
        self.active.info.saw(batch);
        if install.is_some() && self.mutant.is(ServerMutant::SnapshotNotAtomic) {
            self.sync()?;
            self.or_poison(|wal| wal.store_snapshot(batch, None))?;
        }
        Ok(())
    }

    /// Adds to the group that this server has taken a snapshot up to this entry, which must be whole and durable. Returns false,
    /// and adds nothing, if there is a later one meanwhile.
    pub fn append_snapshot(&mut self, last: Position) -> Result<bool, WalError> {
        self.refuse_if_poisoned()?;
        let start = self.begin_record()?;
        if self.outline.take(last).is_err() {
            return Ok(false);
        }
        self.encode(&RecordRef::Snapshot(last))?;
        self.end_record(start)?;
        self.named = Some(last);
        Ok(true)
    }

    /// Makes all that was appended durable: one write, one fdatasync; nothing if nothing was appended.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.refuse_if_poisoned()?;
        if self.group.len() == EMPTY_GROUP.len() {
            return Ok(());
        }
        self.or_poison(|wal| wal.active.write(&mut wal.group, wal.mutant))?;
        self.group.truncate(EMPTY_GROUP.len());
        self.group.shrink_to(MAX_GROUP_BYTES);
        match self.named.take() {
            Some(snapshot) => self.or_poison(|wal| wal.remove_what_it_stands_for(snapshot)),
            None => Ok(()),
        }
    }

    /// The files of the log, oldest first; the last one is being written.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        self.earlier.iter().copied().chain([self.active.info])
    }

    /// The parts of snapshots have files of their own.
    fn store_snapshot(&self, batch: &Batch<Bytes>, latest: Option<Position>) -> Result<(), WalError> {
        if let Some(chunk) = &batch.chunk {
            self.snapshots.receive(chunk)?;
        }
        // It may be the one to start from already: then only the log that it has overtaken goes.
        if let Some(install) = &batch.install
            && latest != Some(install.snapshot.last)
        {
            self.snapshots.complete(&install.snapshot)?;
        }
        Ok(())
    }

    /// Removes older snapshots, and the segments that hold nothing but what this one stands for, whose record is durable. A
    /// crash in the middle may leave any of them, as directories are not written in order: the next start removes these.
    fn remove_what_it_stands_for(&mut self, snapshot: Position) -> Result<(), WalError> {
        self.snapshots.remove_before(snapshot.index)?;
        let goes = self.earlier.iter().take_while(|segment| segment.highest <= snapshot.index).count();
        self.earlier.drain(..goes);
        let first = self.earlier.first().map_or(self.active.info.sequence, |segment| segment.sequence);
        for sequence in segment::list(&self.dir)?.into_iter().take_while(|sequence| *sequence < first) {
            let file = Place { sequence, ..self.active.place }.file(&self.dir);
            fs::remove_file(&file).map_err(WalError::io("remove", &file))?;
        }
        Ok(())
    }

    /// Where the next record begins, in the segment that it belongs to.
    fn begin_record(&mut self) -> Result<usize, WalError> {
        if self.group.len() == EMPTY_GROUP.len() && self.active.info.bytes >= self.segment_bytes {
            self.or_poison(Wal::start_segment)?;
        }
        Ok(self.group.len())
    }

    /// A group that has grown too large is synced without the record that was added last.
    fn end_record(&mut self, start: usize) -> Result<(), WalError> {
        if start > EMPTY_GROUP.len() && self.group.len() > MAX_GROUP_BYTES {
            let latest = self.group.split_off(start);
            self.sync()?;
            self.group.extend(latest);
        }
        Ok(())
    }

    /// Records that the server started once more, durably.
    fn count_boot(&mut self) -> Result<u64, WalError> {
        let boot = self.outline.boot().saturating_add(1);
        self.encode(&RecordRef::Boot(boot))?;
        self.outline.start(boot).map_err(WalError::InvalidBatch)?;
        self.sync()?;
        Ok(boot)
    }

    /// Goes on in a new segment. The group is empty, so the active one is durable and the outline says what it ends with.
    fn start_segment(&mut self) -> Result<(), WalError> {
        debug_assert_eq!(
            self.group.len(),
            EMPTY_GROUP.len(),
            "a segment's checkpoint describes what is durable"
        );
        let place = Place { sequence: self.active.place.sequence + 1, ..self.active.place };
        let next = Active::create(&self.dir, place, &self.outline, self.ahead)?;
        let full = std::mem::replace(&mut self.active, next);
        self.earlier.push(full.info);
        Ok(())
    }

    /// Adds a record to the group's bytes.
    fn encode(&mut self, record: &RecordRef<'_>) -> Result<(), WalError> {
        let start = self.group.len();
        record.encode(&mut self.group).map_err(WalError::Unencodable)?;
        match self.group.len() - start {
            bytes if bytes > MAX_FRAME_BYTES => {
                Err(WalError::BatchTooLarge { bytes, limit: MAX_FRAME_BYTES })
            }
            _ => Ok(()),
        }
    }

    fn refuse_if_poisoned(&self) -> Result<(), WalError> {
        if self.poisoned { Err(WalError::Poisoned) } else { Ok(()) }
    }

    /// Touches the disk; a failure is the last thing that this log does.
    fn or_poison(&mut self, touch: impl FnOnce(&mut Wal) -> Result<(), WalError>) -> Result<(), WalError> {
        self.poisoned = true;
        touch(self)?;
        self.poisoned = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
