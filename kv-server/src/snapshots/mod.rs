//! Snapshots on disk: the state machine as of one entry, which stands for the log up to there.
//!
//! ```text
//!   data directory
//!   ├── snapshot-<index>-<term>.snap    whole, checked, durable
//!   ├── snapshot.taking                 being written by this server     ┐ worth nothing yet: removed at
//!   └── snapshot.receiving              coming in from the leader        ┘ the next start
//! ```
//!
//! A snapshot gets its final name only when all of it is on stable storage; that it is the one to start from, the log says
//! ([`wal`](crate::wal)), in one frame with whatever changes with it. So a crash at any time leaves the old snapshot with
//! the old log or the new one with the new (a crash in the middle of an installation once left RedisRaft with a mix, Jepsen
//! 2020). The file that travels to another server is this very file: it names the cluster, but no server.
//!
//! The format, integers little-endian:
//!
//! ```text
//!   ┌─────────┬─────────────┬─────────────┬─────────────┬────────────────────┬─────────┬───────────┐
//!   │ magic 8 │ version u32 │ cluster u64 │ meta len u32│ meta: SnapshotMeta │ machine │ crc32 u32 │
//!   └─────────┴─────────────┴─────────────┴─────────────┴────────────────────┴─────────┴───────────┘
//!   crc32 over everything before it; meta and machine in postcard's stable wire format
//! ```

mod error;
mod file;

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use raft_core::{Chunk, Index, Position, SnapshotMeta, Term};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::{SnapshotDamage, SnapshotError};

use crate::limits::SNAPSHOT_CHUNK_BYTES;

const TAKING: &str = "snapshot.taking";
const RECEIVING: &str = "snapshot.receiving";

/// The snapshots in one server's directory, which that server has locked.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
    cluster: u64,
}

impl Snapshots {
    /// Those of this cluster in this directory.
    #[must_use]
    pub fn new(dir: &Path, cluster: u64) -> Snapshots {
        Snapshots { dir: dir.to_owned(), cluster }
    }

    /// The file of the snapshot that ends with this entry.
    #[must_use]
    pub fn file(&self, last: Position) -> PathBuf {
        self.dir.join(format!("snapshot-{:020}-{:020}.snap", last.index.0, last.term.0))
    }

    /// Writes a snapshot: whole and durable when this returns.
    ///
    /// # Errors
    /// Where the system refuses, or the machine has no encoded form.
    pub fn take(&self, meta: &SnapshotMeta, machine: &impl Serialize) -> Result<(), SnapshotError> {
        let path = self.dir.join(TAKING);
        let file = File::create(&path).map_err(SnapshotError::io("create", &path))?;
        let mut writer = file::CheckedWriter::new(BufWriter::with_capacity(1 << 20, file));
        let header = file::header(self.cluster, meta).map_err(SnapshotError::Unencodable)?;
        writer.write_all(&header).map_err(SnapshotError::io("write", &path))?;
        if let Err(error) = postcard::to_io(machine, &mut writer).map(drop) {
            return Err(match writer.failure.take() {
                Some(source) => SnapshotError::io("write", &path)(source),
                None => SnapshotError::Unencodable(error),
            });
        }
        let file = writer.finish().map_err(SnapshotError::io("write", &path))?;
        self.publish(&path, &file, meta.last)
    }

    /// Stores a part of a snapshot that is coming in. It need not survive a crash.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn receive(&self, chunk: &Chunk) -> Result<(), SnapshotError> {
        let path = self.dir.join(RECEIVING);
        let begins = chunk.offset == 0;
        let open = OpenOptions::new().write(true).create(begins).truncate(begins).open(&path);
        let file = open.map_err(SnapshotError::io("open for writing", &path))?;
        file.write_all_at(&chunk.data, chunk.offset).map_err(SnapshotError::io("write", &path))
    }

    /// All parts are there: checks the whole, and makes it durable. The log is to be told afterwards.
    ///
    /// # Errors
    /// What came in is not the snapshot that was announced, or the system refuses. Nothing has changed then.
    pub fn complete(&self, announced: &SnapshotMeta) -> Result<(), SnapshotError> {
        let path = self.dir.join(RECEIVING);
        let found = file::verify(&path, self.cluster)?;
        if found != *announced {
            return Err(SnapshotError::damaged(&path, SnapshotDamage::Another(found.last)));
        }
        let file = File::open(&path).map_err(SnapshotError::io("open", &path))?;
        self.publish(&path, &file, announced.last)
    }

    /// Gives a file its final name: first its bytes are durable, then its name.
    fn publish(&self, path: &Path, file: &File, last: Position) -> Result<(), SnapshotError> {
        file.sync_all().map_err(SnapshotError::io("sync", path))?;
        fs::rename(path, self.file(last)).map_err(SnapshotError::io("rename", path))?;
        self.sync_directory()
    }

    /// Reads the whole file and checks that it is what its name says: what it stands for.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is not what was once written.
    pub fn verify(&self, last: Position) -> Result<SnapshotMeta, SnapshotError> {
        let path = self.file(last);
        let found = file::verify(&path, self.cluster)?;
        match found.last == last {
            true => Ok(found),
            false => Err(SnapshotError::damaged(&path, SnapshotDamage::Another(found.last))),
        }
    }

    /// Reads the machine.
    ///
    /// # Errors
    /// As [`Snapshots::verify`], and if it does not decode.
    pub fn restore<M: DeserializeOwned>(&self, last: Position) -> Result<M, SnapshotError> {
        self.verify(last)?;
        file::machine(&self.file(last))
    }

    /// The bytes from `offset` on, at most [`SNAPSHOT_CHUNK_BYTES`], and whether they are the last ones.
    ///
    /// # Errors
    /// It is not there (a later one has taken its place), cannot be read, or is not that long.
    pub fn chunk(&self, last: Position, offset: u64) -> Result<(Vec<u8>, bool), SnapshotError> {
        let path = self.file(last);
        let file = File::open(&path).map_err(SnapshotError::io("open", &path))?;
        let length = file.metadata().map_err(SnapshotError::io("inspect", &path))?.len();
        let rest = length.checked_sub(offset).filter(|rest| *rest > 0);
        let rest = rest.ok_or_else(|| SnapshotError::damaged(&path, SnapshotDamage::Short(length)))?;
        let mut data = vec![0; rest.min(SNAPSHOT_CHUNK_BYTES as u64) as usize];
        file.read_exact_at(&mut data, offset).map_err(SnapshotError::io("read", &path))?;
        let done = data.len() as u64 == rest;
        Ok((data, done))
    }

    /// Removes the snapshots that end before this entry.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn remove_before(&self, index: Index) -> Result<(), SnapshotError> {
        self.remove(|name| position(name).is_some_and(|last| last.index < index))
    }

    /// Removes all snapshots but the one to start from, and what is left of unfinished ones.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn remove_all_but(&self, kept: Option<Position>) -> Result<(), SnapshotError> {
        let is_partial = |name: &str| name == TAKING || name == RECEIVING;
        self.remove(|name| is_partial(name) || position(name).is_some_and(|last| kept != Some(last)))
    }

    fn remove(&self, goes: impl Fn(&str) -> bool) -> Result<(), SnapshotError> {
        for item in fs::read_dir(&self.dir).map_err(SnapshotError::io("list", &self.dir))? {
            let path = item.map_err(SnapshotError::io("list", &self.dir))?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(&goes) {
                fs::remove_file(&path).map_err(SnapshotError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), SnapshotError> {
        let synced = File::open(&self.dir).and_then(|handle| handle.sync_all());
        synced.map_err(SnapshotError::io("sync directory", &self.dir))
    }
}

/// The entry in a snapshot's file name; `None` for files that are not ours.
fn position(name: &str) -> Option<Position> {
    let (index, term) = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?.split_once('-')?;
    let is_number =
        |digits: &str, length| digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit());
    let is_ours = is_number(index, 20) && is_number(term, 20);
    is_ours.then(|| Some(Position { index: Index(index.parse().ok()?), term: Term(term.parse().ok()?) }))?
}

#[cfg(test)]
mod tests;
