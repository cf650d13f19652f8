//! The settings of a fault disk, what it has done so far, and the draws that decide.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What is wrong with the disk from now on. The default is a disk without faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiskFaults {
    /// Writes fail, and whatever else needs room: new files, folders, longer files.
    pub write: Option<Refusal>,
    /// Syncs of files and folders fail, and what a failed sync should have written is never written.
    pub sync: Option<Refusal>,
    /// Reads fail.
    pub read: Option<Refusal>,
    /// Reads come back with one bit flipped; what is stored is left as it is.
    pub flip: Option<When>,
    /// Every sync takes this much longer, and only then makes anything durable.
    pub slow_sync_ms: u64,
    /// Syncs say yes and do nothing.
    pub lying_sync: bool,
}

/// An error, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub error: DiskError,
    /// When.
    pub when: When,
}

/// The errors a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskError {
    /// EIO.
    Io,
    /// ENOSPC.
    NoSpace,
}

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// The next so many times.
    Next(u64),
    /// So many times in a million, by the seed.
    PerMillion(u32),
    /// Every time.
    Always,
}

/// What survives a crash of what was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Nothing: the most that a disk may lose.
    #[default]
    Everything,
    /// Nothing but a part of the last write to each file: some of its sectors.
    Torn,
    /// Each sector, each new length and each change of a folder survives by the toss of a coin.
    Some,
}

/// What a fault disk has done since it was mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskCounts {
    /// Writes that were taken.
    pub writes: u64,
    /// Syncs, of files and folders, that were asked for.
    pub syncs: u64,
    /// Crashes.
    pub crashes: u64,
    /// Bytes that crashes took, counted in sectors.
    pub lost_bytes: u64,
    /// Changes of folders (files and folders created, renamed or removed) that crashes took back.
    pub lost_entries: u64,
    /// Files whose last write survived a crash in part.
    pub torn_writes: u64,
    /// Errors given to writes and the like.
    pub write_errors: u64,
    /// Errors given to syncs.
    pub sync_errors: u64,
    /// Errors given to reads.
    pub read_errors: u64,
    /// Bits flipped on their way to a reader.
    pub flipped_bits: u64,
    /// Syncs that were slowed down.
    pub slowed_syncs: u64,
    /// Syncs that said yes although something was left to be written.
    pub lies: u64,
    /// Requests held back while the power was about to be cut.
    pub held: u64,
    /// Times that something was made durable unasked, because too much was waiting.
    pub written_back: u64,
}

impl DiskCounts {
    /// Whether any fault has had an effect.
    #[must_use]
    pub fn any_effect(&self) -> bool {
        let DiskCounts { writes: _, syncs: _, crashes: _, held: _, written_back: _, .. } = self;
        self.lost_bytes
            + self.lost_entries
            + self.torn_writes
            + self.write_errors
            + self.sync_errors
            + self.read_errors
            + self.flipped_bits
            + self.slowed_syncs
            + self.lies
            > 0
    }

    /// These and those together.
    #[must_use]
    pub fn plus(&self, other: &DiskCounts) -> DiskCounts {
        DiskCounts {
            writes: self.writes + other.writes,
            syncs: self.syncs + other.syncs,
            crashes: self.crashes + other.crashes,
            lost_bytes: self.lost_bytes + other.lost_bytes,
            lost_entries: self.lost_entries + other.lost_entries,
            torn_writes: self.torn_writes + other.torn_writes,
            write_errors: self.write_errors + other.write_errors,
            sync_errors: self.sync_errors + other.sync_errors,
            read_errors: self.read_errors + other.read_errors,
            flipped_bits: self.flipped_bits + other.flipped_bits,
            slowed_syncs: self.slowed_syncs + other.slowed_syncs,
            lies: self.lies + other.lies,
            held: self.held + other.held,
            written_back: self.written_back + other.written_back,
        }
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(&self, before: &DiskCounts) -> DiskCounts {
        DiskCounts {
            writes: self.writes.saturating_sub(before.writes),
            syncs: self.syncs.saturating_sub(before.syncs),
            crashes: self.crashes.saturating_sub(before.crashes),
            lost_bytes: self.lost_bytes.saturating_sub(before.lost_bytes),
            lost_entries: self.lost_entries.saturating_sub(before.lost_entries),
            torn_writes: self.torn_writes.saturating_sub(before.torn_writes),
            write_errors: self.write_errors.saturating_sub(before.write_errors),
            sync_errors: self.sync_errors.saturating_sub(before.sync_errors),
            read_errors: self.read_errors.saturating_sub(before.read_errors),
            flipped_bits: self.flipped_bits.saturating_sub(before.flipped_bits),
            slowed_syncs: self.slowed_syncs.saturating_sub(before.slowed_syncs),
            lies: self.lies.saturating_sub(before.lies),
            held: self.held.saturating_sub(before.held),
            written_back: self.written_back.saturating_sub(before.written_back),
        }
    }
}

/// Draws from the disk's seed.
#[derive(Debug)]
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.0.random()
    }

    pub(crate) fn one_of(&mut self, list: &[u64]) -> Option<u64> {
        list.choose(&mut self.0).copied()
    }

    fn happens(&mut self, when: &mut When) -> bool {
        match when {
            When::Next(0) => false,
            When::Next(left) => {
                *left -= 1;
                true
            }
            When::PerMillion(share) => self.0.random_range(0..1_000_000) < *share,
            When::Always => true,
        }
    }

    /// The error that this turn gets, if any.
    pub(crate) fn refuses(&mut self, refusal: &mut Option<Refusal>) -> Option<DiskError> {
        let refusal = refusal.as_mut()?;
        self.happens(&mut refusal.when).then_some(refusal.error)
    }

    /// Flips one bit of what is read, if it is time for that; says whether it did.
    pub(crate) fn flips(&mut self, flip: &mut Option<When>, bytes: &mut [u8]) -> bool {
        let Some(when) = flip else { return false };
        if bytes.is_empty() || !self.happens(when) {
            return false;
        }
        let (byte, bit) = (self.0.random_range(0..bytes.len()), self.0.random_range(0..8));
        if let Some(byte) = bytes.get_mut(byte) {
            *byte ^= 1 << bit;
        }
        true
    }
}
