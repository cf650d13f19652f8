//! What this machine can do to a cluster: every fault, and what faults rest on, is tried for real and taken away again.

mod mechanisms;

use std::fmt::Write;

use serde::Serialize;

use crate::faults::Usability;
use crate::schedule::Kind;

/// How well something works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It works.
    Usable,
    /// It works, but not as well as elsewhere.
    Degraded,
    /// It does not.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Its name; for a fault, as `--nemesis` has it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// How well it works here.
    pub state: State,
    /// Why not better, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Examined {
    fn new(name: &'static str, about: &'static str, usability: Usability) -> Examined {
        let (state, why) = match usability {
            Usability::Usable => (State::Usable, None),
            Usability::Degraded(why) => (State::Degraded, Some(why)),
            Usability::Missing(why) => (State::Missing, Some(why)),
        };
        Examined { name, about, state, why }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The families of faults.
    pub faults: Vec<Examined>,
    /// What they rest on.
    pub mechanisms: Vec<Examined>,
}

/// Looks at everything.
#[must_use]
pub fn examine() -> Report {
    let fault = |kind: &Kind| Examined::new(kind.name(), kind.about(), kind.usable());
    Report { faults: Kind::ALL.iter().map(fault).collect(), mechanisms: mechanisms::examine() }
}

impl Report {
    /// Which of these are missing, or not known at all; `all` means every one.
    ///
    /// # Errors
    /// A sentence that names one that is not known, and those that are.
    pub fn missing(&self, required: &[String]) -> Result<Vec<&Examined>, String> {
        let everything = || self.faults.iter().chain(&self.mechanisms);
        if let Some(unknown) = required
            .iter()
            .find(|name| *name != "all" && everything().all(|known| known.name != name.as_str()))
        {
            let known: Vec<&str> = everything().map(|known| known.name).collect();
            return Err(format!("nothing is called {unknown:?}: expected all, {}", known.join(", ")));
        }
        let is_required =
            |one: &&Examined| required.iter().any(|name| name == "all" || name.as_str() == one.name);
        Ok(everything().filter(is_required).filter(|one| one.state == State::Missing).collect())
    }

    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (title, list) in [("faults", &self.faults), ("what they rest on", &self.mechanisms)] {
            let _ = writeln!(text, "{title}");
            for Examined { name, about, state, why } in list {
                let state = match state {
                    State::Usable => "usable  ",
                    State::Degraded => "degraded",
                    State::Missing => "MISSING ",
                };
                let _ = writeln!(text, "  {state} {name:<20} {about}");
                if let Some(why) = why {
                    let _ = writeln!(text, "           {:<20} {why}", "");
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let missing = Usability::Missing("no such thing: get it".to_owned());
        Report {
            faults: vec![Examined::new("kill", "kills", Usability::Usable)],
            mechanisms: vec![Examined::new("fuse", "mounts", missing)],
        }
    }

    #[test]
    fn what_is_required_and_missing_is_named_and_what_is_unknown_refused() {
        let report = report();
        let names = |required: &str| {
            let missing = report.missing(&[required.to_owned()]);
            missing.map(|missing| missing.iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(names("kill"), Ok(vec![]));
        assert_eq!(names("all"), Ok(vec!["fuse"]));
        assert_eq!(names("fuse"), Ok(vec!["fuse"]));
        assert!(names("fire").unwrap_err().contains("kill, fuse"));
    }

    #[test]
    fn a_person_reads_what_is_missing_and_why() {
        let text = report().text();
        assert!(text.contains("MISSING  fuse") && text.contains("no such thing: get it"), "{text}");
    }
}
