//! Seeded bugs of the server: each a mistake that some real replicated store once made. A check counts only if it has
//! been seen to fail on its mutants.
//!
//! Without the feature `mutants` there is no way to switch one on, and every question about one is the constant `false`.

use std::fmt;
use std::str::FromStr;

macro_rules! mutants {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// The seeded bugs of the server's storage and state machine.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum ServerMutant { $($(#[$doc])* $variant,)* }

        impl ServerMutant {
            /// All of them.
            pub const ALL: &'static [ServerMutant] = &[$(ServerMutant::$variant),*];

            /// Its name on a command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(ServerMutant::$variant => $name),* }
            }
        }
    };
}

mutants! {
    /// The last frame of the log is believed without its checksum, so that a torn one is read as valid (etcd's
    /// robustness tests; Jepsen, Redis-Raft 1b3fbf6, 2020).
    LogTailUnchecked = "log-tail-unchecked";
    /// Groups are written to the log and never synced: killing the process loses nothing, a power failure does (what a database
    /// with `fsync` off does, and etcd with `--unsafe-no-fsync`).
    LogNeverSynced = "log-never-synced";
    /// The session table is ignored: a retried command is applied again (diss. 6.3; Redis-Raft, 2020).
    RetryAppliedTwice = "retry-applied-twice";
    /// The log says that a snapshot is there to start from before its file is: a crash in between leaves a mix (Jepsen,
    /// Redis-Raft, 2020; cowsql).
    SnapshotNotAtomic = "snapshot-not-atomic";
    /// The index up to which a snapshot says it goes is stored apart from the state, which lags one entry behind (etcd
    /// #13766).
    ApplyIndexNotAtomic = "apply-index-not-atomic";
    /// A follower hands a write on to the leader and answers it at once, before it is committed (Jepsen, Redis-Raft, 2020).
    RedirectLosesWrite = "redirect-loses-write";
    /// A frame from the network is believed without its checksums, so that a bit flipped on the way is taken for what was
    /// sent (Amazon S3, July 2008: one corrupted bit in a message between servers, and the service was down for hours).
    FrameUnchecked = "frame-unchecked";
    /// A server that installs a snapshot goes on telling its watchers as if nothing had been left out in between (the other side
    /// of etcd #15271).
    WatchSkipsSnapshot = "watch-skips-snapshot";
}

impl fmt::Display for ServerMutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No seeded bug of the server has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no seeded bug of the server is called {0:?}")]
pub struct UnknownServerMutant(pub String);

impl FromStr for ServerMutant {
    type Err = UnknownServerMutant;

    fn from_str(name: &str) -> Result<Self, UnknownServerMutant> {
        let found = ServerMutant::ALL.iter().copied().find(|m| m.name() == name);
        found.ok_or_else(|| UnknownServerMutant(name.to_owned()))
    }
}

/// Which seeded bug is on, if any. Without the feature `mutants` it is empty and can only be off.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ServerMutantSwitch {
    #[cfg(feature = "mutants")]
    on: Option<ServerMutant>,
}

impl ServerMutantSwitch {
    /// A switch with this bug on.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn on(mutant: ServerMutant) -> Self {
        ServerMutantSwitch { on: Some(mutant) }
    }

    /// Whether this bug is on.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn is(self, mutant: ServerMutant) -> bool {
        self.on == Some(mutant)
    }

    /// Whether this bug is on: never, in this build.
    #[cfg(not(feature = "mutants"))]
    #[must_use]
    #[inline(always)]
    pub const fn is(self, _: ServerMutant) -> bool {
        false
    }
}
