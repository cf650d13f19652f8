//! Segment files: their names, and the header with which each one starts.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use raft_core::NodeId;

use super::error::{Damage, WalError};

const MAGIC: [u8; 8] = *b"plumbwal";
/// The layout that this code reads and writes: header, frames, records.
const VERSION: u32 = 3;
/// magic 8, version 4, cluster 8, node 8, sequence 8, checksum 4.
pub(super) const HEADER_BYTES: usize = 40;

/// Which segment of whose log. It goes into every frame's checksum, so that a block that belongs elsewhere (a misdirected
/// write, a recycled disk block) is never taken for a frame of this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) cluster: u64,
    pub(super) node: NodeId,
    pub(super) sequence: u64,
}

impl Place {
    pub(super) fn file(self, dir: &Path) -> PathBuf {
        dir.join(format!("wal-{:016}.log", self.sequence))
    }

    pub(super) fn header(self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let fields: [&[u8]; 5] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            &self.cluster.to_le_bytes(),
            &self.node.0.to_le_bytes(),
            &self.sequence.to_le_bytes(),
        ];
        let checksum = fields.iter().fold(crc32fast::Hasher::new(), |mut hasher, field| {
            hasher.update(field);
            hasher
        });
        let checksum = checksum.finalize().to_le_bytes();
        let bytes = fields.into_iter().flatten().chain(&checksum);
        header.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        header
    }

    /// Checks a complete header. The order matters for the message: a file of another kind, of another release, of another
    /// server, and only then a damaged one of ours.
    pub(super) fn check_header(self, file: &Path, header: &[u8]) -> Result<(), WalError> {
        if header == self.header() {
            return Ok(());
        }
        let mut fields = Fields(header);
        if fields.take() != Some(MAGIC) {
            return Err(WalError::corrupt(file, 0, Damage::Magic));
        }
        let damaged = || WalError::corrupt(file, 0, Damage::SegmentHeader);
        let version = fields.take().map(u32::from_le_bytes).ok_or_else(damaged)?;
        let cluster = fields.take().map(u64::from_le_bytes).ok_or_else(damaged)?;
        let node = fields.take().map(|n| NodeId(u64::from_le_bytes(n))).ok_or_else(damaged)?;
        let sequence = fields.take().map(u64::from_le_bytes).ok_or_else(damaged)?;
        let checksum = fields.take().map(u32::from_le_bytes).ok_or_else(damaged)?;
        if header.get(..HEADER_BYTES - 4).map(crc32fast::hash) != Some(checksum) {
            return Err(damaged());
        }
        let file = file.to_owned();
        if version != VERSION {
            return Err(WalError::UnsupportedVersion { file, found: version, known: VERSION });
        }
        if (cluster, node) != (self.cluster, self.node) {
            return Err(WalError::WrongOwner { file, cluster, node });
        }
        Err(WalError::corrupt(&file, 0, Damage::SegmentNumber(sequence)))
    }
}

/// Little-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

/// The sequence number in a segment's file name; `None` for files that are not ours.
fn sequence_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_prefix("wal-")?.strip_suffix(".log")?;
    let canonical = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit());
    canonical.then(|| digits.parse().ok()).flatten()
}

/// The numbers of the segments in `dir`, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, WalError> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).map_err(WalError::io("list", dir))? {
        let item = item.map_err(WalError::io("list", dir))?;
        found.extend(sequence_of(&item.file_name()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes created, removed and renamed files durable: an fsync of the file alone does not (fsync(2)).
pub(super) fn sync_directory(dir: &Path) -> Result<(), WalError> {
    File::open(dir).and_then(|handle| handle.sync_all()).map_err(WalError::io("sync directory", dir))
}
