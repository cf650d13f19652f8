//! The process that is a fault disk: it mounts, obeys its standard input, and unmounts when that ends, however whoever
//! held the other end may have died.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use fuser::{Config, MountOption};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::control::{Answer, Request};
use super::filesystem::FaultFs;
use super::mounts::{self, SOURCE};
use super::state::Disk;

/// Requests that may wait at the same time, for a slow sync or a frozen disk, before reads wait behind them.
const THREADS: usize = 8;
/// Commands that may wait.
const COMMANDS: usize = 16;

/// Mounts `backing` at `mountpoint` with faults, until standard input ends or a signal asks for the end.
///
/// # Errors
/// When it cannot be mounted, or what is left over cannot be made durable at the end.
pub fn serve(backing: &Path, mountpoint: &Path, seed: u64) -> anyhow::Result<()> {
    let disk = Disk::load(backing, seed);
    let disk = Arc::new(disk.with_context(|| format!("cannot use {} as a disk", backing.display()))?);
    let session = fuser::spawn_mount(FaultFs(Arc::clone(&disk)), mountpoint, &mount_options()).with_context(|| {
        format!(
            "cannot mount a fault disk at {}: it takes read and write access to /dev/fuse, and root or fusermount3 \
             (`plumbline doctor` says more)",
            mountpoint.display()
        )
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(obey(&disk));
    runtime.shutdown_background();
    // Whoever still waits is let go; then nobody finds the disk any more; then what was written is durable, as after any
    // orderly unmount.
    disk.thaw();
    mounts::detach(mountpoint).with_context(|| format!("cannot unmount {}", mountpoint.display()))?;
    let synced = disk.lock().tree.sync_all().context("cannot make everything durable at the end");
    drop(session);
    served.and(synced)
}

pub(super) fn mount_options() -> Config {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName(SOURCE.to_owned()), MountOption::NoAtime];
    config.n_threads = Some(THREADS);
    config
}

async fn obey(disk: &Disk) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, mut lines) = mpsc::channel(COMMANDS);
    thread::Builder::new().name("commands".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.map_or(true, |line| sender.blocking_send(line).is_err()) {
                break;
            }
        }
    })?;
    answer(&Answer::Done(disk.lock().counts))?;
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        };
        let Some(line) = line else { return Ok(()) };
        let done = match serde_json::from_str(&line) {
            Ok(request) => carry_out(disk, request).map_err(|error| error.to_string()),
            Err(error) => Err(format!("no such command: {line:?} ({error})")),
        };
        answer(&done.map_or_else(Answer::Failed, |()| Answer::Done(disk.lock().counts)))?;
    }
}

fn carry_out(disk: &Disk, request: Request) -> io::Result<()> {
    match request {
        Request::Set(faults) => disk.lock().faults = faults,
        Request::Freeze => disk.freeze(),
        Request::Thaw => disk.thaw(),
        Request::Crash(loss) => disk.crash(loss)?,
        Request::Counts => {}
    }
    Ok(())
}

/// That nobody reads the answer any more shows in the standard input's end.
fn answer(answer: &Answer) -> anyhow::Result<()> {
    let line = format!("{}\n", serde_json::to_string(answer)?);
    let mut out = io::stdout().lock();
    match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
