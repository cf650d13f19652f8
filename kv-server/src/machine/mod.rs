//! The replicated state machine: a map from keys to values, and the sessions that make every command apply exactly once.
//!
//! A pure function of the log: the same entries in the same order give the same state and the same answers on every
//! replica. No clock, randomness, file or hash seed comes in; nothing in a log entry can make it panic.
//!
//! ```text
//!    committed entry          ┌───────────────────── Machine ─────────────────────┐
//!   (index, bytes)  ──────►   │ decode ──► session known? ──► sequence new? ──► map │ ──► Outcome
//!                             │   │            │ no               │ no             │
//!                             └───┼────────────┼──────────────────┼────────────────┘
//!                              Malformed   SessionExpired   the cached answer, or StaleSequence
//! ```
//!
//! A client opens a session with [`Command::OpenSession`] and numbers its operations. An operation that arrives again,
//! because its answer was lost, gets the answer that the first arrival got. A session that expired answers
//! [`Outcome::SessionExpired`], never "applied": only the client can know whether its last operation was in doubt.
//!
//! Limits: [`MAX_KEY_BYTES`], [`MAX_VALUE_BYTES`], [`MAX_COMMAND_BYTES`], [`MAX_SESSIONS`]; an answer kept for a session is
//! one small [`Response`], never a value. Limits are part of the state machine: replicas that differ in one would diverge.
//!
//! A [`Transaction`] compares and writes several keys at once. It reads nothing: values are never in an answer that is kept, and
//! whoever needs several at one moment asks for them together, which takes no entry of the log.
//!
//! What this does not do: no range reads, no time to live; the whole map is in memory.
//! Nobody is kept from opening sessions: [`MAX_SESSIONS`] new ones push out all that are idle meanwhile.

mod command;
mod key_change;
mod session;
mod transaction;

use std::io;

use bytes::Bytes;
use raft_core::Index;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};

pub use command::{Command, CommandError, MAX_COMMAND_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, Operation};
pub use key_change::KeyChange;
use session::Sessions;
pub use transaction::{Compare, MAX_TXN_PARTS, Test, Transaction, Write};

use crate::wal::mutant::{ServerMutant, ServerMutantSwitch};

/// How many sessions live at once; the one unused for longest makes room for a new one.
pub const MAX_SESSIONS: usize = 16_384;

/// What a log entry came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The session is open.
    SessionOpened {
        /// Its id.
        session: u64,
    },
    /// The operation was applied, by this entry or by an earlier one that this one repeats.
    Applied(Response),
    /// There is no such session (any more). This entry changed nothing; an earlier copy of it may have.
    SessionExpired,
    /// The session has moved on to a later sequence number. This entry changed nothing; an earlier copy of it may have.
    StaleSequence,
    /// The bytes are no command of this release. Nothing changed.
    Malformed,
}

/// An operation's answer: small, since each session keeps its last one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Response {
    /// The key has the value.
    Put,
    /// The key is absent.
    Delete {
        /// Whether it was there before.
        existed: bool,
    },
    /// The compare-and-set took place.
    Cas {
        /// Whether the expected value was found, and the new one set.
        swapped: bool,
    },
    /// The transaction took place.
    Txn {
        /// Whether all its comparisons held.
        succeeded: bool,
    },
}

/// A persistent map: a copy costs nothing and shares everything with the original, so that a snapshot can be written by
/// another thread while the original goes on.
type Values = RedBlackTreeMapSync<Bytes, Bytes>;

/// The state machine. Its serde form is what a snapshot holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The last entry that was applied, stored with the state that it led to (etcd #13766 had them apart).
    applied: Index,
    values: Values,
    sessions: Sessions,
    #[serde(skip)]
    mutant: ServerMutantSwitch,
    /// The values before the last entry, for a seeded bug.
    #[serde(skip)]
    lagging: Option<Values>,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// An empty machine.
    #[must_use]
    pub fn new() -> Machine {
        Machine::with_session_limit(MAX_SESSIONS)
    }

    /// An empty machine that keeps another number of sessions (at least one). All replicas must agree on it.
    #[must_use]
    pub fn with_session_limit(limit: usize) -> Machine {
        Machine {
            applied: Index::ZERO,
            values: Values::new_sync(),
            sessions: Sessions::new(limit),
            mutant: ServerMutantSwitch::default(),
            lagging: None,
        }
    }

    /// The same machine with a seeded bug switched on.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn with_mutant(mut self, mutant: ServerMutant) -> Machine {
        self.mutant = ServerMutantSwitch::on(mutant);
        self
    }

    /// A machine that was read from a snapshot takes this one's place. (A seeded bug is the server's, not the state's.)
    pub(crate) fn replace_by(&mut self, restored: Machine) {
        *self = Machine { mutant: self.mutant, ..restored };
    }

    /// Whether this bug is on.
    pub(crate) fn is_seeded(&self, mutant: ServerMutant) -> bool {
        self.mutant.is(mutant)
    }

    /// A copy for a snapshot: the whole state, as of the last entry.
    pub(crate) fn copied(&self) -> Machine {
        let values = self.lagging.as_ref().unwrap_or(&self.values).clone();
        Machine { values, ..self.clone() }
    }

    /// Applies the command of a committed entry. Entries come in the order of the log, each once; those that hold no
    /// command are left out.
    pub fn apply(&mut self, index: Index, command: &[u8]) -> Outcome {
        self.apply_telling(index, command, &mut Vec::new())
    }

    /// The same; what it changed is added to `told`: each key once, nothing for a command that had been applied before.
    pub fn apply_telling(&mut self, index: Index, command: &[u8], told: &mut Vec<KeyChange>) -> Outcome {
        assert!(index > self.applied, "entry {index} applied after entry {}", self.applied);
        self.applied = index;
        if self.mutant.is(ServerMutant::ApplyIndexNotAtomic) {
            self.lagging = Some(self.values.clone());
        }
        match Command::decode(command) {
            Ok(Command::OpenSession { nonce }) => {
                Outcome::SessionOpened { session: self.sessions.open(index, nonce) }
            }
            Ok(Command::Apply { session, sequence, operation }) => {
                self.apply_once(index, (session, sequence), operation, told)
            }
            Err(_) => Outcome::Malformed,
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.values.get(key).cloned()
    }

    /// The index of the last entry that was applied.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.size()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many sessions are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// A digest of the whole state, sessions included: equal on replicas that applied the same entries. It reads everything.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut digest = Fnv(Fnv::OFFSET);
        // Neither the digest nor the plain data in a machine can fail to be written.
        let written = postcard::to_io(self, &mut digest);
        debug_assert!(written.is_ok(), "a machine always encodes");
        digest.0
    }

    /// The rule of exactly once: a sequence number that was seen is not executed again.
    fn apply_once(
        &mut self,
        index: Index,
        (session, sequence): (u64, u64),
        operation: Operation,
        told: &mut Vec<KeyChange>,
    ) -> Outcome {
        let Some(session) = self.sessions.touch(index, session) else { return Outcome::SessionExpired };
        let (seen, cached) = session.last.map_or((0, None), |(seen, response)| (seen, Some(response)));
        if sequence <= seen && !self.mutant.is(ServerMutant::RetryAppliedTwice) {
            return match cached {
                Some(response) if sequence == seen => Outcome::Applied(response),
                _ => Outcome::StaleSequence,
            };
        }
        let response = execute(&mut self.values, operation, told);
        session.last = Some((sequence, response));
        Outcome::Applied(response)
    }
}

fn execute(values: &mut Values, operation: Operation, told: &mut Vec<KeyChange>) -> Response {
    match operation {
        Operation::Put { key, value } => {
            put(values, key, value, told);
            Response::Put
        }
        Operation::Delete { key } => Response::Delete { existed: delete(values, key, told) },
        Operation::Cas { key, expected, new } => {
            let swapped = values.get(&key) == expected.as_ref();
            if swapped {
                put(values, key, new, told);
            }
            Response::Cas { swapped }
        }
        Operation::Txn(transaction) => Response::Txn { succeeded: transaction.execute(values, told) },
    }
}

fn put(values: &mut Values, key: Bytes, value: Bytes, told: &mut Vec<KeyChange>) {
    KeyChange::note(told, key.clone(), Some(value.clone()));
    values.insert_mut(key, value);
}

/// Says whether it was there.
fn delete(values: &mut Values, key: Bytes, told: &mut Vec<KeyChange>) -> bool {
    let existed = values.remove_mut(&key);
    if existed {
        KeyChange::note(told, key, None);
    }
    existed
}

/// The 64-bit Fowler–Noll–Vo hash (FNV-1a): the same on every machine and in every release, which the standard library's
/// hashers do not promise.
struct Fnv(u64);

impl Fnv {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
}

impl io::Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(Self::PRIME));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
