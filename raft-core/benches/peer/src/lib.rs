//! raft-core next to the published `raft` crate (raft-rs 0.7), in the same run:
//!
//! ```sh
//! cargo bench --manifest-path raft-core/benches/peer/Cargo.toml
//! ```
//!
//! Three voters in one thread, on disks, a network and state machines that take no time. Commands of 128 bytes are proposed
//! to the leader one at a time or in batches of 256, and count when all three have executed them. `throughput` measures the
//! time that this thread had a processor to itself (not what other programs on the machine left it), taking turns between
//! the two so that both meet the same weather; `allocations` counts calls of the allocator, in a process of its own because
//! counting costs time; `panics` counts hostile sequences of messages that end in a panic.
//!
//! Both have pre-vote and check-quorum on, limits that are never met and no logger, and raft-rs has its own `MemStorage` and
//! `batch_append`. It is measured in two ways: plainly, as its documentation shows it (`propose` for every command, then one
//! `Ready` for them all); and as fast as it goes, with a proposal message made by hand that shares the bytes of its commands,
//! and with commitment told by the next append (`skip_bcast_commit`) as raft-core does it too.

pub mod hostile;
#[path = "../../memory/mod.rs"]
mod memory;
mod published;

use std::fmt;

use anyhow::ensure;
use bytes::Bytes;

pub use published::Usage;

/// Bytes in a command.
pub const COMMAND_SIZE: usize = 128;
/// Commands in a proposal.
pub const BATCHES: [usize; 2] = [1, 256];

/// What is measured, in the order of the tables' columns.
pub const LIBRARIES: [Library; 3] =
    [Library::RaftCore, Library::RaftRs(Usage::Fast), Library::RaftRs(Usage::Documented)];

/// One of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// This project's.
    RaftCore,
    /// The published `raft` crate.
    RaftRs(Usage),
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Library::RaftCore => "raft-core",
            Library::RaftRs(Usage::Fast) => "raft-rs, fast",
            Library::RaftRs(Usage::Documented) => "raft-rs, plain",
        })
    }
}

/// Three voters with a leader, ready to execute commands.
pub enum Cluster {
    /// Of raft-core.
    RaftCore(memory::Cluster),
    /// Of raft-rs.
    RaftRs(published::Cluster),
}

impl Cluster {
    /// Starts three voters and elects the first.
    pub fn led(library: Library) -> anyhow::Result<Self> {
        let cluster = match library {
            Library::RaftCore => {
                let mut cluster = memory::Cluster::start(3)?;
                cluster.elect()?;
                ensure!(cluster.is_led(), "raft-core: the first node was not elected");
                Cluster::RaftCore(cluster)
            }
            Library::RaftRs(usage) => {
                let mut cluster = published::Cluster::start(3, usage)?;
                cluster.elect()?;
                ensure!(cluster.is_led(), "raft-rs: the first node was not elected");
                Cluster::RaftRs(cluster)
            }
        };
        Ok(cluster)
    }

    /// Gets `operations` commands executed by everybody, `batch` in a proposal.
    pub fn execute(&mut self, operations: u64, batch: usize) -> anyhow::Result<()> {
        let command = Bytes::from(vec![0x5a; COMMAND_SIZE]);
        let proposals = operations.div_ceil(batch as u64);
        let before = self.applied_everywhere();
        for _ in 0..proposals {
            match self {
                Cluster::RaftCore(cluster) => cluster.propose(&command, batch)?,
                Cluster::RaftRs(cluster) => cluster.propose(&command, batch)?,
            }
        }
        match self {
            Cluster::RaftCore(cluster) => cluster.heartbeat()?,
            Cluster::RaftRs(cluster) => cluster.heartbeat()?,
        }
        let executed = self.applied_everywhere() - before;
        ensure!(
            executed == proposals * batch as u64,
            "{executed} of {operations} commands were executed everywhere"
        );
        Ok(())
    }

    fn applied_everywhere(&self) -> u64 {
        match self {
            Cluster::RaftCore(cluster) => cluster.applied_everywhere(),
            Cluster::RaftRs(cluster) => cluster.applied_everywhere(),
        }
    }
}
