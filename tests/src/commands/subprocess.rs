//! Other programs, run to their end or until their time is over.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

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

/// How a program came to its end.
pub(super) enum Ended {
    /// By itself.
    Finished(Finished),
    /// It had to be ended for want of time.
    OutOfTime,
    /// It had to be ended for want of memory.
    OutOfMemory,
}

/// Runs a program to its end; `None` if it had to be ended for want of time.
pub(super) fn finish(command: Command, limit: Duration) -> std::io::Result<Option<Finished>> {
    Ok(match finish_within(command, limit, None)? {
        Ended::Finished(finished) => Some(finished),
        Ended::OutOfTime | Ended::OutOfMemory => None,
    })
}

/// Runs a program to its end, or until it holds more than so many bytes (looked at a hundred times a second, of this process
/// alone and not of those that it starts).
pub(super) fn finish_within(
    mut command: Command,
    limit: Duration,
    memory: Option<u64>,
) -> std::io::Result<Ended> {
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
    let child_id = child.id();
    let (ended, wait) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more if the time is over.
        let _ = ended.send(());
        status
    });
    let over = watch(&wait, child_id, limit, memory);
    if over.is_some() && group > 0 {
        let _ =
            nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
    }
    let status = waiter.join().map_err(|_| std::io::Error::other("the waiting thread has ended"))??;
    let [stdout, stderr] = [stdout, stderr].map(|text| text.join().unwrap_or_default());
    Ok(over.unwrap_or(Ended::Finished(Finished { code: status.code(), stdout, stderr })))
}

/// Waits for the end of that process; says why, if it must be ended.
fn watch(wait: &mpsc::Receiver<()>, process: u32, limit: Duration, memory: Option<u64>) -> Option<Ended> {
    /// Between two looks at its memory.
    const PAUSE: Duration = Duration::from_millis(10);
    let began = Instant::now();
    loop {
        let left = limit.saturating_sub(began.elapsed());
        let pause = if memory.is_some() { left.min(PAUSE) } else { left };
        match wait.recv_timeout(pause) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        }
        if began.elapsed() >= limit {
            return Some(Ended::OutOfTime);
        }
        if memory.is_some_and(|memory| resident(process) > memory) {
            return Some(Ended::OutOfMemory);
        }
    }
}

/// What a process holds in memory, in bytes; 0 where that is not told.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The most that is read of what a program prints, in bytes.
const MOST_OUTPUT: u64 = 64 << 20;

/// The end of what a program had to say.
pub(super) fn tail(text: &str) -> String {
    last_lines(text, 15)
}

/// So many lines, the last ones.
pub(super) fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(most)..).unwrap_or_default().join("\n")
}
