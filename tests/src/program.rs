//! Finds the server's program, building it when we run out of a checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The server's package and binary.
const SERVER: &str = "kv-server";

/// The `kv-server` to put under test: the one named, or one freshly built when `cargo run` started us, or the one beside
/// our own program, or one built in the checkout we were compiled from.
///
/// # Errors
/// When there is none, with what to do about it.
pub fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        let path = path.canonicalize().with_context(|| format!("no server program at {}", path.display()))?;
        if !path.is_file() {
            bail!("{} is not a program", path.display());
        }
        return Ok(path);
    }
    // Cargo sets this for the programs it runs: then the sources are at hand and what stands in `target` may be old.
    if let Some(package) = std::env::var_os("CARGO_MANIFEST_DIR") {
        return build(Path::new(&package), &[]);
    }
    if let Some(beside) = beside_us().filter(|path| path.is_file()) {
        return Ok(beside);
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    if checkout.join("Cargo.toml").is_file() {
        return build(checkout, &[]);
    }
    bail!("no {SERVER} beside this program: name one with --server PATH, or run `cargo build -p {SERVER}`")
}

/// Builds the server with Cargo, in the profile we were built in ourselves, and returns the program's path.
///
/// # Errors
/// When Cargo cannot be run, or fails.
pub fn build(folder: &Path, more: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(folder).arg("build");
    // Our own package is named, too, so that what both depend on is built with the features it was built with for us.
    command.args(["--package", env!("CARGO_PKG_NAME"), "--package", SERVER, "--bin", SERVER]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(more).args(["--message-format", "json-render-diagnostics"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {} to build {SERVER}", cargo.display()))?;
    if !output.status.success() {
        bail!("building {SERVER} failed ({}): see above", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    built(&messages).with_context(|| format!("cargo did not say where it put {SERVER}"))
}

/// The executable that Cargo's messages name.
fn built(messages: &str) -> Option<PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let ours = artifacts.filter(|message| {
        message.get("reason").is_some_and(|reason| reason == "compiler-artifact")
            && message.pointer("/target/name").is_some_and(|name| name == SERVER)
    });
    ours.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).next_back()
}

fn beside_us() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(SERVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_messages_name_the_program() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"bytes"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"kv-server"},"executable":"/t/kv-server"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(built(messages), Some(PathBuf::from("/t/kv-server")));
        assert_eq!(built("not json"), None);
    }

    #[test]
    fn a_server_that_is_not_there_is_refused_by_name() {
        let error = find(Some(Path::new("no/such/server"))).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/server"));
    }
}
