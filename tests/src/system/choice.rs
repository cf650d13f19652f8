//! Choosing the system under test on the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{AnySystem, Capability, Etcd, Exec, KvServer, Redis};
use crate::program;

/// The systems that there is an adapter for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum SystemName {
    /// Plumbline's own
    #[default]
    KvServer,
    /// `etcd` from the path, over its JSON gateway
    Etcd,
    /// `redis-server` from the path: a master, replicas, and a failover by the harness
    Redis,
    /// Any other, by --server-command and --client-command
    Exec,
}

/// What a system made of commands may be said to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Knows {
    /// Compare-and-set
    Cas,
    /// Transactions, and reads of several keys
    Txn,
    /// Its servers reach each other where `{peers}` says
    Links,
}

/// The arguments that choose the system under test.
#[derive(Args, Clone, Debug, Default)]
pub struct SystemArgs {
    /// The system under test
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    system: SystemName,
    /// Let reads be stale where the system has such (etcd: serializable ones)
    #[arg(long)]
    stale_reads: bool,
    /// For --system exec: the command of a server, with {id}, {data}, {client}, {peer} and {peers} filled in
    #[arg(long, value_name = "COMMAND")]
    server_command: Option<String>,
    /// For --system exec: the command of a client that speaks JSON lines
    #[arg(long, value_name = "COMMAND")]
    client_command: Option<String>,
    /// For --system exec: what the client knows besides get and put; comma-separated
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    knows: Vec<Knows>,
}

impl SystemArgs {
    /// The system, anew: it may keep things in mind while a run lasts.
    ///
    /// # Errors
    /// When arguments are missing, or mean nothing for this system.
    pub fn system(&self) -> anyhow::Result<AnySystem> {
        let is_exec = self.system == SystemName::Exec;
        if !is_exec
            && (self.server_command.is_some() || self.client_command.is_some() || !self.knows.is_empty())
        {
            bail!("--server-command, --client-command and --knows are for --system exec");
        }
        if self.stale_reads && self.system != SystemName::Etcd {
            bail!("--stale-reads needs stale reads, which only etcd has: add --system etcd");
        }
        Ok(match self.system {
            SystemName::KvServer => Arc::new(KvServer),
            SystemName::Etcd => Arc::new(Etcd { stale: self.stale_reads }),
            SystemName::Redis => Arc::new(Redis::default()),
            SystemName::Exec => {
                let server = self.server_command.clone().context("--system exec needs --server-command")?;
                let client = self.client_command.clone().context("--system exec needs --client-command")?;
                let capability = |knows: &Knows| match knows {
                    Knows::Cas => Capability::Cas,
                    Knows::Txn => Capability::Txn,
                    Knows::Links => Capability::Links,
                };
                Arc::new(Exec::new(server, client, self.knows.iter().map(capability).collect()))
            }
        })
    }

    /// The program of a server: the one named, or the one to be found.
    ///
    /// # Errors
    /// When there is none.
    pub fn program(&self, named: Option<&Path>) -> anyhow::Result<PathBuf> {
        match self.system {
            SystemName::KvServer => program::find(named),
            SystemName::Exec => Ok("/bin/sh".into()),
            _ if named.is_some() => program::find(named),
            SystemName::Etcd => in_path("etcd", "etcd-server"),
            SystemName::Redis => in_path("redis-server", "redis-server"),
        }
    }
}

/// A program that the path knows.
///
/// # Errors
/// When it does not, with the package that has it.
pub fn in_path(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| {
        format!("no {name} in the path: `apt-get install {package}`, or name it with --server")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_mean_nothing_for_a_system_are_refused() {
        assert_eq!(SystemArgs::default().system().unwrap().name(), "kv-server");
        let stale = SystemArgs { stale_reads: true, ..SystemArgs::default() };
        assert!(stale.system().unwrap_err().to_string().contains("--system etcd"));
        let half = SystemArgs { system: SystemName::Exec, ..SystemArgs::default() };
        assert!(half.system().unwrap_err().to_string().contains("needs --server-command"));
        let other = SystemArgs { client_command: Some("x".to_owned()), ..SystemArgs::default() };
        assert!(other.system().unwrap_err().to_string().contains("for --system exec"));
        assert!(in_path("no-such-program", "no-such-package").unwrap_err().to_string().contains("apt-get"));
    }
}
