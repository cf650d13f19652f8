//! What can be varied, over which values, and in what kind of experiment it shows.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::cluster::MAX_NODES;
use crate::scenario::{Experiment, Failure, Load, Role};
use crate::units::{parse_duration, parse_duration_within};

/// A leader that is failed in a sweep comes back after so long, so that a majority is there for the next.
const BACK_AFTER: Duration = Duration::from_secs(2);
/// The last request is due so long before the end.
const REST: Duration = Duration::from_secs(1);
/// The most requests of a closed loop.
const MOST_REQUESTS: u64 = 300_000;

/// A parameter of the experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// How many servers.
    Servers,
    /// The servers' election timeout, under a leader that fails twice.
    ElectionTimeout,
    /// The leader's heartbeat interval, under a leader that fails twice.
    Heartbeat,
    /// How many of 100 requests are gets.
    ReadShare,
    /// Bytes of a value.
    ValueSize,
    /// How many clients, each of which asks again as soon as it is answered.
    Clients,
    /// The most entries of one append to a follower, under 64 clients that ask again as soon as they are answered.
    Batch,
    /// How often a minute the leader fails (and comes back two seconds later).
    FaultRate,
}

/// What all experiments of a sweep have in common.
#[derive(Clone, Debug)]
pub struct Base {
    /// The server's program.
    pub server: PathBuf,
    /// The seed of the first.
    pub seed: u64,
    /// How long each lasts.
    pub lifetime: Duration,
    /// How far apart requests are, where they are spaced.
    pub spacing: Duration,
    /// Spaced or closed, where it is not the parameter's own choice.
    pub load: Option<Load>,
    /// Arguments for every server.
    pub server_args: Vec<String>,
}

impl Parameter {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Parameter::Servers => "servers",
            Parameter::ElectionTimeout => "election-timeout",
            Parameter::Heartbeat => "heartbeat",
            Parameter::ReadShare => "read-share",
            Parameter::ValueSize => "value-size",
            Parameter::Clients => "clients",
            Parameter::Batch => "batch",
            Parameter::FaultRate => "fault-rate",
        }
    }

    /// The values that are tried if none are named.
    #[must_use]
    pub fn values(self) -> Vec<String> {
        let values = match self {
            Parameter::Servers => "1,2,3,4,5,6,7,8,9",
            Parameter::ElectionTimeout => "100ms,150ms,300ms,600ms,1200ms,2400ms",
            Parameter::Heartbeat => "10ms,25ms,50ms,100ms,200ms",
            Parameter::ReadShare => "0,20,40,60,80,100",
            Parameter::ValueSize => "16,256,4096,65536,500000",
            Parameter::Clients => "1,2,4,8,16,32,64",
            Parameter::Batch => "1,2,4,16,64,1024",
            Parameter::FaultRate => "0,6,12,20",
        };
        values.split(',').map(str::to_owned).collect()
    }

    fn load(self) -> Load {
        match self {
            Parameter::Clients | Parameter::Batch => Load::Closed,
            _ => Load::Spaced,
        }
    }

    /// The experiment for one value.
    ///
    /// # Errors
    /// What values there can be, if this is none.
    pub fn experiment(self, base: &Base, value: &str) -> Result<Experiment, String> {
        let mut experiment = Experiment::seed_1(base.server.clone(), base.seed);
        experiment.name = format!("{}-{value}", self.name());
        experiment.lifetime = base.lifetime;
        experiment.first_request = Duration::from_secs(2).min(base.lifetime / 4);
        experiment.spacing = base.spacing;
        experiment.load = base.load.unwrap_or(self.load());
        experiment.read_share = 50;
        experiment.server_args.clone_from(&base.server_args);
        // A sweep looks for differences, not for bounds.
        (experiment.least_messages, experiment.most_messages) = (0, u64::MAX);
        let argument = |name: &str| vec![format!("--{name}"), value.to_owned()];
        match self {
            Parameter::Servers => experiment.servers = within(value, 1, MAX_NODES)?,
            Parameter::ElectionTimeout | Parameter::Heartbeat => {
                parse_duration_within(value, Duration::from_millis(1), Duration::from_secs(60))?;
                let name =
                    if self == Parameter::Heartbeat { "heartbeat-interval" } else { "election-timeout" };
                experiment.server_args.extend(argument(name));
                if self == Parameter::ElectionTimeout {
                    let heartbeat = parse_duration(value)? / 6;
                    let heartbeat = heartbeat.as_millis().max(1);
                    experiment
                        .server_args
                        .extend(["--heartbeat-interval".to_owned(), format!("{heartbeat}ms")]);
                }
                experiment.failures = failures(&experiment, 2);
            }
            Parameter::ReadShare => experiment.read_share = within(value, 0, 100)?,
            Parameter::ValueSize => experiment.value_size = within(value, 1, 1_000_000)?,
            Parameter::Clients => experiment.clients = within(value, 1, 1_000)?,
            Parameter::Batch => {
                let _: u64 = within(value, 1, 1_024)?;
                experiment.server_args.extend(argument("batch"));
                experiment.clients = 64;
                experiment.read_share = 0;
            }
            Parameter::FaultRate => {
                let per_minute: f64 = within(value, 0.0, 60.0)?;
                let span = experiment.lifetime.saturating_sub(experiment.first_request + REST);
                let count = (per_minute * span.as_secs_f64() / 60.0).round();
                experiment.failures = failures(&experiment, count as u32);
            }
        }
        let span = experiment.lifetime.saturating_sub(experiment.first_request + REST);
        experiment.requests = match experiment.load {
            Load::Closed => MOST_REQUESTS,
            Load::Spaced => {
                let spacing = experiment.spacing.as_nanos().max(1);
                u64::try_from(span.as_nanos() / spacing).unwrap_or(MOST_REQUESTS).clamp(1, MOST_REQUESTS)
            }
        };
        if experiment.load == Load::Closed {
            experiment.keys = 1_000;
        }
        Ok(experiment)
    }
}

/// So many failures of the leader, evenly over the time in which there are requests.
fn failures(experiment: &Experiment, count: u32) -> Vec<Failure> {
    let span = experiment.lifetime.saturating_sub(experiment.first_request + REST);
    let at = |number: u32| experiment.first_request + span * (2 * number + 1) / (2 * count.max(1));
    (0..count)
        .map(|number| Failure { at: at(number), whom: Role::Leader, back_after: Some(BACK_AFTER) })
        .collect()
}

fn within<T: FromStr + PartialOrd + std::fmt::Display>(text: &str, low: T, high: T) -> Result<T, String> {
    match text.parse() {
        Ok(value) if value >= low && value <= high => Ok(value),
        _ => Err(format!("{text:?} is not a number from {low} to {high}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base {
            server: "s".into(),
            seed: 1,
            lifetime: Duration::from_secs(12),
            spacing: Duration::from_millis(46),
            load: None,
            server_args: Vec::new(),
        }
    }

    #[test]
    fn every_value_that_is_tried_by_itself_makes_an_experiment() {
        for parameter in Parameter::value_variants() {
            let made: Vec<Experiment> = parameter
                .values()
                .iter()
                .map(|value| parameter.experiment(&base(), value).unwrap())
                .collect();
            assert!(made.iter().all(|one| one.failures.iter().all(|failure| failure.at < one.lifetime)));
            let mut different: Vec<String> =
                made.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
            different.dedup();
            assert_eq!(different.len(), parameter.values().len(), "{parameter:?}");
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_with_what_does() {
        for (parameter, value, said) in [
            (Parameter::Servers, "10", "1 to 9"),
            (Parameter::Servers, "0", "1 to 9"),
            (Parameter::ReadShare, "101", "0 to 100"),
            (Parameter::ElectionTimeout, "soon", "duration"),
            (Parameter::Batch, "0", "1 to 1024"),
            (Parameter::FaultRate, "-1", "0 to 60"),
        ] {
            let error = parameter.experiment(&base(), value).unwrap_err();
            assert!(error.contains(said), "{parameter:?} {value}: {error}");
        }
    }

    #[test]
    fn the_fault_rate_is_failures_a_minute() {
        let experiment = Parameter::FaultRate.experiment(&base(), "20").unwrap();
        assert_eq!(experiment.failures.len(), 3, "nine seconds of requests");
    }
}
