//! What the end-to-end suites share: the server's program, the command line, and a look at what processes are left.
#![allow(dead_code, reason = "each suite uses its own part")]

pub(crate) mod browser;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The umbrella binary.
pub(crate) const PLUMBLINE: &str = env!("CARGO_BIN_EXE_plumbline");

/// The `kv-server` of this checkout, built once per suite in the profile of the tests (Cargo's own lock keeps suites that
/// run at the same time apart).
pub(crate) fn server() -> &'static Path {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| plumbline::program::build(Path::new(env!("CARGO_MANIFEST_DIR")), &[]).unwrap())
}

/// The same with the seeded bugs compiled in, in a target folder of its own, so that it is never taken for the real one.
pub(crate) fn server_with_mutants() -> &'static Path {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let target = target.to_str().expect("a path that is text");
        let more = ["--features", "mutants", "--target-dir", target];
        plumbline::program::build(Path::new(env!("CARGO_MANIFEST_DIR")), &more).unwrap()
    })
}

/// `plumbline` with the seeded bugs compiled in, beside that server: it can replay the traces of a core with one.
pub(crate) fn harness_with_mutants() -> &'static Path {
    static HARNESS: OnceLock<PathBuf> = OnceLock::new();
    HARNESS.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let target = target.to_str().expect("a path that is text");
        let more = ["--features", "mutants", "--target-dir", target, "--bin", "plumbline"];
        let server = plumbline::program::build(Path::new(env!("CARGO_MANIFEST_DIR")), &more).unwrap();
        server.with_file_name("plumbline")
    })
}

/// Runs `plumbline` to its end.
pub(crate) fn plumbline(args: &[&str]) -> Output {
    Command::new(PLUMBLINE).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs `plumbline` with a server, results going to `store`.
pub(crate) fn run_with(server: &Path, store: &Path, args: &[&str]) -> Output {
    let (server, store) = (server.to_str().unwrap(), store.to_str().unwrap());
    plumbline(&[&["run", "--server", server, "--store", store], args].concat())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one JSON object on standard output, and nothing else.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|fault| panic!("not one object ({fault}):\n{out}\n{error}"))
}

/// Processes whose command line names this folder: the servers of runs whose store it is.
pub(crate) fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap().to_owned();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let servers = entries.filter_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains("--data-dir") && line.contains(&folder)).then(|| format!("{id} {line}"))
    });
    servers.collect()
}

/// Waits for a condition.
pub(crate) fn until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
