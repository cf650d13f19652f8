//! Limits of a running process: file descriptors and memory, changed from outside.

use anyhow::{Context, bail};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::Node;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Open files and sockets. Those that are open stay open.
    OpenFiles,
    /// The size of the writable private memory in bytes. What is there stays; more cannot be had. (A limit of the address space would
    /// not be felt: allocators reserve much of it beforehand, and later only make it writable.)
    Data,
}

impl Limited {
    fn resource(self) -> Resource {
        match self {
            Limited::OpenFiles => Resource::Nofile,
            Limited::Data => Resource::Data,
        }
    }
}

/// A limit that was set, with the one before it.
#[derive(Debug)]
pub struct Limit {
    pid: u32,
    what: Limited,
    before: Option<u64>,
}

fn process(pid: u32) -> anyhow::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process has such an id")
}

/// Sets the limit in force and leaves the highest that may be set as it is; returns the one before.
fn change(pid: u32, what: Limited, to: Option<u64>) -> anyhow::Result<Option<u64>> {
    let (id, resource) = (process(pid)?, what.resource());
    let change = |new| prlimit(Some(id), resource, new).context("cannot change the limits of a process");
    // To ask is to set, for this call: it is set to what holds for ourselves, which the server inherited, for an instant.
    let own = rustix::process::getrlimit(resource);
    let found = change(own)?;
    change(Rlimit { current: to, maximum: found.maximum })?;
    Ok(found.current)
}

impl Node {
    /// Lowers a limit of the running process; nothing, if it is not running.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn limit(&self, what: Limited, to: u64) -> anyhow::Result<Option<Limit>> {
        let process = self.process.lock().await;
        let Some(pid) = process.pid() else { return Ok(None) };
        let before = change(pid, what, Some(to))?;
        Ok(Some(Limit { pid, what, before }))
    }

    /// Takes a limit back. A process that was started since never had it.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn unlimit(&self, limit: Limit) -> anyhow::Result<()> {
        let process = self.process.lock().await;
        if process.pid() == Some(limit.pid) {
            change(limit.pid, limit.what, limit.before)?;
        }
        Ok(())
    }
}

/// How many files and sockets a process has open.
///
/// # Errors
/// When `/proc` does not say.
pub fn open_files(pid: u32) -> anyhow::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    Ok(entries.count() as u64)
}

/// The size of a process's writable private memory, in bytes.
///
/// # Errors
/// When `/proc` does not say.
pub fn data_size(pid: u32) -> anyhow::Result<u64> {
    let file = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmData:"));
    let size = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let Some(kib) = size else { bail!("{file} does not say how large the process is") };
    Ok(kib * 1024)
}

/// Whether limits of another process can be changed and seen here: tried on a process of our own making.
///
/// # Errors
/// Says why not.
pub fn is_usable() -> Result<(), String> {
    open_files(std::process::id()).and_then(|_| data_size(std::process::id())).map_err(|e| e.to_string())?;
    // To set our own limit to what it is changes nothing.
    let own = rustix::process::getrlimit(Resource::Nofile);
    prlimit(None, Resource::Nofile, own).map_err(|error| format!("prlimit does not work: {error}"))?;
    Ok(())
}
