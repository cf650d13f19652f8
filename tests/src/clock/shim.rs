//! Finds the shim, building it when we run out of a checkout, and sees whether it does what it should.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, bail, ensure};

use super::{CONTROL, ClockFile, PRELOAD};

const PACKAGE: &str = "clock-shim";
const FILE: &str = "libclock_shim.so";
/// How far the trial's clock jumps, in milliseconds.
const TRIAL_JUMP_MS: i64 = 3_600_000;
/// How far off the trial may be, in seconds, for the time it takes.
const TRIAL_SLACK: u64 = 600;

/// The shim: freshly built when `cargo run` started us, or the one beside our own program, or one built in the checkout we
/// were compiled from. It is looked for once.
///
/// # Errors
/// When there is none, with what to do about it.
pub fn find_shim() -> anyhow::Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| look().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn look() -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(FILE)));
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    match beside.filter(|path| path.is_file()) {
        // Cargo sets this for the programs it runs: then the sources are at hand and what stands in `target` may be old.
        Some(beside) if std::env::var_os("CARGO_MANIFEST_DIR").is_none() => Ok(beside),
        _ if checkout.join("Cargo.toml").is_file() => build(checkout),
        Some(beside) => Ok(beside),
        None => bail!("no {FILE} beside this program: run `cargo build -p {PACKAGE}` and put it there"),
    }
}

fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(folder).args(["build", "--package", PACKAGE]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--message-format", "json-render-diagnostics"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("cannot run {} to build {PACKAGE}", cargo.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "building {PACKAGE} failed ({}):\n{said}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    built(&messages).with_context(|| format!("cargo did not say where it put {PACKAGE}"))
}

/// The library that Cargo's messages name.
fn built(messages: &str) -> Option<PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let files = artifacts.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    files.filter_map(|file| Some(PathBuf::from(file.as_str()?))).find(|path| path.ends_with(FILE))
}

/// Sees whether a program can be told a wrong time here: `date` is, and must believe it. It is tried once.
///
/// # Errors
/// What went wrong.
pub fn trial() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(|| attempt().map_err(|error| format!("{error:#}"))).clone()
}

fn attempt() -> anyhow::Result<()> {
    let shim = find_shim()?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let clock = ClockFile::create(&folder.path().join("clock"))?;
    clock.jump_real(TRIAL_JUMP_MS)?;
    let mut date = Command::new("date");
    date.arg("+%s").env(PRELOAD, &shim).env(CONTROL, clock.path()).stdin(Stdio::null());
    let output = date.output().context("cannot run date")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let told: u64 =
        said.parse().with_context(|| format!("date says {said:?} with {} preloaded", shim.display()))?;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().context("the clock is before 1970")?.as_secs();
    let expected = now + TRIAL_JUMP_MS.unsigned_abs() / 1_000;
    ensure!(
        told.abs_diff(expected) < TRIAL_SLACK,
        "{} is not preloaded: date was told {told}, not {expected}",
        shim.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_messages_name_the_library() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/liblibc.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/libclock_shim.so"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(built(messages), Some(PathBuf::from("/t/libclock_shim.so")));
        assert_eq!(built("not json"), None);
    }
}
