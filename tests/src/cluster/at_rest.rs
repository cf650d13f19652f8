//! Damage to what a stopped server has on its disk: a byte that changed, an end that is missing.
//!
//! A server that is started on damaged files must refuse, and say where, or come up with all that was synced. What it must
//! not do is to forget a part of it: that was a promise. Undoing the damage is therefore putting back exactly the bytes that
//! were there, and only to files that nobody has written since: an older state of a voter would be a promise forgotten, too.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Node;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// One bit of one byte is flipped, in what was written.
    Flip,
    /// The file ends too early. Only of files that are whole ever since they were written: at the end of the log a missing
    /// part cannot be told from a write that a crash had cut short.
    Truncate,
}

/// A file that was damaged.
#[derive(Debug)]
pub struct DamagedFile {
    /// The file.
    pub path: PathBuf,
    /// The first byte that is not what it was.
    pub offset: u64,
    /// What was there: one byte, or the end of the file.
    original: Vec<u8>,
    /// The file as it is now, to tell whether somebody wrote it since.
    now: Vec<u8>,
}

impl Node {
    /// The folder of the server's data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }
}

/// Damages one of the server's files, which the seed chooses; nothing, if there is none that can be.
///
/// The server must not be running.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn damage(data: &Path, what: Damage, seed: u64) -> anyhow::Result<Option<DamagedFile>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let Some(path) = candidates(data, what)?.choose(&mut rng).cloned() else { return Ok(None) };
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // A log's file has zeros at its end, to be written later.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written == 0 {
        return Ok(None);
    }
    let offset = rng.random_range(0..written);
    let (original, now) = match what {
        Damage::Flip => {
            let original: Vec<u8> = bytes.get(offset..=offset).unwrap_or_default().to_vec();
            let flipped: Vec<u8> = original.iter().map(|byte| byte ^ (1 << rng.random_range(0..8))).collect();
            let mut now = bytes;
            now.splice(offset..=offset, flipped);
            (original, now)
        }
        Damage::Truncate => {
            let mut now = bytes;
            let end = now.split_off(offset);
            (end, now)
        }
    };
    std::fs::write(&path, &now).with_context(|| format!("cannot damage {}", path.display()))?;
    Ok(Some(DamagedFile { path, offset: offset as u64, original, now }))
}

/// The files that may be damaged so, in order.
fn candidates(data: &Path, what: Damage) -> anyhow::Result<Vec<PathBuf>> {
    let reading = || format!("cannot list {}", data.display());
    let (mut logs, mut snapshots) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(data).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("wal-") && name.ends_with(".log") {
            logs.push(path);
        } else if name.starts_with("snapshot-") && name.ends_with(".snap") {
            snapshots.push(path);
        }
    }
    logs.sort();
    if what == Damage::Truncate {
        logs.pop();
    }
    snapshots.sort();
    Ok(logs.into_iter().chain(snapshots).collect())
}

impl DamagedFile {
    /// Puts back what was there.
    ///
    /// # Errors
    /// When the file is not the one that was damaged any longer: somebody has written it, and what was there is not what
    /// should be there now.
    pub fn restore(self) -> anyhow::Result<()> {
        let name = self.path.display();
        let found = std::fs::read(&self.path).with_context(|| format!("cannot read {name}"))?;
        if found != self.now {
            bail!("{name} was written since it was damaged at byte {}, and is left as it is", self.offset);
        }
        let file: File =
            OpenOptions::new().write(true).open(&self.path).with_context(|| format!("{name}"))?;
        file.write_all_at(&self.original, self.offset).with_context(|| format!("cannot restore {name}"))?;
        file.sync_all().with_context(|| format!("cannot sync {name}"))
    }
}

impl Node {
    /// Damages one of the server's files, which the seed chooses; nothing, if it runs or has none that can be.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub async fn damage(&self, what: Damage, seed: u64) -> anyhow::Result<Option<DamagedFile>> {
        let mut process = self.process.lock().await;
        process.fallen()?;
        if process.pid().is_some() {
            return Ok(None);
        }
        damage(&self.data, what, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        folder
    }

    const LOG: &[u8] = b"records and then zeros\0\0\0\0\0\0\0\0";

    #[test]
    fn one_bit_of_what_was_written_is_flipped_and_put_back() {
        let folder = folder(&[("wal-1.log", LOG), ("lock", b"12"), ("notes.txt", b"text")]);
        let path = folder.path().join("wal-1.log");
        for seed in 0..200 {
            let damaged = damage(folder.path(), Damage::Flip, seed).unwrap().unwrap();
            let now = std::fs::read(&path).unwrap();
            let bits: u32 = LOG.iter().zip(&now).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert_eq!((bits, now.len()), (1, LOG.len()), "seed {seed}");
            let at = damaged.offset as usize;
            assert!(at < 22 && now[at] != LOG[at], "seed {seed}: byte {at}");
            damaged.restore().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), LOG, "seed {seed}");
        }
        for other in ["lock", "notes.txt"] {
            assert!(!std::fs::read(folder.path().join(other)).unwrap().contains(&0));
        }
    }

    #[test]
    fn the_end_of_the_log_is_never_cut_off_but_that_of_whole_files_is_and_comes_back() {
        let only = folder(&[("wal-1.log", LOG)]);
        assert!(damage(only.path(), Damage::Truncate, 1).unwrap().is_none());
        let snapshot: &[u8] = b"a snapshot";
        let folder = folder(&[("wal-1.log", LOG), ("wal-2.log", LOG), ("snapshot-1-1.snap", snapshot)]);
        let mut hit = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let damaged = damage(folder.path(), Damage::Truncate, seed).unwrap().unwrap();
            let name = damaged.path.file_name().unwrap().to_str().unwrap().to_owned();
            let whole = if name.ends_with("snap") { snapshot } else { LOG };
            assert_eq!(
                std::fs::read(&damaged.path).unwrap(),
                whole[..damaged.offset as usize],
                "seed {seed}"
            );
            let path = damaged.path.clone();
            damaged.restore().unwrap();
            assert_eq!(std::fs::read(path).unwrap(), whole, "seed {seed}");
            hit.insert(name);
        }
        assert!(hit.into_iter().eq(["snapshot-1-1.snap", "wal-1.log"]));
    }

    #[test]
    fn a_file_that_was_written_since_is_left_as_it_is() {
        let folder = folder(&[("wal-1.log", LOG)]);
        let damaged = damage(folder.path(), Damage::Flip, 3).unwrap().unwrap();
        std::fs::write(&damaged.path, b"a later promise").unwrap();
        let error = damaged.restore().unwrap_err().to_string();
        assert!(error.contains("was written since"), "{error}");
        assert_eq!(std::fs::read(folder.path().join("wal-1.log")).unwrap(), b"a later promise");
    }
}
