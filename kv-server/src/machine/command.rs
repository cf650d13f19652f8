//! What the log's entries say: commands, their encoding, and their limits.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest key.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// The longest value.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// The longest encoded command: a compare-and-set with the longest key and two of the longest values, and room for the
/// numbers around them. Nothing longer is looked at.
pub const MAX_COMMAND_BYTES: usize = MAX_KEY_BYTES + 2 * MAX_VALUE_BYTES + 64;

/// The first byte of every encoded command. Replicas of different releases share one log, so a release that adds a
/// command or changes one takes the next number, and still reads this one.
const VERSION: u8 = 1;

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
    /// See [`MAX_COMMAND_BYTES`].
    #[error("the command has {0} bytes; the limit is {MAX_COMMAND_BYTES}")]
    TooLong(usize),
}

impl Operation {
    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Operation::Put { key, .. } | Operation::Delete { key } | Operation::Cas { key, .. } => key,
        }
    }

    /// Whether key and values keep to their limits.
    pub fn check(&self) -> Result<(), CommandError> {
        let values = match self {
            Operation::Put { value, .. } => [Some(value), None],
            Operation::Delete { .. } => [None, None],
            Operation::Cas { expected, new, .. } => [Some(new), expected.as_ref()],
        };
        if self.key().len() > MAX_KEY_BYTES {
            return Err(CommandError::KeyTooLong(self.key().len()));
        }
        match values.into_iter().flatten().find(|value| value.len() > MAX_VALUE_BYTES) {
            Some(value) => Err(CommandError::ValueTooLong(value.len())),
            None => Ok(()),
        }
    }
}

impl Command {
    /// The bytes for the log. What [`Command::decode`] would refuse is refused here, before it can reach the log.
    pub fn encode(&self) -> Result<Bytes, CommandError> {
        self.check()?;
        postcard::to_extend(self, vec![VERSION]).map(Bytes::from).map_err(CommandError::Malformed)
    }

    /// The command that these bytes encode. Every replica of this release gives the same answer.
    pub fn decode(bytes: &[u8]) -> Result<Command, CommandError> {
        if bytes.len() > MAX_COMMAND_BYTES {
            return Err(CommandError::TooLong(bytes.len()));
        }
        let (version, body) = bytes.split_first().ok_or(CommandError::Empty)?;
        if *version != VERSION {
            return Err(CommandError::Version(*version));
        }
        let (command, rest): (Command, _) =
            postcard::take_from_bytes(body).map_err(CommandError::Malformed)?;
        if !rest.is_empty() {
            return Err(CommandError::Trailing(rest.len()));
        }
        command.check().map(|()| command)
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
        assert_eq!(Command::decode(&[2, 0, 5]), Err(CommandError::Version(2)));
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
