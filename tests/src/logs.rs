//! Reads the servers' logs for what a client cannot see: a panic, a node that halted itself, storage it refused.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// At most so many lines are quoted of one log.
const MAX_QUOTED: usize = 5;
/// At most so much of a line is quoted.
const MAX_LINE: usize = 400;
/// At most so much of a log is read; a log beyond it is itself worth a remark.
const MAX_LOG_BYTES: u64 = 1 << 30;

/// The lines of a log that hold one of these words (in lower case), by which the system under test confesses something, with
/// their numbers; no log, no lines. What begins within an `excused` range of the file's bytes does not count.
#[must_use]
pub fn confessions(log: &Path, words: &[&str], excused: &[Range<u64>]) -> Vec<String> {
    let Ok(file) = File::open(log) else { return Vec::new() };
    let lines = BufReader::new(file.take(MAX_LOG_BYTES)).split(b'\n').map_while(Result::ok);
    let mut next = 0;
    let suspicious = lines.enumerate().filter_map(|(number, line)| {
        let begin = next;
        next += line.len() as u64 + 1;
        if excused.iter().any(|range| range.contains(&begin)) {
            return None;
        }
        let line = String::from_utf8_lossy(&line);
        let lower = line.to_lowercase();
        let short: String = line.chars().take(MAX_LINE).collect();
        words.iter().any(|word| lower.contains(word)).then(|| format!("line {}: {short}", number + 1))
    });
    suspicious.take(MAX_QUOTED).collect()
}

/// How long a log is by now, in bytes; no log, no bytes.
#[must_use]
pub fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// Whether a log says this anywhere after its first `from` bytes.
#[must_use]
pub fn says_since(log: &Path, from: u64, what: &str) -> bool {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(MAX_LOG_BYTES).read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).contains(what))
    };
    read().unwrap_or(false)
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

    const WORDS: &[&str] = &["panicked at", "corrupt"];

    #[test]
    fn a_panic_in_a_log_is_found_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        std::fs::write(&log, "INFO listening\nthread 'main' panicked at src/x.rs:1:2:\nINFO done\n").unwrap();
        let found = confessions(&log, WORDS, &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("line 2: "), "{found:?}");
        assert_eq!(tail(&log, 1), ["INFO done"]);
        assert!(confessions(&folder.path().join("none"), WORDS, &[]).is_empty());
    }

    #[test]
    fn what_a_server_confesses_under_an_excuse_does_not_count_and_the_rest_does() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        let (before, under, after) =
            ("INFO fine\n", "ERROR a file is corrupt\n", "ERROR it is corrupt again\n");
        std::fs::write(&log, [before, under, after].concat()).unwrap();
        let excuse = before.len() as u64..(before.len() + under.len()) as u64;
        let found = confessions(&log, WORDS, std::slice::from_ref(&excuse));
        assert_eq!(found, ["line 3: ERROR it is corrupt again"]);
        assert_eq!(confessions(&log, WORDS, &[]).len(), 2);
        assert!(says_since(&log, 0, "INFO fine") && !says_since(&log, excuse.start, "INFO fine"));
        assert_eq!(length(&log), excuse.end + after.len() as u64);
    }
}
