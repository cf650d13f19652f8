//! What faults rest on, each tried for real.

use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Examined;
use crate::cluster::{MAX_NODES, PortBlock};
use crate::faults::Usability;
use crate::netns::Namespaces;
use crate::{clock, disk};

/// Files that a run of the largest cluster has open, about: links, clients, logs.
const DESCRIPTORS: u64 = 4_096;

pub(super) fn examine() -> Vec<Examined> {
    vec![
        Examined::new("ports", "ports of our own on loopback", ports()),
        Examined::new("signals", "processes that are stopped, continued and killed", signals()),
        Examined::new("open-files", "file descriptors for proxies and clients", descriptors()),
        Examined::new("fault-disk", "a file system of our own, by FUSE", missing(disk::trial())),
        Examined::new("clock-shim", "a library that changes what programs are told of the time", {
            missing(clock::trial())
        }),
        Examined::new("namespaces", "a network namespace for each server, with nftables", namespaces()),
    ]
}

fn missing(trial: Result<(), String>) -> Usability {
    trial.map_or_else(Usability::Missing, |()| Usability::Usable)
}

fn ports() -> Usability {
    missing(PortBlock::claim(2 * MAX_NODES).map(drop).map_err(|error| format!("{error:#}")))
}

fn signals() -> Usability {
    let spawned = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Usability::Missing(format!("cannot start `sleep`: {error}")),
    };
    let pid = i32::try_from(child.id()).map(Pid::from_raw).ok();
    let sent = [Signal::SIGSTOP, Signal::SIGCONT].map(|signal| pid.map(|pid| kill(pid, signal)));
    let ended = child.kill().and_then(|()| child.wait());
    match (sent.into_iter().flatten().find_map(Result::err), ended) {
        (Some(error), _) => Usability::Missing(format!("a process of our own cannot be signalled: {error}")),
        (None, Err(error)) => Usability::Missing(format!("a process of our own cannot be killed: {error}")),
        (None, Ok(_)) => Usability::Usable,
    }
}

fn descriptors() -> Usability {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < DESCRIPTORS => Usability::Degraded(format!(
            "at most {hard} files may be open, and large runs need {DESCRIPTORS}: raise the hard limit (`ulimit -Hn`)"
        )),
        Ok(_) => Usability::Usable,
        Err(error) => Usability::Degraded(format!("the limit of open files cannot be read: {error}")),
    }
}

fn namespaces() -> Usability {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(Namespaces::missing())) {
        Ok(None) => Usability::Usable,
        Ok(Some(why)) => Usability::Missing(why),
        Err(error) => Usability::Missing(format!("cannot start a runtime: {error}")),
    }
}
