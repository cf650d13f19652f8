//! Other programs, run to their end or until their time is over.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A path as one word for the shell.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// What a program printed, and how it ended.
pub(super) struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs a program to its end; `None` if it had to be ended for want of time.
pub(super) fn finish(mut command: Command, limit: Duration) -> std::io::Result<Option<Finished>> {
    use std::os::unix::process::CommandExt as _;
    // A group of its own, so that what the shell has started ends with it.
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                // What has come by the time of an error is what there is.
                let _ = std::io::Read::read_to_end(&mut std::io::Read::take(pipe, MOST_OUTPUT), &mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let group = i32::try_from(child.id()).unwrap_or(0);
    let (ended, wait) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more if the time is over.
        let _ = ended.send(());
        status
    });
    let in_time = wait.recv_timeout(limit).is_ok();
    if !in_time && group > 0 {
        let _ =
            nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
    }
    let status = waiter.join().map_err(|_| std::io::Error::other("the waiting thread has ended"))??;
    let [stdout, stderr] = [stdout, stderr].map(|text| text.join().unwrap_or_default());
    Ok(in_time.then(|| Finished { code: status.code(), stdout, stderr }))
}

/// The most that is read of what a program prints, in bytes.
const MOST_OUTPUT: u64 = 64 << 20;

/// The end of what a program had to say.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
