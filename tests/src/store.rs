//! The results folder: one per run, explaining itself, with `latest` beside it.
//!
//! ```text
//!    store/
//!      latest -> kv/20260102T030405.678Z          the last run of any test
//!      kv/
//!        latest -> 20260102T030405.678Z           the last run of this test
//!        20260102T030405.678Z/
//!          schedule.json   the plan of the faults, made from the seed before the run
//!          history.jsonl   every operation, one event per line        } the same events
//!          history.edn     the same as Jepsen writes it               }
//!          results.json    the verdict and everything that led to it
//!          verdict.txt     the verdict as the terminal showed it
//!          nodes/n1/       server.log, data/ and core.trace of each server
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde::Serialize;

/// The file of a run's results.
pub const RESULTS: &str = "results.json";
/// The file of a run's schedule.
pub const SCHEDULE: &str = "schedule.json";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Makes a new folder for a run of `test` that starts now, and points both `latest` links at it.
    ///
    /// # Errors
    /// When the folder cannot be written to, or the name is not fit for a folder.
    pub fn create(store: &Path, test: &str) -> anyhow::Result<RunFolder> {
        RunFolder::create_at(store, test, SystemTime::now())
    }

    fn create_at(store: &Path, test: &str, mut now: SystemTime) -> anyhow::Result<RunFolder> {
        if !is_name(test) {
            bail!("{test:?} is not fit for a folder's name: use letters, digits, '-', '_' and '.'");
        }
        let family = store.join(test);
        std::fs::create_dir_all(&family).with_context(|| format!("cannot create {}", family.display()))?;
        let (stamp, root) = loop {
            let stamp = timestamp(now);
            let root = family.join(&stamp);
            match std::fs::create_dir(&root) {
                Ok(()) => break (stamp, root),
                // Another run began in this very millisecond.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => now += Duration::from_millis(1),
                Err(error) => return Err(error).with_context(|| format!("cannot create {}", root.display())),
            }
        };
        point(&family.join("latest"), Path::new(&stamp))?;
        point(&store.join("latest"), &Path::new(test).join(&stamp))?;
        Ok(RunFolder { root })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the servers' data and logs.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// The history as JSON lines.
    #[must_use]
    pub fn history_jsonl(&self) -> PathBuf {
        self.root.join("history.jsonl")
    }

    /// The history as EDN.
    #[must_use]
    pub fn history_edn(&self) -> PathBuf {
        self.root.join("history.edn")
    }

    /// What watchers were told.
    #[must_use]
    pub fn watches(&self) -> PathBuf {
        self.root.join("watches.jsonl")
    }

    /// Writes a value as a JSON file of the run and returns its path.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<PathBuf> {
        let mut text =
            serde_json::to_string_pretty(value).with_context(|| format!("cannot encode {name}"))?;
        text.push('\n');
        self.write_text(name, &text)
    }

    /// Writes a text file of the run and returns its path.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// Whether a test's name can be a folder's.
#[must_use]
pub fn is_name(test: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !test.is_empty()
        && test.len() <= 100
        && test.chars().all(plain)
        && !test.starts_with('.')
        && test != "latest"
}

/// Points a symbolic link at a target, in one step: whoever looks finds the old target or the new one.
fn point(link: &Path, target: &Path) -> anyhow::Result<()> {
    match std::fs::symlink_metadata(link) {
        Ok(found) if !found.is_symlink() => {
            bail!("{} is in the way: it should be a symbolic link to the last run", link.display())
        }
        _ => {}
    }
    let fresh = link.with_file_name(format!(".latest-{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)
        .and_then(|()| std::fs::rename(&fresh, link))
        .with_context(|| format!("cannot point {} at the new run", link.display()))
}

/// UTC in ISO 8601's basic form with milliseconds, so that names sort by time and need no quoting.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{:02}.{:03}Z",
        second % 60,
        since.subsec_millis()
    )
}

/// The date of a day counted from 1 January 1970 (Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`, for days not before the epoch): years begin in March, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_named_in_utc() {
        for (seconds, name) in [
            (0, "19700101T000000.000Z"),
            (951_782_400, "20000229T000000.000Z"),
            (1_709_251_199, "20240229T235959.000Z"),
            (1_735_689_599, "20241231T235959.000Z"),
            (4_107_542_400, "21000301T000000.000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), name);
        }
    }

    #[test]
    fn a_run_gets_its_own_folder_and_latest_points_at_the_last() {
        let store = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let one = RunFolder::create_at(store.path(), "kv", now).unwrap();
        let two = RunFolder::create_at(store.path(), "kv", now).unwrap();
        let other = RunFolder::create_at(store.path(), "other", now).unwrap();
        assert_ne!(one.root(), two.root());
        let real = |path: PathBuf| path.canonicalize().unwrap();
        assert_eq!(real(store.path().join("kv/latest")), real(two.root().to_owned()));
        assert_eq!(real(store.path().join("latest")), real(other.root().to_owned()));
        two.write_json("results.json", &serde_json::json!({ "valid": true })).unwrap();
        assert!(store.path().join("kv/latest/results.json").exists());
        let left: Vec<_> = std::fs::read_dir(store.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "nothing but the tests and the link: {left:?}");
    }

    #[test]
    fn a_name_that_would_leave_the_store_is_refused() {
        let store = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", "latest", ".hidden", "a b"] {
            assert!(RunFolder::create(store.path(), name).is_err(), "{name:?}");
        }
        std::fs::create_dir_all(store.path().join("kv/latest")).unwrap();
        let error = RunFolder::create(store.path(), "kv").unwrap_err().to_string();
        assert!(error.contains("in the way"), "{error}");
    }
}
