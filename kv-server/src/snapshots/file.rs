//! The file format: a header, the machine, a checksum over both.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use raft_core::SnapshotMeta;
use serde::de::DeserializeOwned;

use super::error::{SnapshotDamage, SnapshotError};

const MAGIC: [u8; 8] = *b"plumbsnp";
const VERSION: u32 = 1;
/// magic 8, version 4, cluster 8, length of the meta data 4.
const FIXED_BYTES: usize = 24;
/// A dozen members take a hundred bytes; a longer length is not believed, and nothing is allocated for it.
const MAX_META_BYTES: usize = 64 << 10;
const CHECKSUM_BYTES: usize = 4;

/// Everything before the machine.
pub(super) fn header(cluster: u64, meta: &SnapshotMeta) -> postcard::Result<Vec<u8>> {
    let meta = postcard::to_stdvec(meta)?;
    let length = (meta.len() as u32).to_le_bytes();
    Ok([&MAGIC[..], &VERSION.to_le_bytes(), &cluster.to_le_bytes(), &length, &meta].concat())
}

/// Counts the checksum of what is written through it.
pub(super) struct CheckedWriter<W> {
    inner: W,
    checksum: crc32fast::Hasher,
    /// Why a write failed; an encoder only says that one did.
    pub(super) failure: Option<io::Error>,
}

impl CheckedWriter<io::BufWriter<File>> {
    pub(super) fn new(inner: io::BufWriter<File>) -> Self {
        CheckedWriter { inner, checksum: crc32fast::Hasher::new(), failure: None }
    }

    /// Ends the file with the checksum.
    pub(super) fn finish(mut self) -> io::Result<File> {
        let checksum = self.checksum.finalize().to_le_bytes();
        self.inner.write_all(&checksum)?;
        self.inner.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl<W: Write> Write for CheckedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.inner.write(bytes) {
            Ok(count) => {
                self.checksum.update(bytes.get(..count).unwrap_or(bytes));
                Ok(count)
            }
            Err(error) => {
                self.failure = Some(io::Error::new(error.kind(), error.to_string()));
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads all of a file, in constant memory, and checks it; returns what it stands for.
pub(super) fn verify(path: &Path, cluster: u64) -> Result<SnapshotMeta, SnapshotError> {
    let damaged = |reason| SnapshotError::damaged(path, reason);
    let file = File::open(path).map_err(SnapshotError::io("open", path))?;
    let length = file.metadata().map_err(SnapshotError::io("inspect", path))?.len();
    let mut rest = length
        .checked_sub((FIXED_BYTES + CHECKSUM_BYTES) as u64)
        .ok_or_else(|| damaged(SnapshotDamage::Short(length)))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut read = |bytes: &mut [u8]| reader.read_exact(bytes).map_err(SnapshotError::io("read", path));

    let mut fixed = [0; FIXED_BYTES];
    read(&mut fixed)?;
    let meta_bytes = check_fixed(&fixed, cluster).map_err(damaged)?;
    rest = rest.checked_sub(meta_bytes as u64).ok_or_else(|| damaged(SnapshotDamage::Short(length)))?;
    let mut meta = vec![0; meta_bytes];
    read(&mut meta)?;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&fixed);
    checksum.update(&meta);
    let mut buffer = vec![0; 256 << 10];
    while rest > 0 {
        let count = rest.min(buffer.len() as u64) as usize;
        let Some(part) = buffer.get_mut(..count) else { break };
        read(part)?;
        checksum.update(part);
        rest -= count as u64;
    }
    let mut expected = [0; CHECKSUM_BYTES];
    read(&mut expected)?;
    if checksum.finalize() != u32::from_le_bytes(expected) {
        return Err(damaged(SnapshotDamage::Checksum));
    }
    postcard::from_bytes(&meta).map_err(|error| damaged(SnapshotDamage::Undecodable(error)))
}

/// How long the meta data is.
fn check_fixed(fixed: &[u8; FIXED_BYTES], cluster: u64) -> Result<usize, SnapshotDamage> {
    let mut fields = Fields(fixed);
    if fields.take() != Some(MAGIC) {
        return Err(SnapshotDamage::Magic);
    }
    let version = fields.take().map(u32::from_le_bytes).unwrap_or_default();
    if version != VERSION {
        return Err(SnapshotDamage::Version(version));
    }
    let found = fields.take().map(u64::from_le_bytes).unwrap_or_default();
    if found != cluster {
        return Err(SnapshotDamage::Cluster(found));
    }
    let length = fields.take().map(u32::from_le_bytes).unwrap_or_default() as usize;
    if length > MAX_META_BYTES { Err(SnapshotDamage::Checksum) } else { Ok(length) }
}

/// The machine in a file that was verified.
pub(super) fn machine<M: DeserializeOwned>(path: &Path) -> Result<M, SnapshotError> {
    let damaged = |reason| SnapshotError::damaged(path, reason);
    let bytes = std::fs::read(path).map_err(SnapshotError::io("read", path))?;
    let short = || damaged(SnapshotDamage::Short(bytes.len() as u64));
    let (fixed, rest) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or_else(short)?;
    let length = fixed.last_chunk().map(|length| u32::from_le_bytes(*length)).unwrap_or_default() as usize;
    let end = rest.len().checked_sub(CHECKSUM_BYTES).ok_or_else(short)?;
    let machine = rest.get(length..end).ok_or_else(short)?;
    match postcard::take_from_bytes(machine) {
        Ok((machine, [])) => Ok(machine),
        Ok(_) => Err(damaged(SnapshotDamage::Undecodable(postcard::Error::DeserializeBadEncoding))),
        Err(error) => Err(damaged(SnapshotDamage::Undecodable(error))),
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
