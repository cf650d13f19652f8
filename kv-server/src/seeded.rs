//! Seeded bugs by name, whichever layer has them. Only a build with the feature `mutants` can switch one on.

use std::str::FromStr;

use raft_core::Mutant;

use crate::wal::mutant::ServerMutant;

/// A seeded bug of any layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seeded {
    /// The log writer reports writes durable that it still holds in memory, for a while (etcd #10166, #16220).
    AckBeforeFsync,
    /// One of the log or the state machine.
    Server(ServerMutant),
    /// One of the core.
    Core(Mutant),
}

impl Seeded {
    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let core = Mutant::ALL.iter().map(|mutant| mutant.name());
        let server = ServerMutant::ALL.iter().map(|mutant| mutant.name());
        // The log writer's bug has the core's name for it: here it loses data indeed.
        core.chain(server)
    }
}

/// No layer has a bug of this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no seeded bug is called {name:?}; there are {}", Seeded::names().collect::<Vec<_>>().join(", "))]
pub struct UnknownSeeded {
    /// The name.
    pub name: String,
}

impl FromStr for Seeded {
    type Err = UnknownSeeded;

    fn from_str(name: &str) -> Result<Self, UnknownSeeded> {
        if name == Mutant::AckBeforeFsync.name() {
            return Ok(Seeded::AckBeforeFsync);
        }
        if let Ok(mutant) = ServerMutant::from_str(name) {
            return Ok(Seeded::Server(mutant));
        }
        Mutant::from_str(name).map(Seeded::Core).map_err(|_| UnknownSeeded { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_understood_and_others_are_not() {
        for name in Seeded::names() {
            assert!(name.parse::<Seeded>().is_ok(), "{name}");
        }
        assert!("no-such-bug".parse::<Seeded>().unwrap_err().to_string().contains("retry-applied-twice"));
    }
}
