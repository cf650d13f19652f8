//! One server process: started, killed, stopped, continued, and never left behind.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};

use crate::schedule::NodeId;

/// How long to wait for the end of a process that was sent SIGKILL. Only a process stuck in the kernel takes so long.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait until a process that was sent SIGSTOP is seen stopped.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// The processes that are alive, as far as is known: for an end without destructors.
static ALIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Kills every server of this harness, also stopped ones. For an end in which no destructor runs; a closed standard input
/// alone would not end a server that is stopped.
pub fn kill_all() {
    for pid in ALIVE.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Ok(pid) = i32::try_from(*pid) {
            // One that has ended meanwhile needs no signal.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// How a server ended that was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was not running.
    NotRunning,
    /// It ended in time, with success.
    Clean,
    /// It ended in time, but not with success.
    Failed(String),
    /// It did not end in time and was killed.
    Killed,
}

/// A server's process, or the knowledge of how to start one.
#[derive(Debug)]
pub struct ServerProcess {
    id: NodeId,
    program: PathBuf,
    args: Vec<OsString>,
    /// A program with its arguments that becomes ours, given it as further arguments.
    entrance: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
    running: Option<Running>,
    fallen: Option<String>,
    /// Whether a fault is on that may make it end by itself.
    may_fall: bool,
    starts: u64,
    is_watched_over: bool,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Kills the server when we are gone, if it would not notice by itself.
    _watchdog: Option<Child>,
    /// The server ends when this closes (`--exit-on-stdin-close`), so that it does not outlive a harness that is killed.
    /// Should it be stopped at that moment, the kernel sends SIGHUP and SIGCONT to its orphaned process group.
    _lifeline: Option<ChildStdin>,
    stopped: bool,
    /// Its id while it was alive.
    pid: Option<u32>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its id may be a stranger's from here on.
        if let Some(pid) = self.pid {
            ALIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        }
    }
}

impl ServerProcess {
    /// A server that is not started yet.
    #[must_use]
    pub fn new(id: NodeId, program: PathBuf, args: Vec<OsString>, log: PathBuf) -> ServerProcess {
        let environment = Vec::new();
        ServerProcess {
            id,
            program,
            args,
            entrance: Vec::new(),
            environment,
            log,
            running: None,
            fallen: None,
            may_fall: false,
            starts: 0,
            is_watched_over: false,
        }
    }

    /// With one more variable in its environment.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> ServerProcess {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Started by another program, which becomes it: its process id stays the same.
    #[must_use]
    pub fn run_by(mut self, entrance: Vec<OsString>) -> ServerProcess {
        self.entrance = entrance;
        self
    }

    /// For a program that does not end when its standard input closes: whenever it runs, a second process waits for our
    /// end, and kills it then.
    pub fn watch_over(&mut self) {
        self.is_watched_over = true;
    }

    /// Starts the server if it is not running; says whether it did.
    ///
    /// # Errors
    /// When its log cannot be opened or the process not be started.
    pub fn start(&mut self) -> anyhow::Result<bool> {
        if self.running.is_some() && self.fallen()?.is_none() {
            return Ok(false);
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot open the log {}", self.log.display()))?;
        let mut command = match self.entrance.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.args).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        // A process group of its own: Ctrl-C at the terminal reaches the harness, which then ends the run in order.
        command.process_group(0).kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start server n{}: {}", self.id, self.program.display()))?;
        let lifeline = child.stdin.take();
        let pid = child.id();
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).extend(pid);
        let watchdog = match pid {
            Some(pid) if self.is_watched_over => Some(watchdog(pid)?),
            _ => None,
        };
        self.running = Some(Running { child, _watchdog: watchdog, _lifeline: lifeline, stopped: false, pid });
        self.fallen = None;
        self.starts += 1;
        Ok(true)
    }

    /// Kills the server with SIGKILL and waits until it is gone; says whether there was one.
    ///
    /// # Errors
    /// When the process could not be signalled or waited for.
    pub async fn kill(&mut self) -> anyhow::Result<bool> {
        self.kill_and(async {}).await
    }

    /// The same, with something that is done once the signal is sent and before the end is waited for. It is done also
    /// if there is nothing to kill.
    ///
    /// # Errors
    /// When the process could not be signalled or waited for.
    pub async fn kill_and(&mut self, meanwhile: impl Future<Output = ()>) -> anyhow::Result<bool> {
        let is_down = self.fallen()?.is_some();
        let Some(running) = self.running.as_mut().filter(|_| !is_down) else {
            meanwhile.await;
            return Ok(false);
        };
        running.child.start_kill().with_context(|| format!("cannot kill server n{}", self.id))?;
        meanwhile.await;
        let ended = tokio::time::timeout(KILL_PATIENCE, running.child.wait()).await;
        let status = ended.map_err(|_| anyhow!("server n{} survives SIGKILL", self.id))??;
        self.running = None;
        if status.signal() == Some(Signal::SIGKILL as i32) {
            return Ok(true);
        }
        // It was quicker, and ended by itself.
        self.note_end(status);
        Ok(false)
    }

    /// Stops the process with SIGSTOP and sees it stopped; says whether that was so.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub async fn pause(&mut self) -> anyhow::Result<bool> {
        let Some(pid) = self.signal(Signal::SIGSTOP)? else { return Ok(false) };
        if let Some(running) = &mut self.running {
            running.stopped = true;
        }
        let deadline = tokio::time::Instant::now() + STOP_PATIENCE;
        while !is_stopped(pid) {
            if tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(true)
    }

    /// Continues a stopped process; says whether there was one.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub fn resume(&mut self) -> anyhow::Result<bool> {
        match &mut self.running {
            Some(running) if running.stopped => running.stopped = false,
            _ => return Ok(false),
        }
        Ok(self.signal(Signal::SIGCONT)?.is_some())
    }

    /// Asks the server to end with SIGTERM; kills it when it takes longer than `patience`.
    ///
    /// # Errors
    /// When the process could not be signalled or waited for.
    pub async fn stop(&mut self, patience: Duration) -> anyhow::Result<Exit> {
        self.resume()?;
        if self.signal(Signal::SIGTERM)?.is_none() {
            return Ok(Exit::NotRunning);
        }
        let Some(running) = &mut self.running else { return Ok(Exit::NotRunning) };
        let exit = match tokio::time::timeout(patience, running.child.wait()).await {
            Ok(status) => match status? {
                status if status.success() => Exit::Clean,
                status => Exit::Failed(status.to_string()),
            },
            Err(_) => {
                self.kill().await?;
                Exit::Killed
            }
        };
        self.running = None;
        Ok(exit)
    }

    /// How the server ended, if it ended by itself since it was last started.
    ///
    /// # Errors
    /// When the process could not be asked.
    pub fn fallen(&mut self) -> anyhow::Result<Option<String>> {
        if let Some(running) = &mut self.running
            && let Some(status) =
                running.child.try_wait().with_context(|| format!("cannot ask for server n{}", self.id))?
        {
            self.running = None;
            self.note_end(status);
        }
        Ok(self.fallen.clone())
    }

    fn note_end(&mut self, status: std::process::ExitStatus) {
        if !self.may_fall {
            self.fallen = Some(status.to_string());
        }
    }

    /// Says whether a fault is on under which the server is right to end by itself (no memory, damaged files): then that is
    /// no fall, and it is started again as if it had been killed.
    ///
    /// # Errors
    /// When the process could not be asked whether it had fallen before.
    pub fn let_fall(&mut self, may_fall: bool) -> anyhow::Result<()> {
        self.fallen()?;
        self.may_fall = may_fall;
        Ok(())
    }

    /// The program that is started next.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Another build, from the next start on.
    pub fn set_program(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// The process's id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| running.child.id())
    }

    /// How often the server was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Signals the process if it is alive. A process that has ended but was not waited for keeps its id, so the signal
    /// cannot reach a stranger.
    fn signal(&mut self, signal: Signal) -> anyhow::Result<Option<Pid>> {
        if self.fallen()?.is_some() {
            return Ok(None);
        }
        let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw) else {
            return Ok(None);
        };
        kill(pid, signal).with_context(|| format!("cannot send {signal} to server n{}", self.id))?;
        Ok(Some(pid))
    }
}

/// A process that kills another one when its standard input closes: when we are gone. It is killed itself, and so does
/// nothing, when the other one's end was seen.
fn watchdog(pid: u32) -> anyhow::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read gone; exec kill -9 \"$0\"", &pid.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    command.spawn().context("cannot start the watchdog of a server: is there no /bin/sh?")
}

/// Whether the kernel says that the process is stopped. Where there is no `/proc` the signal's success must do.
fn is_stopped(pid: Pid) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the command's name, which may itself contain spaces and brackets.
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')),
        Err(_) => !cfg!(target_os = "linux"),
    }
}

#[cfg(test)]
mod tests;
