//! Which test shows which behaviour: the table in `BEHAVIOURS.md`, made from the names of the tests. It is part of the crate's
//! documentation, and this test fails where it is not true any more; `BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The behaviours of a complete core.
const BEHAVIOURS: &[(&str, &str)] = &[
    ("A01", "higher term adopted"),
    ("A02", "stale term message ignored"),
    ("A03", "stale leader nudged"),
    ("A04", "starts as follower"),
    ("A05", "leader heartbeats each interval"),
    ("A06", "legal role transitions only"),
    ("A07", "same term append demotes candidate"),
    ("A08", "same term stepdown keeps vote"),
    ("A09", "two leaders one term detected"),
    ("A10", "hard state unchanged no write"),
    ("A11", "commit index is not required durable"),
    ("A12", "unknown sender and wrong recipient"),
    ("B01", "timeout starts election"),
    ("B02", "election outcome table"),
    ("B03", "one vote per term first come"),
    ("B04", "vote needs up to date log"),
    ("B05", "voted state survives restart"),
    ("B06", "randomized timeout range"),
    ("B07", "timeouts rarely collide"),
    ("B08", "duelling candidates converge"),
    ("B09", "candidate concedes and catches up"),
    ("B10", "single voter elects itself"),
    ("B11", "self vote counted after durable"),
    ("B14", "leader ignores campaign"),
    ("B16", "learner never campaigns"),
    ("B18", "vote while installing snapshot"),
    ("B19", "even split resolves"),
    ("B20", "priority respects log"),
    ("B21", "old vote responses ignored"),
    ("B22", "election timer reset rules"),
    ("C01", "pre vote no term bump"),
    ("C03", "pre vote refused when behind"),
    ("C04", "pre vote quorum then real vote"),
    ("C05", "pre vote split vote recovers"),
    ("C07", "pre candidate forgets leader"),
    ("C08", "check quorum steps down"),
    ("C09", "check quorum keeps active leader"),
    ("C12", "stuck candidate freed"),
    ("C13", "superseding after lease"),
    ("C14", "disruptive follower"),
    ("C15", "forget leader"),
    ("C16", "toggling check quorum live"),
    ("D01", "append commit apply happy path"),
    ("D02", "ack quorum table"),
    ("D03", "commits preceding terms"),
    ("D05", "noop on election"),
    ("D06", "append consistency check"),
    ("D07", "follower append table"),
    ("D08", "sync divergent followers"),
    ("D12", "reject hint beyond last"),
    ("D13", "heartbeat commit advances follower"),
    ("D16", "lagging commit delivery"),
    ("D17", "lost append recovered by heartbeat"),
    ("D18", "lost ack recovered"),
    ("D19", "empty append still checks"),
    ("D20", "messages own their data"),
    ("D21", "old leader entries discarded"),
    ("D22", "commit never decreases"),
    ("D23", "apply never repeats or skips"),
    ("D24", "vote traffic can carry commit"),
    ("E01", "probe one at a time"),
    ("E02", "probe to replicate on ack"),
    ("E03", "replicate optimistic next"),
    ("E04", "unreachable report to probe"),
    ("E06", "inflight window table"),
    ("E07", "inflight bytes allow one oversized"),
    ("E08", "max append size"),
    ("E09", "append coalescing"),
    ("E10", "commit only messages suppressible"),
    ("E12", "committed batch limits"),
    ("E14", "removed peer window freed"),
    ("E15", "async entry fetch"),
    ("E16", "slow follower does not slow quorum"),
    ("F01", "snapshot when prefix compacted"),
    ("F02", "paused while snapshot pending"),
    ("F03", "snapshot failure to probe"),
    ("F04", "snapshot success to probe"),
    ("F05", "pending aborted by higher ack"),
    ("F08", "snapshot installs config"),
    ("F09", "snapshot on removed or absent member"),
    ("F10", "candidate receives snapshot"),
    ("F11", "snapshot temporarily unavailable"),
    ("F12", "follower requests snapshot"),
    ("F13", "chunk loss dup reorder"),
    ("F14", "snapshot superseded mid transfer"),
    ("F15", "crash during install"),
    ("F16", "compaction bounds"),
    ("F17", "config survives two compactions"),
    ("F18", "snapshot and log race"),
    ("G01", "simple add or remove"),
    ("G02", "one pending change"),
    ("G06", "joint auto and explicit leave"),
    ("G07", "learners next"),
    ("G08", "idempotent leave"),
    ("G09", "quorum math randomised"),
    ("G10", "confchange chain equivalence"),
    ("G13", "added node not instantly suspect"),
    ("G14", "learner catches up and promotes"),
    ("G15", "removed node cannot disrupt"),
    ("G16", "removed peer gets final notice"),
    ("G17", "last voter protected"),
    ("G18", "two node shrink hazard"),
    ("G19", "restart restores config"),
    ("G20", "node id reuse"),
    ("R01", "read index quorum"),
    ("R02", "reads batched"),
    ("R05", "follower forwarded read"),
    ("R06", "read pending cleared on stepdown"),
    ("R07", "learner may request"),
    ("R08", "single voter immediate"),
    ("R09", "read after leader change linearizable"),
    ("R10", "lease counted from the asking, by the worst clocks"),
    ("R11", "lease needs check quorum"),
    ("R12", "quorum size change while pending"),
    ("J01", "to caught up node"),
    ("J02", "to lagging node"),
    ("J03", "from follower"),
    ("J05", "timeout now at non member"),
    ("J06", "transferred"),
    ("J07", "lease"),
    ("J08", "target"),
    ("K01", "responses after durable"),
    ("K02", "leader appends before own fsync"),
    ("K05", "ack order tolerance"),
    ("K06", "term durable before its entries"),
    ("K07", "truncate+append"),
    ("K08", "snapshot then entries"),
    ("K09", "io error is fatal and typed"),
    ("K10", "restart from any crash point"),
    ("K11", "restart with applied ahead of commit"),
    ("K12", "restart with commit past log"),
    ("K13", "prior incarnation acks ignored"),
    ("K14", "persistence pipelining depth"),
    ("M01", "forwarded"),
    ("M02", "dropped"),
    ("M03", "aborts"),
    ("M04", "stale forward"),
    ("M05", "session"),
    ("M06", "session"),
    ("M07", "concurrent"),
    ("M08", "result"),
    ("M09", "batch"),
    ("M10", "empty"),
    ("N01", "random messages never panic"),
    ("N02", "corrupt tail"),
    ("N03", "faulty"),
    ("N04", "leader"),
    ("N05", "majority"),
    ("N06", "misdirected or torn or latent"),
    ("N07", "unsafe recover"),
    ("N08", "clock"),
    ("N09", "determinism"),
    ("N10", "serde"),
];

/// Those that no test of the core shows, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("D24", "Optional, and left out: vote traffic does not carry the commit index."),
    ("M05", "The server: sessions are its state machine's (`kv-server`)."),
    ("M06", "The server: sessions are its state machine's (`kv-server`)."),
    ("M07", "The server: sessions are its state machine's (`kv-server`)."),
    ("M08", "The server: sessions are its state machine's (`kv-server`)."),
    ("N06", "Storage: see `kv-server`, `wal_crash`."),
];

#[test]
fn every_behaviour_has_a_test_that_bears_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = tests_by_behaviour(root);
    let unknown: Vec<_> =
        tests.keys().filter(|id| !BEHAVIOURS.iter().any(|(known, _)| known == id)).collect();
    assert!(unknown.is_empty(), "tests of behaviours that nobody has described: {unknown:?}");
    let unshown = BEHAVIOURS.iter().filter(|(id, _)| !tests.contains_key(*id));
    let unexplained: Vec<_> =
        unshown.filter(|(id, _)| !ELSEWHERE.iter().any(|(known, _)| known == id)).collect();
    assert!(unexplained.is_empty(), "no test bears the names of {unexplained:?}");
    let shown: Vec<_> = ELSEWHERE.iter().filter(|(id, _)| tests.contains_key(*id)).collect();
    assert!(shown.is_empty(), "shown here after all: {shown:?}");

    let page = root.join("BEHAVIOURS.md");
    let table = table(&tests);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, &table).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(written == table, "BEHAVIOURS.md is out of date: BLESS=1 cargo test -p raft-core behaviours");
}

fn table(tests: &BTreeMap<String, Vec<String>>) -> String {
    let mut table = String::from("| Behaviour | Shown by |\n|---|---|\n");
    for (id, title) in BEHAVIOURS {
        let by = match tests.get(*id) {
            Some(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join("<br>"),
            None => {
                ELSEWHERE.iter().filter(|(known, _)| known == id).map(|(_, why)| (*why).to_owned()).collect()
            }
        };
        writeln!(table, "| {id} {title} | {by} |").unwrap();
    }
    table
}

/// The names of all tests that begin with behaviours, `e01_e02_probing_...` for two.
fn tests_by_behaviour(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(&root.join(folder), &mut files);
    }
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")?.split_once('('));
        for (name, _) in names {
            for id in name.split('_').map_while(behaviour) {
                tests.entry(id).or_default().push(name.to_owned());
            }
        }
    }
    tests
}

/// `f13` is F13; anything else is none.
fn behaviour(word: &str) -> Option<String> {
    let (letter, digits) = word.split_at_checked(1)?;
    let is_one = letter.chars().all(|c| c.is_ascii_lowercase()) && digits.len() == 2;
    (is_one && digits.chars().all(|c| c.is_ascii_digit())).then(|| word.to_uppercase())
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
