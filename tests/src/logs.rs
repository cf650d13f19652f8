//! Reads the servers' logs for what a client cannot see: a panic, a node that halted itself, storage it refused.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// At most so many lines are quoted of one log.
const MAX_QUOTED: usize = 5;
/// At most so much of a line is quoted.
const MAX_LINE: usize = 400;
/// At most so much of a log is read; a log beyond it is itself worth a remark.
const MAX_LOG_BYTES: u64 = 1 << 30;

/// The lines of a log that hold one of these words (in lower case), by which the system under test confesses something, with
/// their numbers; no log, no lines.
#[must_use]
pub fn confessions(log: &Path, words: &[&str]) -> Vec<String> {
    let Ok(file) = File::open(log) else { return Vec::new() };
    let lines = BufReader::new(file.take(MAX_LOG_BYTES)).split(b'\n').map_while(Result::ok);
    let suspicious = lines.enumerate().filter_map(|(number, line)| {
        let line = String::from_utf8_lossy(&line);
        let lower = line.to_lowercase();
        let short: String = line.chars().take(MAX_LINE).collect();
        words.iter().any(|word| lower.contains(word)).then(|| format!("line {}: {short}", number + 1))
    });
    suspicious.take(MAX_QUOTED).collect()
}

/// The last lines of a log.
#[must_use]
pub fn tail(log: &Path, count: usize) -> Vec<String> {
    let Ok(bytes) = std::fs::read(log) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(count);
    lines.iter().skip(from).map(|line| line.chars().take(MAX_LINE).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_log_is_found_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        std::fs::write(&log, "INFO listening\nthread 'main' panicked at src/x.rs:1:2:\nINFO done\n").unwrap();
        let found = confessions(&log, &["panicked at"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("line 2: "), "{found:?}");
        assert_eq!(tail(&log, 1), ["INFO done"]);
        assert!(confessions(&folder.path().join("none"), &["panicked at"]).is_empty());
    }
}
