//! The control file of one server's clocks. Its layout is described in the shim's `control` module, which reads it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::time::{ClockId, clock_gettime};

const MAGIC: u64 = 0x504c_434c_4f43_4b01;
/// A whole page, as the shim maps one.
const FILE_BYTES: usize = 4096;
const TURN_AT: u64 = 8;
const SETTINGS_AT: u64 = 16;
const SETTING_BYTES: u64 = 40;
const ALTERED_AT: u64 = 96;

const MILLION: i128 = 1_000_000;

/// The slowest a clock may be, in millionths: a tenth of its right pace.
pub(crate) const SLOWEST_PPM: i64 = -900_000;
/// The fastest: a hundred times its right pace.
pub(crate) const FASTEST_PPM: i64 = 99_000_000;
/// The furthest jump.
pub(crate) const FURTHEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What is told of the clocks from the anchor on, which is a time of the real monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Setting {
    anchor: i64,
    monotonic_offset: i64,
    monotonic_drift: i64,
    real_offset: i64,
    real_drift: i64,
}

impl Setting {
    /// The same, as it has come to be at `now`.
    fn at(self, now: i64) -> Setting {
        let ahead = |offset: i64, drift: i64| {
            let drifted = i128::from(now.saturating_sub(self.anchor)) * i128::from(drift) / MILLION;
            offset.saturating_add(i64::try_from(drifted).unwrap_or(i64::MAX))
        };
        Setting {
            anchor: now,
            monotonic_offset: ahead(self.monotonic_offset, self.monotonic_drift),
            real_offset: ahead(self.real_offset, self.real_drift),
            ..self
        }
    }

    fn bytes(self) -> Vec<u8> {
        let Setting { anchor, monotonic_offset, monotonic_drift, real_offset, real_drift } = self;
        let numbers = [anchor, monotonic_offset, monotonic_drift, real_offset, real_drift];
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }
}

/// The clocks of one server, as it sees them.
#[derive(Debug)]
pub struct ClockFile {
    path: PathBuf,
    file: File,
    now: Mutex<(u64, Setting)>,
}

impl ClockFile {
    /// Clocks that are right. Whatever stands in the file is replaced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> anyhow::Result<ClockFile> {
        let create = || -> io::Result<(PathBuf, File)> {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
            let mut bytes = vec![0; FILE_BYTES];
            if let Some(start) = bytes.get_mut(..8) {
                start.copy_from_slice(&MAGIC.to_ne_bytes());
            }
            file.write_all_at(&bytes, 0)?;
            Ok((path.canonicalize()?, file))
        };
        let (path, file) =
            create().with_context(|| format!("cannot create the clock's file {}", path.display()))?;
        Ok(ClockFile { path, file, now: Mutex::default() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The clock that people read jumps, back if `by_ms` is negative.
    ///
    /// # Errors
    /// When the file cannot be written, or the jump is longer than ten years.
    pub fn jump_real(&self, by_ms: i64) -> anyhow::Result<()> {
        ensure!(
            Duration::from_millis(by_ms.unsigned_abs()) <= FURTHEST,
            "a clock jumps by ten years at most"
        );
        let by = by_ms.saturating_mul(1_000_000);
        self.change(|setting| setting.real_offset = setting.real_offset.saturating_add(by))
    }

    /// The monotonic clock jumps forwards, as after a machine was suspended whose clock went on.
    ///
    /// # Errors
    /// When the file cannot be written, or the jump is longer than ten years.
    pub fn jump_monotonic(&self, by: Duration) -> anyhow::Result<()> {
        ensure!(by <= FURTHEST, "a clock jumps by ten years at most");
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.change(|setting| setting.monotonic_offset = setting.monotonic_offset.saturating_add(by))
    }

    /// All clocks go too fast by so many millionths from now on, or too slowly; neither jumps.
    ///
    /// # Errors
    /// When the file cannot be written, or the drift is out of range.
    pub fn drift(&self, ppm: i64) -> anyhow::Result<()> {
        ensure!(
            (SLOWEST_PPM..=FASTEST_PPM).contains(&ppm),
            "a drift lies between {SLOWEST_PPM} and {FASTEST_PPM} millionths, which {ppm} does not"
        );
        self.change(|setting| (setting.monotonic_drift, setting.real_drift) = (ppm, ppm))
    }

    /// The clocks go at their right pace, and the one that people read is set right. What a monotonic clock is ahead it stays.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_right(&self) -> anyhow::Result<()> {
        self.change(|setting| {
            (setting.monotonic_drift, setting.real_drift, setting.real_offset) = (0, 0, 0);
        })
    }

    /// How many times the server was told something else than the truth.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn altered(&self) -> anyhow::Result<u64> {
        let mut bytes = [0; 8];
        let read = self.file.read_exact_at(&mut bytes, ALTERED_AT);
        read.with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn change(&self, change: impl FnOnce(&mut Setting)) -> anyhow::Result<()> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let time = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let (turn, setting) = &mut *now;
        let mut next = setting.at(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        change(&mut next);
        // Readers look at the other one until the turn is counted.
        let place = SETTINGS_AT + (*turn + 1) % 2 * SETTING_BYTES;
        let write = || -> io::Result<()> {
            self.file.write_all_at(&next.bytes(), place)?;
            self.file.write_all_at(&(*turn + 1).to_ne_bytes(), TURN_AT)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))?;
        (*turn, *setting) = (*turn + 1, next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_drifted_stays_when_the_drift_ends_and_nothing_jumps_meanwhile() {
        let setting = Setting { monotonic_drift: 500_000, real_drift: -500_000, ..Setting::default() };
        let later = setting.at(4_000);
        assert_eq!((later.anchor, later.monotonic_offset, later.real_offset), (4_000, 2_000, -2_000));
        let still = Setting { monotonic_drift: 0, real_drift: 0, ..later }.at(9_000);
        assert_eq!((still.monotonic_offset, still.real_offset), (2_000, -2_000));
    }

    #[test]
    fn what_no_clock_does_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ClockFile::create(&folder.path().join("clock")).unwrap();
        assert!(clock.drift(-1_000_000).is_err(), "a clock that stands still");
        assert!(clock.jump_real(i64::MIN).is_err() && clock.jump_monotonic(Duration::MAX).is_err());
        assert_eq!(clock.altered().unwrap(), 0);
    }
}
