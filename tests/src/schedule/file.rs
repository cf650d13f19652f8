//! Schedules as files, as a person writes them or a run has left them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::{Schedule, Step};
use crate::units::millis;

/// The version of the format that this program writes, and the only one that it reads.
pub const VERSION: u32 = 1;
/// The stream of the seed from which the choices of `mix` are drawn.
const MIX_STREAM: u64 = 2;
/// The longest file that is read.
const MAX_BYTES: u64 = 16 << 20;

/// A schedule as it may stand in a file: whatever is left out comes from the command line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The version of the format.
    pub version: u32,
    /// The seed.
    pub seed: Option<u64>,
    /// How many servers.
    pub nodes: Option<u64>,
    /// How long clients run, in milliseconds.
    pub time_limit_ms: Option<u64>,
    /// Other options of `plumbline run`: what `plumbline replay` goes by.
    #[serde(default)]
    pub options: Vec<String>,
    /// What happens.
    pub plan: Step,
}

impl From<Schedule> for Draft {
    fn from(schedule: Schedule) -> Draft {
        let Schedule { version, seed, nodes, time_limit_ms, options, plan } = schedule;
        let (seed, nodes, time_limit_ms) = (Some(seed), Some(nodes), Some(time_limit_ms));
        Draft { version, seed, nodes, time_limit_ms, options, plan }
    }
}

impl Draft {
    /// Reads a schedule from its file.
    ///
    /// # Errors
    /// When it cannot be read, with file, line and column and what was expected there.
    pub fn open(path: &Path) -> anyhow::Result<Draft> {
        let place = || format!("cannot read the schedule {}", path.display());
        let size = std::fs::metadata(path).with_context(place)?.len();
        if size > MAX_BYTES {
            bail!("{}: it has {size} bytes, and at most {MAX_BYTES} are read", place());
        }
        let text = std::fs::read_to_string(path).with_context(place)?;
        Draft::parse(&text).with_context(place)
    }

    /// Reads a schedule from its text.
    ///
    /// # Errors
    /// With line and column and what was expected there.
    pub fn parse(text: &str) -> anyhow::Result<Draft> {
        #[derive(Deserialize)]
        struct Versioned {
            version: Option<u32>,
        }
        match serde_json::from_str::<Versioned>(text)?.version {
            Some(VERSION) => {}
            Some(other) => {
                bail!("it is of version {other}, and this program reads version {VERSION}: make it anew")
            }
            None => bail!("it does not say which version it is of: begin with \"version\": {VERSION}"),
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The schedule of one run: what the file left out is filled in, the choices of each `mix` are drawn, and every fault is
    /// numbered.
    #[must_use]
    pub fn complete(&self, seed: u64, nodes: u64, time_limit: Duration) -> Schedule {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(MIX_STREAM);
        let mut plan = self.plan.drawn(&mut rng);
        plan.number();
        let options = Vec::new();
        Schedule { version: VERSION, seed, nodes, time_limit_ms: millis(time_limit), options, plan }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Fault, Nemeses, Pace};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_plan_survives_being_written_down() {
        let one = super::super::plan(7, 5, MINUTE, &Nemeses::all(), Pace::default());
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(one, serde_json::from_str(&text).unwrap());
        assert_eq!(Draft::parse(&text).unwrap().complete(7, 5, MINUTE), one);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_its_place() {
        let error = |text: &str| format!("{:#}", Draft::parse(text).unwrap_err());
        let plan = r#""plan": {"inject": {"fault": {"kill": "leader"}}}"#;
        assert!(Draft::parse(&format!(r#"{{"version": 1, {plan}}}"#)).is_ok());
        assert!(error(&format!(r#"{{"version": 2, {plan}}}"#)).contains("version 2"));
        assert!(error(&format!("{{{plan}}}")).contains("\"version\": 1"));
        let misspelt =
            error("{\"version\": 1,\n \"plan\": {\"inject\": {\"fault\": {\"kil\": \"leader\"}}}}");
        assert!(misspelt.contains("kil") && misspelt.contains("line 2"), "{misspelt}");
        let role = error(r#"{"version": 1, "plan": {"inject": {"fault": {"kill": "the boss"}}}}"#);
        assert!(role.contains("the boss") && role.contains("follower[1]"), "{role}");
        let extra = error(r#"{"version": 1, "plan": {"inject": {"fault": {"kill": "leader"}, "atms": 5}}}"#);
        assert!(extra.contains("atms") && extra.contains("at_ms"), "{extra}");
    }

    #[test]
    fn a_mix_is_drawn_when_the_plan_is_made_by_its_weights_and_from_the_seed() {
        let text = r#"{"version": 1, "plan": {"mix": {"times": 400, "of": [
            {"weight": 3, "step": {"inject": {"duration_ms": 1, "fault": {"kill": "leader"}}}},
            {"step": {"inject": {"duration_ms": 1, "fault": {"pause": "leader"}}}}]}}}"#;
        let draft = Draft::parse(text).unwrap();
        let made = draft.complete(1, 3, MINUTE);
        assert_eq!(made, draft.complete(1, 3, MINUTE));
        assert_ne!(made.plan, draft.complete(2, 3, MINUTE).plan);
        assert_eq!(made.check(), Ok(()));
        let faults = made.faults();
        let kills = faults.iter().filter(|planned| matches!(planned.fault, Fault::Kill(_))).count();
        assert_eq!(faults.len(), 400);
        assert!((250..350).contains(&kills), "{kills}");
        assert_eq!(faults.last().unwrap().number, 400);
    }
}
