//! Experiments in which little is left to chance: so many requests, so far apart, and servers that are failed at given moments.
//!
//! ```text
//!    seed ─► requests: when, which client, get or put, which key       Experiment: servers, clients, spacing, read share, …
//!                 │
//!                 ▼
//!            8 clients ──► 5 real servers, links counted ◄── failures: the leader at second 13, a follower at second 21
//!                 │
//!                 ▼
//!            Figures: who led, what was unanswered, redirected, wrong, how long it took ──► conditions ──► verdict
//! ```
//!
//! Requests come at their moments, whether or not earlier ones were answered (an open loop); each client asks one after the other,
//! and a request's latency counts from the moment at which it was due, so that waiting behind a slow one is not forgotten.
//! [`Load::Closed`] asks for the next as soon as the last was answered, to find what the servers can do.
//!
//! `seed-1` and `seed-2` are the two experiments that this project began with. [`crate::sweep`] varies their parameters.

mod drive;
mod figures;
mod punctual;
mod record;
mod requests;
mod wrong;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use drive::perform;
pub use figures::{Condition, Figures, Outcome};

use crate::units::{millis, parse_duration, show_duration};

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// At their moments.
    Spaced,
    /// By each client as soon as its last one was answered, until the experiment's end.
    Closed,
}

/// Whom a failure hits, given who leads at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever leads.
    Leader,
    /// Of the running servers that do not lead, this one in the order of their numbers, counted from 0.
    Follower(usize),
}

/// A server that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, counted from the start of the servers.
    pub at: Duration,
    /// Whom.
    pub whom: Role,
    /// After how long it is started again; never, if not given.
    pub back_after: Option<Duration>,
}

impl Failure {
    /// Reads `leader@13s`, `follower@21s`, `follower[1]@21s` or `leader@13s+2s` (back after two seconds).
    ///
    /// # Errors
    /// A sentence that says what was expected, fit for a usage error.
    pub fn parse(text: &str) -> Result<Failure, String> {
        let expected = || {
            format!(
                "{text:?} is not a failure: expected for example leader@13s, follower[1]@21s or leader@13s+2s"
            )
        };
        let (role, times) = text.split_once('@').ok_or_else(expected)?;
        let whom = match role {
            "leader" => Role::Leader,
            "follower" => Role::Follower(0),
            _ => {
                let number = role.strip_prefix("follower[").and_then(|rest| rest.strip_suffix(']'));
                Role::Follower(number.and_then(|number| number.parse().ok()).ok_or_else(expected)?)
            }
        };
        let (at, back_after) = match times.split_once('+') {
            Some((at, back)) => (at, Some(parse_duration(back)?)),
            None => (times, None),
        };
        Ok(Failure { at: parse_duration(at)?, whom, back_after })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.whom {
            Role::Leader => f.write_str("leader")?,
            Role::Follower(0) => f.write_str("follower")?,
            Role::Follower(number) => write!(f, "follower[{number}]")?,
        }
        write!(f, "@{}", show_duration(self.at))?;
        self.back_after.map_or(Ok(()), |back| write!(f, "+{}", show_duration(back)))
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One experiment.
#[derive(Clone, Debug, Serialize)]
pub struct Experiment {
    /// Its name: the folder under the store.
    pub name: String,
    /// Decides the requests.
    pub seed: u64,
    /// The server's program.
    pub server: PathBuf,
    /// Arguments for every server.
    pub server_args: Vec<String>,
    /// Servers.
    #[serde(rename = "nodes")]
    pub servers: u64,
    /// Clients.
    pub clients: u64,
    /// How long it lasts, from the start of the servers.
    #[serde(serialize_with = "as_millis")]
    pub lifetime: Duration,
    /// When the first request is due.
    #[serde(serialize_with = "as_millis")]
    pub first_request: Duration,
    /// How far apart requests are.
    #[serde(serialize_with = "as_millis")]
    pub spacing: Duration,
    /// How many there are; of a closed loop, the most.
    pub requests: u64,
    /// How many of 100 are gets.
    pub read_share: u32,
    /// How many keys are put.
    pub keys: u64,
    /// Bytes of a value, at least.
    pub value_size: usize,
    /// Servers that are killed.
    pub failures: Vec<Failure>,
    /// When requests are sent.
    pub load: Load,
    /// How long a client tries one request.
    #[serde(serialize_with = "as_millis")]
    pub op_timeout: Duration,
    /// Fewer messages between servers than this, and they cannot have done their work.
    pub least_messages: u64,
    /// More than this is a waste.
    pub most_messages: u64,
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(millis(*duration))
}

impl Experiment {
    /// The first of the two: eight gets in ten requests, and nothing fails.
    #[must_use]
    pub fn seed_1(server: PathBuf, seed: u64) -> Experiment {
        Experiment {
            name: "seed-1".to_owned(),
            seed,
            server,
            server_args: Vec::new(),
            servers: 5,
            clients: 8,
            lifetime: Duration::from_secs(30),
            first_request: Duration::from_secs(5),
            spacing: Duration::from_millis(46),
            requests: 500,
            read_share: 80,
            keys: 20,
            value_size: 16,
            failures: Vec::new(),
            load: Load::Spaced,
            op_timeout: Duration::from_secs(4),
            least_messages: 500,
            most_messages: 20_000,
        }
    }

    /// The second: two gets in ten requests, and the leader fails for good at seconds 13 and 21.
    #[must_use]
    pub fn seed_2(server: PathBuf, seed: u64) -> Experiment {
        let at = |seconds| Failure { at: Duration::from_secs(seconds), whom: Role::Leader, back_after: None };
        Experiment {
            name: "seed-2".to_owned(),
            read_share: 20,
            failures: vec![at(13), at(21)],
            ..Experiment::seed_1(server, seed)
        }
    }

    /// The longest it can take unless something hangs.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.lifetime + self.op_timeout + Duration::from_secs(120)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_and_written_alike() {
        for text in ["leader@13s", "follower@21s", "follower[2]@1500ms", "leader@8s+2s"] {
            assert_eq!(Failure::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "leader", "leader@", "boss@3s", "follower[x]@3s", "leader@3s+", "leader@3 parsecs"] {
            assert!(Failure::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_two_experiments_are_those_of_the_beginning() {
        let (one, two) = (Experiment::seed_1("s".into(), 1), Experiment::seed_2("s".into(), 1));
        for experiment in [&one, &two] {
            assert_eq!((experiment.servers, experiment.clients, experiment.requests), (5, 8, 500));
            assert_eq!((experiment.lifetime.as_secs(), experiment.first_request.as_secs()), (30, 5));
            assert_eq!((experiment.spacing.as_millis(), experiment.most_messages), (46, 20_000));
        }
        assert_eq!((one.read_share, two.read_share), (80, 20));
        assert!(one.failures.is_empty());
        assert_eq!(
            two.failures.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["leader@13s", "leader@21s"]
        );
    }
}
