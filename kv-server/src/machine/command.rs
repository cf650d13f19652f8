//! What the log's entries say: commands, their encoding, and their limits.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::transaction::{MAX_TXN_PARTS, Transaction, fits};

/// The longest key.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// The longest value.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// The longest encoded command: a compare-and-set with the longest key and two of the longest values, and room for the
/// numbers around them. Nothing longer is looked at.
pub const MAX_COMMAND_BYTES: usize = MAX_KEY_BYTES + 2 * MAX_VALUE_BYTES + 64;

/// The first byte of every encoded command. Replicas of different releases share one log, so a release that adds a
/// command or changes one takes the next number, and still reads the earlier ones. What an earlier release knows is written as
/// it would write it: a log without transactions stays one that it can read.
const VERSION: u8 = 1;
/// The version of transactions.
const VERSION_TXN: u8 = 2;

/// What a log entry asks of the state machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Opens a session: its id is the index of this entry in the log (diss. 6.3).
    OpenSession {
        /// Chosen at random by the client, once: the same nonce again, from a retry, finds the same session.
        nonce: u128,
    },
    /// Executes an operation exactly once, however often it is retried.
    Apply {
        /// The session.
        session: u64,
        /// The operation's number in the session: from 1, growing; gaps are fine.
        sequence: u64,
        /// The operation.
        operation: Operation,
    },
}

/// What may be done to the map. Reads are not commands: they need no log entry.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Operation {
    /// Sets a key's value.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Sets a key's value if it has the expected one.
    Cas {
        /// The key.
        key: Bytes,
        /// What it must hold; `None`: it must be absent.
        expected: Option<Bytes>,
        /// Its new value.
        new: Bytes,
    },
    /// Compares and writes several keys at once.
    Txn(Transaction),
}

/// Why bytes are not a command, or a command cannot be encoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such command in this release.
    #[error("command version {0} is not known here")]
    Version(u8),
    /// No bytes at all.
    #[error("an empty command")]
    Empty,
    /// A field that is cut short, out of range, or unknown.
    #[error("the command does not decode: {0}")]
    Malformed(postcard::Error),
    /// More bytes than the command has.
    #[error("{0} bytes follow the command")]
    Trailing(usize),
    /// See [`MAX_KEY_BYTES`].
    #[error("the key has {0} bytes; the limit is {MAX_KEY_BYTES}")]
    KeyTooLong(usize),
    /// See [`MAX_VALUE_BYTES`].
    #[error("the value has {0} bytes; the limit is {MAX_VALUE_BYTES}")]
    ValueTooLong(usize),
    /// See [`MAX_TXN_PARTS`].
    #[error("the transaction has a list of {0} parts; the limit is {MAX_TXN_PARTS}")]
    TooManyParts(usize),
    /// See [`MAX_COMMAND_BYTES`].
    #[error("the command has {0} bytes; the limit is {MAX_COMMAND_BYTES}")]
    TooLong(usize),
}

impl Operation {
    /// Whether keys and values keep to their limits.
    pub fn check(&self) -> Result<(), CommandError> {
        match self {
            Operation::Put { key, value } => fits(key, Some(value)),
            Operation::Delete { key } => fits(key, None),
            Operation::Cas { key, expected, new } => {
                fits(key, expected.as_ref()).and_then(|()| fits(key, Some(new)))
            }
            Operation::Txn(transaction) => transaction.check(),
        }
    }
}

impl Command {
    /// The bytes for the log. What [`Command::decode`] would refuse is refused here, before it can reach the log.
    pub fn encode(&self) -> Result<Bytes, CommandError> {
        self.check()?;
        let bytes = postcard::to_extend(self, vec![self.version()]).map_err(CommandError::Malformed)?;
        if bytes.len() > MAX_COMMAND_BYTES {
            return Err(CommandError::TooLong(bytes.len()));
        }
        Ok(bytes.into())
    }

    /// The command that these bytes encode. Every replica of this release gives the same answer.
    pub fn decode(bytes: &[u8]) -> Result<Command, CommandError> {
        if bytes.len() > MAX_COMMAND_BYTES {
            return Err(CommandError::TooLong(bytes.len()));
        }
        let (version, body) = bytes.split_first().ok_or(CommandError::Empty)?;
        if !(VERSION..=VERSION_TXN).contains(version) {
            return Err(CommandError::Version(*version));
        }
        let (command, rest): (Command, _) =
            postcard::take_from_bytes(body).map_err(CommandError::Malformed)?;
        if !rest.is_empty() {
            return Err(CommandError::Trailing(rest.len()));
        }
        // One command, one encoding: what says that it is of another version than it is was not written by us.
        if command.version() != *version {
            return Err(CommandError::Version(*version));
        }
        command.check().map(|()| command)
    }

    fn version(&self) -> u8 {
        match self {
            Command::Apply { operation: Operation::Txn(_), .. } => VERSION_TXN,
            Command::Apply { .. } | Command::OpenSession { .. } => VERSION,
        }
    }

    fn check(&self) -> Result<(), CommandError> {
        match self {
            Command::OpenSession { .. } => Ok(()),
            Command::Apply { operation, .. } => operation.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::transaction::{Compare, Test, Write};
    use super::*;

    fn put(key: usize, value: usize) -> Command {
        let operation = Operation::Put { key: vec![1; key].into(), value: vec![2; value].into() };
        Command::Apply { session: u64::MAX, sequence: u64::MAX, operation }
    }

    #[test]
    fn the_encoding_of_version_1_stays_what_it_is() {
        // Old logs hold these bytes: a change here needs a new version, not a new expectation.
        let open = Command::OpenSession { nonce: 5 }.encode().unwrap();
        assert_eq!(open[..], [1, 0, 5]);
        let cas = Operation::Cas { key: "k".into(), expected: Some("a".into()), new: "bc".into() };
        let cas = Command::Apply { session: 300, sequence: 2, operation: cas }.encode().unwrap();
        assert_eq!(cas[..], [1, 1, 0xac, 2, 2, 2, 1, b'k', 1, 1, b'a', 2, b'b', b'c']);
    }

    #[test]
    fn the_encoding_of_version_2_stays_what_it_is() {
        let bytes = txn().encode().unwrap();
        assert_eq!(
            bytes[..],
            [2, 1, 3, 1, 3, 1, 1, b'k', 0, 1, 1, b'v', 1, 0, 1, b'k', 1, b'w', 1, 1, 1, b'k']
        );
        assert_eq!(Command::decode(&bytes).unwrap(), txn());
        let older = [&[1], &bytes[1..]].concat();
        assert_eq!(Command::decode(&older), Err(CommandError::Version(1)), "an older release knows none");
    }

    fn txn() -> Command {
        let compare = Compare { key: "k".into(), test: Test::Is(Some("v".into())) };
        let transaction = Transaction {
            compares: vec![compare],
            success: vec![Write::Put { key: "k".into(), value: "w".into() }],
            otherwise: vec![Write::Delete { key: "k".into() }],
        };
        Command::Apply { session: 3, sequence: 1, operation: Operation::Txn(transaction) }
    }

    #[test]
    fn a_transaction_that_is_too_large_in_any_way_is_refused() {
        let of = |transaction: Transaction| {
            Command::Apply { session: 3, sequence: 1, operation: Operation::Txn(transaction) }.encode()
        };
        let put = |bytes: usize| Write::Put { key: "k".into(), value: vec![1; bytes].into() };
        let absent = |key: usize| Compare { key: vec![1; key].into(), test: Test::IsNot(None) };
        for (transaction, error) in [
            (
                Transaction { success: vec![put(0); MAX_TXN_PARTS + 1], ..Transaction::default() },
                CommandError::TooManyParts(MAX_TXN_PARTS + 1),
            ),
            (
                Transaction { otherwise: vec![put(MAX_VALUE_BYTES + 1)], ..Transaction::default() },
                CommandError::ValueTooLong(MAX_VALUE_BYTES + 1),
            ),
            (
                Transaction { compares: vec![absent(MAX_KEY_BYTES + 1)], ..Transaction::default() },
                CommandError::KeyTooLong(MAX_KEY_BYTES + 1),
            ),
        ] {
            assert_eq!(of(transaction), Err(error));
        }
        let many = Transaction { success: vec![put(MAX_VALUE_BYTES); 3], ..Transaction::default() };
        assert!(matches!(of(many), Err(CommandError::TooLong(_))));
    }

    #[test]
    fn limits_hold_when_encoding_and_when_decoding() {
        let longest = Command::Apply {
            session: u64::MAX,
            sequence: u64::MAX,
            operation: Operation::Cas {
                key: vec![1; MAX_KEY_BYTES].into(),
                expected: Some(vec![2; MAX_VALUE_BYTES].into()),
                new: vec![3; MAX_VALUE_BYTES].into(),
            },
        };
        let bytes = longest.encode().unwrap();
        assert!(bytes.len() <= MAX_COMMAND_BYTES);
        assert_eq!(Command::decode(&bytes).unwrap(), longest);

        for (command, error) in [
            (put(MAX_KEY_BYTES + 1, 0), CommandError::KeyTooLong(MAX_KEY_BYTES + 1)),
            (put(0, MAX_VALUE_BYTES + 1), CommandError::ValueTooLong(MAX_VALUE_BYTES + 1)),
        ] {
            assert_eq!(command.encode(), Err(error.clone()));
            let bytes = postcard::to_extend(&command, vec![VERSION]).unwrap();
            assert_eq!(Command::decode(&bytes), Err(error), "a log entry past the limit");
        }
        assert_eq!(
            Command::decode(&vec![1; MAX_COMMAND_BYTES + 1]),
            Err(CommandError::TooLong(MAX_COMMAND_BYTES + 1))
        );
    }

    #[test]
    fn bytes_that_are_not_a_command_are_refused() {
        assert_eq!(Command::decode(&[]), Err(CommandError::Empty));
        assert_eq!(Command::decode(&[2, 0, 5]), Err(CommandError::Version(2)), "it is of version 1");
        assert_eq!(Command::decode(&[3, 0, 5]), Err(CommandError::Version(3)));
        assert_eq!(Command::decode(&[1, 0, 5, 0]), Err(CommandError::Trailing(1)));
        assert!(matches!(Command::decode(&[1, 7]), Err(CommandError::Malformed(_))));
        let whole = put(3, 3).encode().unwrap();
        for cut in 1..whole.len() {
            assert!(
                matches!(Command::decode(&whole[..cut]), Err(CommandError::Malformed(_))),
                "cut at {cut}"
            );
        }
    }
}
