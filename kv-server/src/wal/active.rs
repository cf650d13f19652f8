//! The segment at the end of the log, the only one that is written.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use raft_core::Index;

use super::error::WalError;
use super::mutant::{ServerMutant, ServerMutantSwitch};
use super::outline::Outline;
use super::record::RecordRef;
use super::segment::{self, Place};
use super::{EMPTY_GROUP, SegmentInfo, frame};

/// The segment that is written. Behind its last frame the file goes on with zeros, which later frames overwrite: a write
/// within the file is durable without a commit of the filesystem's journal, which would wait for other files' data too.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) place: Place,
    pub(super) info: SegmentInfo,
    pub(super) file: File,
    path: PathBuf,
    /// How long the file is.
    allocated: u64,
    /// How far past the last frame to go on with zeros once the file has to grow.
    ahead: usize,
}

impl Active {
    /// A new segment: durable, and durably in its directory, when this returns.
    pub(super) fn create(
        dir: &Path,
        place: Place,
        outline: &Outline,
        ahead: usize,
    ) -> Result<Active, WalError> {
        let path = place.file(dir);
        let create = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = create.map_err(WalError::io("create", &path))?;
        let mut frame = EMPTY_GROUP.to_vec();
        RecordRef::Checkpoint(&outline.checkpoint()).encode(&mut frame).map_err(WalError::Unencodable)?;
        let header = place.header();
        frame::seal(&mut frame, place, header.len());
        let mut start = [header.as_slice(), &frame].concat();
        let bytes = start.len() as u64;
        start.resize(start.len() + ahead, 0);
        file.write_all_at(&start, 0).map_err(WalError::io("write", &path))?;
        file.sync_all().map_err(WalError::io("sync", &path))?;
        segment::sync_directory(dir)?;
        let info = SegmentInfo { sequence: place.sequence, highest: Index::ZERO, bytes };
        Ok(Active { place, info, file, path, allocated: start.len() as u64, ahead })
    }

    /// The last segment, as recovery left it: nothing but zeros behind its last frame.
    ///
    /// It is written once more, as it is. If an earlier process ended because a sync failed, what that sync should have
    /// written is read back from memory and yet not on the disk, and no later sync writes it: the kernel takes its pages for
    /// clean (what PostgreSQL's developers called fsyncgate, 2018).
    pub(super) fn reopen(
        dir: &Path,
        owner: Place,
        info: SegmentInfo,
        ahead: usize,
    ) -> Result<Active, WalError> {
        let place = Place { sequence: info.sequence, ..owner };
        let path = place.file(dir);
        let open = OpenOptions::new().write(true).open(&path);
        let file = open.map_err(WalError::io("open for writing", &path))?;
        let mut written = fs::read(&path).map_err(WalError::io("read", &path))?;
        written.truncate(info.bytes as usize);
        file.write_all_at(&written, 0).map_err(WalError::io("write", &path))?;
        let allocated = file.metadata().map_err(WalError::io("inspect", &path))?.len();
        Ok(Active { place, info, file, path, allocated, ahead })
    }

    /// Seals the frame and makes it durable: one write, one fdatasync.
    pub(super) fn write(&mut self, frame: &mut Vec<u8>, mutant: ServerMutantSwitch) -> Result<(), WalError> {
        let start = self.info.bytes;
        frame::seal(frame, self.place, start as usize);
        let end = start + frame.len() as u64;
        if end > self.allocated {
            frame.resize(frame.len() + self.ahead, 0);
            self.allocated = start + frame.len() as u64;
        }
        self.file.write_all_at(frame, start).map_err(WalError::io("write", &self.path))?;
        if !mutant.is(ServerMutant::LogNeverSynced) {
            self.file.sync_data().map_err(WalError::io("sync", &self.path))?;
        }
        self.info.bytes = end;
        Ok(())
    }
}
