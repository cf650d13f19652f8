//! The programs that change the kernel's mind: `ip` and `nft`.

use std::fmt;
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Ip,
    Nft,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Ip => "ip",
            Tool::Nft => "nft",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the program can be started at all.
pub(super) fn is_there(tool: Tool) -> bool {
    let mut command = std::process::Command::new(tool.name());
    command.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Runs the program with `input`, and gives what it prints.
pub(super) async fn run(tool: Tool, args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(tool.name());
    command.args(args);
    finish(command, tool, args, input).await
}

/// The same in a namespace.
pub(super) async fn inside(name: &str, tool: Tool, args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(Tool::Ip.name());
    command.args(["netns", "exec", name, tool.name()]).args(args);
    finish(command, tool, args, input).await
}

/// Runs the program where nothing can be waited for asynchronously, and nothing be done about a failure.
pub(super) fn run_now(tool: Tool, args: &[&str]) {
    let mut command = std::process::Command::new(tool.name());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.status();
}

async fn finish(mut command: Command, tool: Tool, args: &[&str], input: &str) -> anyhow::Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start `{tool}`"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why on its standard error.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.with_context(|| format!("cannot wait for `{tool}`"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("`{tool} {}` failed ({}): {}", args.join(" "), output.status, why.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{tool}` does not print UTF-8"))
}
