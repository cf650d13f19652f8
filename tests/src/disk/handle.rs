//! The harness's hand on a fault disk, which is a process of its own: it is unmounted also if the harness is killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::control::{Answer, Request};
use super::faults::{DiskCounts, DiskFaults, Loss};
use super::mounts;

/// How long the disk may take for an answer; a crash with many files takes milliseconds.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to unmount and end.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// How often its end is looked for.
const END_TICK: Duration = Duration::from_millis(2);

/// Where a fault disk is, and what decides its draws.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// The `plumbline` program.
    pub program: PathBuf,
    /// The folder that holds what is durable. It is made if need be, and may already hold files.
    pub backing: PathBuf,
    /// Where the disk shows. It is made if need be.
    pub mountpoint: PathBuf,
    /// Decides which writes fail, which bits flip and what a crash spares.
    pub seed: u64,
}

/// A mounted fault disk. Dropping it unmounts it.
#[derive(Debug)]
pub struct FaultDisk {
    mountpoint: PathBuf,
    backing: PathBuf,
    child: Child,
    faults: Mutex<DiskFaults>,
    pipes: Mutex<Option<Pipes>>,
}

#[derive(Debug)]
struct Pipes {
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl FaultDisk {
    /// Mounts a disk, having taken away what an earlier one may have left at the same place.
    ///
    /// # Errors
    /// When it cannot be mounted, with the reason.
    pub async fn mount(options: &DiskOptions) -> anyhow::Result<FaultDisk> {
        let DiskOptions { program, backing, mountpoint, seed } = options;
        mounts::sweep();
        for folder in [backing, mountpoint] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let mountpoint = mountpoint.canonicalize()?;
        let mut command = Command::new(program);
        command.arg("fault-fs").arg(backing).arg(&mountpoint).args(["--seed", &seed.to_string()]);
        // In a process group of its own: Ctrl-C at the terminal reaches the harness, which then ends the run in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut child = started.with_context(|| format!("cannot start {} fault-fs", program.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let pipes = pipes.map(|(commands, answers)| Pipes { commands, answers: BufReader::new(answers) });
        let disk = FaultDisk {
            mountpoint,
            backing: backing.clone(),
            child,
            faults: Mutex::default(),
            pipes: Mutex::new(pipes),
        };
        let mut pipes = disk.pipes.lock().await;
        let pipes_now = pipes.as_mut().context("the fault disk has no pipes")?;
        hear(pipes_now).await.with_context(|| {
            format!("the fault disk at {} did not start: see above", disk.mountpoint.display())
        })?;
        drop(pipes);
        Ok(disk)
    }

    /// Where the disk shows.
    #[must_use]
    pub fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    /// The folder that holds what is durable.
    #[must_use]
    pub fn backing(&self) -> &Path {
        &self.backing
    }

    /// The process that is the disk.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sets what is wrong with the disk from now on.
    ///
    /// # Errors
    /// When the disk does not answer.
    pub async fn set(&self, faults: DiskFaults) -> anyhow::Result<DiskCounts> {
        self.change(|now| *now = faults).await
    }

    /// Changes a part of what is wrong with the disk.
    ///
    /// # Errors
    /// When the disk does not answer.
    pub async fn change(&self, change: impl FnOnce(&mut DiskFaults)) -> anyhow::Result<DiskCounts> {
        let mut faults = self.faults.lock().await;
        change(&mut faults);
        self.ask(Request::Set(*faults)).await
    }

    /// Nothing changes and nothing becomes durable from now on; whoever wants that, waits until [`FaultDisk::crash`] or
    /// [`FaultDisk::thaw`].
    ///
    /// # Errors
    /// When the disk does not answer.
    pub async fn freeze(&self) -> anyhow::Result<DiskCounts> {
        self.ask(Request::Freeze).await
    }

    /// Lets go on what waits.
    ///
    /// # Errors
    /// When the disk does not answer.
    pub async fn thaw(&self) -> anyhow::Result<DiskCounts> {
        self.ask(Request::Thaw).await
    }

    /// Cuts the power: what was not synced is lost, as far as `loss` says. Files that are open are so no longer. The disk is
    /// usable again at once.
    ///
    /// # Errors
    /// When the disk does not answer, or could not do it.
    pub async fn crash(&self, loss: Loss) -> anyhow::Result<DiskCounts> {
        self.ask(Request::Crash(loss)).await
    }

    /// What the disk has done so far.
    ///
    /// # Errors
    /// When the disk does not answer.
    pub async fn counts(&self) -> anyhow::Result<DiskCounts> {
        self.ask(Request::Counts).await
    }

    async fn ask(&self, request: Request) -> anyhow::Result<DiskCounts> {
        let mut pipes = self.pipes.lock().await;
        let asking = || format!("the fault disk at {} was asked for {request:?}", self.mountpoint.display());
        let Some(pipes) = pipes.as_mut() else { bail!("{}, but is unmounted", asking()) };
        let line = format!("{}\n", serde_json::to_string(&request)?);
        pipes.commands.write_all(line.as_bytes()).await.with_context(asking)?;
        hear(pipes).await.with_context(asking)
    }

    /// Unmounts the disk and waits for the end of its process. The backing folder then holds all that was written.
    ///
    /// # Errors
    /// When the process does not end in time or says that something was lost; the mount is gone even then.
    pub async fn unmount(mut self) -> anyhow::Result<()> {
        self.pipes.lock().await.take();
        let ended = tokio::time::timeout(END_PATIENCE, self.child.wait()).await;
        let status = ended.context("the fault disk does not end")??;
        if !status.success() {
            bail!("the fault disk at {} ended with {status}", self.mountpoint.display());
        }
        Ok(())
    }
}

async fn hear(pipes: &mut Pipes) -> anyhow::Result<DiskCounts> {
    let mut line = String::new();
    let heard = tokio::time::timeout(ANSWER_PATIENCE, pipes.answers.read_line(&mut line)).await;
    if heard.context("no answer")?? == 0 {
        bail!("its process has ended");
    }
    match serde_json::from_str(&line).with_context(|| format!("no answer but {line:?}"))? {
        Answer::Done(counts) => Ok(counts),
        Answer::Failed(why) => bail!("{why}"),
    }
}

impl Drop for FaultDisk {
    /// The end of its standard input ends the process, which unmounts; if it is gone already, or hangs, the mount is taken
    /// away from here.
    fn drop(&mut self) {
        self.pipes.get_mut().take();
        let deadline = Instant::now() + END_PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                // It is waited for by the runtime, or by nobody if we are about to end ourselves.
                let _ = self.child.start_kill();
                break;
            }
            std::thread::sleep(END_TICK);
        }
        if mounts::mounted().is_ok_and(|mounted| mounted.contains(&self.mountpoint))
            && let Err(error) = mounts::detach(&self.mountpoint)
        {
            crate::progress::tell(&format!("cannot unmount {}: {error}", self.mountpoint.display()));
        }
    }
}
