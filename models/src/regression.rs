//! A counterexample as a test of the core's own suite: Rust source that lets the same happen, step by step.
//!
//! Messages are not written out. A step that receives one says which step sent it, so that the test delivers what the core of
//! its day sends: whatever that is, it is a run that can happen, and no law may be broken in it.

use std::fmt::Write as _;

use raft_core::{Change, MutantSwitch};

use crate::bounds::Bounds;
use crate::cluster::{Action, Cluster};
use crate::members::{Group, Target};
use crate::state::State;
use crate::story::{Counterexample, Occurrence, ReplayError, Sent, Step, switch};

impl Counterexample {
    /// The source of a test of `raft-core`, for its `tests/suite/replayed`, where the steps are defined: the same happens, and
    /// no law is broken. If this is about a seeded bug there is a second test: that with it a law is.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn regression(&self) -> Result<String, ReplayError> {
        self.regression_with(switch(self.mutant.as_deref())?)
    }

    /// The same where the seeded bug is given, whatever the file says.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn regression_with(&self, mutant: MutantSwitch) -> Result<String, ReplayError> {
        let calls = self.calls(mutant)?;
        // So far the sound core does the same.
        let departs = match self.replay_with(MutantSwitch::default()) {
            Ok(_) => None,
            Err(ReplayError::Impossible { step, .. }) => Some(step),
            Err(other) => return Err(other),
        };
        let mut text = format!("//! Made by `plumbline model regress`: {}", self.law);
        if let Some(mutant) = &self.mutant {
            let _ = write!(text, ", broken by the seeded bug {mutant}");
        }
        let _ = write!(
            text,
            ".\n\nuse super::run::*;\n\n{}\nfn happens(run: &mut Run) {{\n",
            world(&self.bounds)
        );
        for (number, (step, call)) in (1..).zip(self.steps.iter().zip(calls)) {
            if departs == Some(number) {
                text.push_str("    // The sound core does not go on like this.\n    run.departs();\n");
            }
            let _ = writeln!(text, "    // {number}. {}\n    run.{call};", without_losses(step));
        }
        let law = identifier(&self.law);
        let _ = write!(text, "}}\n\n#[test]\nfn keeps_{law}() {{\n    WORLD.holds(happens);\n}}\n");
        if let Some(mutant) = &self.mutant {
            let (name, variant, words) = (identifier(mutant), variant(mutant), &self.law);
            let _ = write!(
                text,
                "\n#[test]\nfn breaks_{law}_with_{name}() {{\n    WORLD.breaks(Mutant::{variant}, {words:?}, happens);\n}}\n"
            );
        }
        Ok(text)
    }

    /// Each step as a call.
    fn calls(&self, mutant: MutantSwitch) -> Result<Vec<String>, ReplayError> {
        let mut calls = Vec::new();
        let mut sent: Vec<Vec<Sent>> = Vec::new();
        self.walk(&self.cluster(mutant)?, |cluster, before, action, _| {
            calls.push(call(cluster, before, action, &sent));
            sent.push(cluster.sends(before, action));
        })?;
        Ok(calls)
    }
}

/// What happens, as a call of a method of the suite's `Run`.
fn call(cluster: &Cluster, before: &State, action: Action, sent: &[Vec<Sent>]) -> String {
    let server = Cluster::id_of(action).0;
    match Occurrence::of(cluster.world(), action) {
        Occurrence::Receives(message) | Occurrence::ReceivesFirstOfTwo(message) => {
            let (step, nth) = origin(&message, sent);
            format!("receives({server}, {step}, {nth})")
        }
        Occurrence::Timer(timer) => format!("fires({server}, Timer::{timer:?})"),
        Occurrence::Proposes(_) => format!("proposes({server})"),
        Occurrence::Reads(_) => format!("reads({server})"),
        Occurrence::Changes(target) => {
            let changes = changes(cluster, before, action, target).join(", ");
            let transition = if target.by_hand { "Explicit" } else { "Auto" };
            format!("changes({server}, &[{changes}], Transition::{transition})")
        }
        Occurrence::LeavesJoint => format!("leaves_joint({server})"),
        Occurrence::TakesSnapshot => format!("takes_snapshot({server})"),
        Occurrence::HandsOverTo(to) => format!("hands_over({server}, {to})"),
        Occurrence::LosesTail => format!("loses_tail({server})"),
        Occurrence::Syncs => format!("syncs({server})"),
        Occurrence::Crashes { kept } => format!("crashes({server}, {kept})"),
        Occurrence::Restarts => format!("restarts({server})"),
    }
}

/// The latest step (from 1) that sent this message, and how many it had sent to the same server before.
fn origin(message: &Sent, sent: &[Vec<Sent>]) -> (usize, usize) {
    let place =
        |sends: &Vec<Sent>| sends.iter().filter(|to_it| to_it.to == message.to).position(|m| m == message);
    let found = (1..).zip(sent).filter_map(|(step, sends)| Some((step, place(sends)?))).last();
    // Nothing arrives that nobody has sent.
    found.unwrap_or_default()
}

fn changes(cluster: &Cluster, before: &State, action: Action, target: Target) -> Vec<String> {
    let server = cluster.servers(before).nth(usize::from(action.server));
    let Some(raft) = server.and_then(|filed| filed.server.raft.as_ref()) else { return Vec::new() };
    let changes = target.changes(raft.membership(), cluster.bounds().ids());
    let describe = |change: &Change| match change {
        Change::Voter(id) => format!("Change::Voter(NodeId({id}))"),
        Change::Promote(id) => format!("Change::Promote(NodeId({id}))"),
        Change::Learner(id) => format!("Change::Learner(NodeId({id}))"),
        Change::Remove(id) => format!("Change::Remove(NodeId({id}))"),
    };
    changes.iter().map(describe).collect()
}

/// A constant with these bounds, as far as they concern a single run.
fn world(bounds: &Bounds) -> String {
    let plain = Bounds::SMALLEST;
    let mut fields = Vec::new();
    if bounds.servers != plain.servers {
        fields.push(format!("servers: {}", bounds.servers));
    }
    let group = |group: Group| Vec::from(group);
    for (name, members) in [("learners", bounds.learners), ("outsiders", bounds.outsiders)] {
        if !members.is_empty() {
            fields.push(format!("{name}: &{:?}", group(members)));
        }
    }
    if bounds.append_entries != plain.append_entries {
        fields.push(format!("append_entries: {}", bounds.append_entries));
    }
    let flags = [
        ("pre_vote", bounds.pre_vote),
        ("check_quorum", bounds.pre_vote || bounds.contact_timer),
        ("forward", bounds.forwarded_reads),
        ("slow_disks", bounds.slow_writes > 0),
    ];
    fields.extend(flags.into_iter().filter(|(_, is)| *is).map(|(name, _)| format!("{name}: true")));
    if bounds.snapshot_parts > 1 {
        fields.push(format!("snapshot_parts: {}", bounds.snapshot_parts));
    }
    match fields.is_empty() {
        true => "const WORLD: World = World::PLAIN;\n".to_owned(),
        false => format!("const WORLD: World = World {{ {}, ..World::PLAIN }};\n", fields.join(", ")),
    }
}

/// A message that is lost is one that is never received.
fn without_losses(step: &Step) -> Step {
    Step { lost: Vec::new(), after: Vec::new(), ..step.clone() }
}

fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The seeded bug's name as the core's type has it.
fn variant(mutant: &str) -> String {
    let found = raft_core::Mutant::ALL.iter().find(|candidate| candidate.name() == mutant);
    found.map(|mutant| format!("{mutant:?}")).unwrap_or_default()
}
