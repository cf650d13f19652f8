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
//! - **Nothing is left out.** A batch that brings a snapshot, or a part of one, is refused: this log keeps entries only.
//! - **One owner.** The directory is locked, and the files bear the server's identity.
//!
//! A full segment is followed by the next one only between groups: the old one is durable, then the new file with its
//! header and its first frame is, then the directory. A file grows by a stretch of zeros at a time and frames overwrite
//! them, since an fdatasync that changes a file's length waits for the filesystem's journal (8 KiB writes by three processes
//! on ext4: 230 µs each within the file, 530 µs each at its end; with the disk busy, 300 µs and 2.5 ms). Zeros at the end of
//! a file are nothing: every frame ends with another byte.
//!
//! What this does not do: it never removes a segment (there are no snapshots yet; [`Wal::segments`] says which entries
//! each one holds, and a segment's first frame is all that is needed of those before it). It cannot see that
//! the last frames are gone without a trace, because a disk lied about fsync, nor that pages it reads were never written,
//! because an earlier process died of a failed fsync. In the last frame, damage passes for a torn write if a sector's worth
//! of the frame holds nothing but zeros, or if it strikes two of the head's numbers, or head and content together (and so
//! for the last few frames, if every one of their heads is struck): recovery reports that as a torn tail, never as an entry.

mod active;
mod error;
mod frame;
pub mod mutant;
mod outline;
mod record;
mod recover;
mod segment;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_core::{Batch, Entries, Entry, HardState, Index, NodeId};

use active::Active;
pub use error::{Damage, Evidence, Misfit, WalError};
pub use frame::MAX_FRAME_BYTES;
use mutant::ServerMutantSwitch;
use outline::Outline;
use record::RecordRef;
use recover::Contents;
use segment::Place;

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
    /// The log, from entry 1 on.
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
    /// The highest index of any entry in it, replaced ones included; 0 if it has none. Once the log is compacted up to
    /// there, nothing needs the segment.
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
        let Contents { outline, entries, mut segments, torn_tail } =
            recover::read_all(&dir, owner, options.mutant)?;
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
        let (earlier, poisoned) = (segments, false);
        let mut wal =
            Wal { dir, segment_bytes, ahead, outline, earlier, active, group, poisoned, _lock: lock };
        // This first sync also makes durable what an earlier process may have written and not synced: it is read above,
        // so it will be acted on.
        let boot = wal.count_boot()?;
        let hard_state = wal.outline.hard_state();
        Ok((wal, Recovered { hard_state, entries, torn_tail, boot }))
    }

    /// Adds a batch to the group that the next [`Wal::sync`] makes durable. A batch that cannot follow the log is refused
    /// and leaves everything as it was.
    pub fn append(&mut self, batch: &Batch<Bytes>) -> Result<(), WalError> {
        self.refuse_if_poisoned()?;
        if *batch == Batch::new(None, Entries::none()) {
            return Ok(());
        }
        if self.group.len() == EMPTY_GROUP.len() && self.active.info.bytes >= self.segment_bytes {
            self.or_poison(Wal::start_segment)?;
        }
        let start = self.group.len();
        let taken = self
            .encode(&RecordRef::Batch(batch))
            .and_then(|()| self.outline.accept(batch).map_err(WalError::InvalidBatch));
        if taken.is_err() {
            self.group.truncate(start);
            return taken;
        }
        if start > EMPTY_GROUP.len() && self.group.len() > MAX_GROUP_BYTES {
            let latest = self.group.split_off(start);
            self.sync()?;
            self.group.extend(latest);
        }
        self.active.info.saw(batch);
        Ok(())
    }

    /// Makes all that was appended durable: one write, one fdatasync; nothing if nothing was appended.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.refuse_if_poisoned()?;
        if self.group.len() == EMPTY_GROUP.len() {
            return Ok(());
        }
        self.or_poison(|wal| wal.active.write(&mut wal.group))?;
        self.group.truncate(EMPTY_GROUP.len());
        self.group.shrink_to(MAX_GROUP_BYTES);
        Ok(())
    }

    /// The files of the log, oldest first; the last one is being written.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        self.earlier.iter().copied().chain([self.active.info])
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

/// Creates the directory if need be, and takes it for this process. The lock goes with the process, however it ends.
fn lock(dir: &Path) -> Result<File, WalError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.is_dir()).collect();
    fs::create_dir_all(dir).map_err(WalError::io("create directory", dir))?;
    for created in missing {
        // The first part of a relative path has the empty path as its parent.
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
        segment::sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(WalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WalError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(WalError::io("lock", &path)(error)),
    }
}

/// Removes the remains of an unfinished write, durably, so that the next frame does not come to lie behind them.
fn cut_off(dir: &Path, tail: &TornTail) -> Result<(), WalError> {
    let file = &tail.file;
    if tail.offset == 0 {
        fs::remove_file(file).map_err(WalError::io("remove", file))?;
        return segment::sync_directory(dir);
    }
    let handle = OpenOptions::new().write(true).open(file).map_err(WalError::io("open for writing", file))?;
    handle.set_len(tail.offset).map_err(WalError::io("truncate", file))?;
    handle.sync_all().map_err(WalError::io("sync", file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::{Payload, Term};

    fn batch(index: u64) -> Batch<Bytes> {
        let payload = Payload::Command(Bytes::from_static(b"value"));
        Batch::new(None, vec![Entry { index: Index(index), term: Term(1), payload }].into())
    }

    /// A log with entry 1 synced, whose next writes go to `device` instead of its file.
    fn on_device(dir: &Path, device: &str) -> (Wal, File) {
        let (mut wal, _) = Wal::open(dir, WalOptions::new(NodeId(1))).unwrap();
        wal.append(&batch(1)).unwrap();
        wal.sync().unwrap();
        let device = OpenOptions::new().write(true).open(device).unwrap();
        let file = std::mem::replace(&mut wal.active.file, device);
        (wal, file)
    }

    fn assert_poisoned(wal: &mut Wal) {
        assert!(matches!(wal.append(&batch(3)), Err(WalError::Poisoned)));
        assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
        assert!(matches!(wal.sync(), Err(WalError::Poisoned)), "again");
    }

    #[test]
    fn k09_a_failed_write_is_the_last() {
        let dir = tempfile::TempDir::new().unwrap();
        let (mut wal, file) = on_device(dir.path(), "/dev/full");
        wal.append(&batch(2)).unwrap();
        assert!(matches!(wal.sync(), Err(WalError::Io { action: "write", .. })));
        wal.active.file = file;
        assert_poisoned(&mut wal);
        drop(wal);
        let (_, recovered) = Wal::open(dir.path(), WalOptions::new(NodeId(1))).unwrap();
        assert_eq!(recovered.entries, *batch(1).entries);
    }

    #[test]
    fn k09_a_failed_sync_is_the_last() {
        let dir = tempfile::TempDir::new().unwrap();
        let (mut wal, file) = on_device(dir.path(), "/dev/null"); // takes every write, and cannot be synced
        wal.append(&batch(2)).unwrap();
        assert!(matches!(wal.sync(), Err(WalError::Io { action: "sync", .. })));
        wal.active.file = file;
        assert_poisoned(&mut wal);
    }

    #[test]
    fn k09_a_segment_that_cannot_be_started_is_the_end() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = WalOptions { segment_bytes: 1, ..WalOptions::new(NodeId(1)) };
        let (mut wal, _) = Wal::open(dir.path(), options).unwrap();
        fs::write(dir.path().join("wal-0000000000000002.log"), b"").unwrap();
        assert!(matches!(wal.append(&batch(1)), Err(WalError::Io { action: "create", .. })));
        assert_poisoned(&mut wal);
    }
}
