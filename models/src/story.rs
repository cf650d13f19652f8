//! Counterexamples: a run that breaks a law, as a story to read and as a file to replay.

use std::fmt::Write as _;

use raft_core::{Entry, Index, Message, Mutant, MutantSwitch, Timer};
use serde::{Deserialize, Serialize};
use stateright::Model;

use crate::bounds::{Bounds, BoundsError};
use crate::cluster::{Action, Cluster};
use crate::filed::Filed;
use crate::members::Target;
use crate::property::Law;
use crate::state::State;
use crate::telling::entry;
use crate::world::{Envelope, Stimulus, World};

/// A run that ends with a broken law. Its steps name messages, not places in a table: the file means the same to every
/// build whose servers behave the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counterexample {
    /// Where it was found.
    pub scenario: String,
    /// The seeded bug that was on, if one was.
    pub mutant: Option<String>,
    /// How large that world is.
    pub bounds: Bounds,
    /// The law that is broken at the end.
    pub law: String,
    /// What happens.
    pub steps: Vec<Step>,
    /// What a fair schedule then does in vain, if that breaks the law; to be read, not looked at in a replay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub afterwards: Vec<Step>,
    /// What clients have seen by then, in the order of real time, where that is remembered; to be read as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
}

/// One thing that happens.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// To which server.
    pub server: u64,
    /// What.
    pub event: Occurrence,
    /// The messages that are lost for want of room.
    pub lost: Vec<Sent>,
    /// All servers afterwards, to be read; not looked at in a replay.
    #[serde(default)]
    pub after: Vec<String>,
}

/// What can happen to a server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Occurrence {
    /// A message arrives.
    Receives(Sent),
    /// A message arrives, and will again.
    ReceivesFirstOfTwo(Sent),
    /// A timer runs out.
    Timer(Timer),
    /// A command is proposed.
    Proposes(u8),
    /// A read is asked for.
    Reads(u8),
    /// Its host wants these members.
    Changes(Target),
    /// Its host ends a joint membership.
    LeavesJoint,
    /// Its host takes a snapshot, and the log goes.
    TakesSnapshot,
    /// Its host wants this server to lead.
    HandsOverTo(u64),
    /// It stops, and the last entry of its stored log is gone.
    LosesTail,
    /// The oldest outstanding write becomes durable, and the server learns of it.
    Syncs,
    /// It crashes; so many outstanding writes still reach its disk.
    Crashes {
        /// How many.
        kept: u8,
    },
    /// It starts again from its disk.
    Restarts,
}

/// A message with its envelope.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Who sent it.
    pub from: u64,
    /// To whom.
    pub to: u64,
    /// What it says.
    pub message: Message<u8>,
}

/// A counterexample that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file is not a counterexample.
    #[error("not a counterexample: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Its bounds make no sense.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// It is about a seeded bug.
    #[error("it needs the seeded bug {0:?}, which this build does not have (cargo feature `mutants`)")]
    NoSuchMutant(String),
    /// It is about a law that is not known.
    #[error("no law is called {0:?}")]
    NoSuchLaw(String),
    /// The servers behave differently now.
    #[error("step {step} cannot happen any more: {what}")]
    Impossible {
        /// Which step, from 1.
        step: usize,
        /// What should have happened.
        what: String,
    },
}

/// What a replay came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Replayed {
    /// The same steps, with what they lead to now.
    pub story: Counterexample,
    /// Whether the law is broken at the end.
    pub is_broken: bool,
}

impl Counterexample {
    /// Reads a saved one.
    ///
    /// # Errors
    /// Says where the text is wrong.
    pub fn from_json(text: &str) -> Result<Self, ReplayError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The text to save.
    ///
    /// # Errors
    /// None that can be foreseen.
    pub fn to_json(&self) -> Result<String, ReplayError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn new(cluster: &Cluster, scenario: &str, law: Law, way: &[Action]) -> Self {
        let mut steps = Vec::new();
        let mut state = cluster.init_states().pop();
        for action in way {
            let Some(before) = state else { break };
            let step = Step::of(cluster, &before, *action);
            state = cluster.next_state(&before, *action);
            steps.push(step.with_view(cluster, state.as_ref()));
        }
        Counterexample {
            scenario: scenario.to_owned(),
            mutant: name_of(cluster.world().mutant),
            bounds: *cluster.bounds(),
            law: law.name().to_owned(),
            steps,
            afterwards: state.map(|state| cluster.tell_after(&state, law)).unwrap_or_default(),
            clients: state.map(|state| cluster.seen_by_clients(&state)).unwrap_or_default(),
        }
    }

    /// Lets the same happen again, to the servers of this build.
    ///
    /// # Errors
    /// Where a step is impossible now, or the file is about something that this build does not have.
    pub fn replay(&self) -> Result<Replayed, ReplayError> {
        self.replay_with(switch(self.mutant.as_deref())?)
    }

    /// The same with a given seeded bug, or none, whatever the file says.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn replay_with(&self, mutant: MutantSwitch) -> Result<Replayed, ReplayError> {
        let mut steps = Vec::new();
        let law = self.known_law()?;
        let cluster = self.cluster(mutant)?;
        let mut last = cluster.init_states().pop();
        self.walk(&cluster, |cluster, before, action, next| {
            steps.push(Step::of(cluster, before, action).with_view(cluster, Some(next)));
            last = Some(*next);
        })?;
        let is_broken = last.as_ref().is_some_and(|state| !cluster.holds(state, law));
        let afterwards = last.as_ref().map(|state| cluster.tell_after(state, law)).unwrap_or_default();
        let clients = last.as_ref().map(|state| cluster.seen_by_clients(state)).unwrap_or_default();
        Ok(Replayed { story: Counterexample { steps, afterwards, clients, ..self.clone() }, is_broken })
    }

    fn known_law(&self) -> Result<Law, ReplayError> {
        let law = Law::ALL.into_iter().find(|law| law.name() == self.law);
        law.ok_or_else(|| ReplayError::NoSuchLaw(self.law.clone()))
    }

    /// The servers that this is about, and its law as their judge.
    pub(crate) fn cluster(&self, mutant: MutantSwitch) -> Result<Cluster, ReplayError> {
        let law = self.known_law()?;
        Ok(Cluster::with(self.bounds, mutant, false)?.judged_by(&[law]))
    }

    /// Takes the steps, one after the other; `each` hears of the state before, what happens, and the state after.
    pub(crate) fn walk(
        &self,
        cluster: &Cluster,
        mut each: impl FnMut(&Cluster, &State, Action, &State),
    ) -> Result<(), ReplayError> {
        let mut state = cluster.init_states().pop();
        for (place, saved) in self.steps.iter().enumerate() {
            let found = state.take().and_then(|before| {
                let mut actions = Vec::new();
                cluster.actions(&before, &mut actions);
                let action = actions.into_iter().find(|&a| Step::of(cluster, &before, a).is_same(saved))?;
                let next = cluster.next_state(&before, action)?;
                each(cluster, &before, action, &next);
                Some(next)
            });
            if found.is_none() {
                return Err(ReplayError::Impossible { step: place + 1, what: saved.to_string() });
            }
            state = found;
        }
        Ok(())
    }
}

fn name_of(mutant: MutantSwitch) -> Option<String> {
    Mutant::ALL.iter().find(|candidate| mutant.is(**candidate)).map(|found| found.name().to_owned())
}

pub(crate) fn switch(name: Option<&str>) -> Result<MutantSwitch, ReplayError> {
    let Some(name) = name else { return Ok(MutantSwitch::default()) };
    #[cfg(feature = "mutants")]
    if let Ok(mutant) = name.parse() {
        return Ok(MutantSwitch::on(mutant));
    }
    Err(ReplayError::NoSuchMutant(name.to_owned()))
}

impl Occurrence {
    pub(crate) fn of(world: &World, action: Action) -> Self {
        let sent = |number: u16| world.message(number).map(|posted| Sent::of(&posted.envelope));
        match action.stimulus {
            Stimulus::Receive(number) => match sent(number) {
                Some(sent) if action.again => Occurrence::ReceivesFirstOfTwo(sent),
                Some(sent) => Occurrence::Receives(sent),
                None => Occurrence::Restarts,
            },
            Stimulus::Timer(timer) => Occurrence::Timer(timer),
            Stimulus::Propose(command) => Occurrence::Proposes(command),
            Stimulus::Read(id) => Occurrence::Reads(id),
            Stimulus::Change(number) => {
                let target = world.bounds.changes.get(usize::from(number)).copied().flatten();
                target.map_or(Occurrence::LeavesJoint, Occurrence::Changes)
            }
            Stimulus::LeaveJoint => Occurrence::LeavesJoint,
            Stimulus::TakeSnapshot => Occurrence::TakesSnapshot,
            Stimulus::Transfer(to) => Occurrence::HandsOverTo(u64::from(to)),
            Stimulus::LoseTail => Occurrence::LosesTail,
            Stimulus::Sync => Occurrence::Syncs,
            Stimulus::Crash { kept } => Occurrence::Crashes { kept },
            Stimulus::Restart => Occurrence::Restarts,
        }
    }
}

impl Step {
    pub(crate) fn of(cluster: &Cluster, before: &State, action: Action) -> Self {
        let sent = |number: u16| cluster.world().message(number).map(|posted| Sent::of(&posted.envelope));
        let event = Occurrence::of(cluster.world(), action);
        let mut lost = Vec::new();
        let _ = cluster.apply(before, action, &mut lost);
        let lost = lost.into_iter().filter_map(sent).collect();
        Step { server: Cluster::id_of(action).0, event, lost, after: Vec::new() }
    }

    fn with_view(mut self, cluster: &Cluster, state: Option<&State>) -> Self {
        self.after = state.map(|state| cluster.servers(state).map(view).collect()).unwrap_or_default();
        self
    }

    /// Lost messages are a bag: their order says nothing.
    fn is_same(&self, other: &Step) -> bool {
        let mut rest = other.lost.clone();
        self.server == other.server
            && self.event == other.event
            && self.lost.iter().all(|lost| {
                let place = rest.iter().position(|candidate| candidate == lost);
                place.map(|place| rest.swap_remove(place)).is_some()
            })
            && rest.is_empty()
    }
}

impl Sent {
    pub(crate) fn of(envelope: &Envelope) -> Self {
        Sent { from: envelope.from.0, to: envelope.to.0, message: envelope.message.clone() }
    }
}

/// One server in one line: role, term, vote, commit index, log with what is durable before the bar, outstanding writes.
pub(crate) fn view(filed: &Filed) -> String {
    let server = &filed.server;
    let log = |base: Index, entries: &[Entry<u8>]| {
        let gone = Some(format!("..{base}")).filter(|_| base > Index::ZERO);
        gone.into_iter().chain(entries.iter().map(entry)).collect::<Vec<_>>().join(" ")
    };
    let stored = server.disk.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.last.index);
    let disk = format!("disk t{} [{}]", server.disk.hard_state.term, log(stored, &server.disk.entries));
    let Some(raft) = &server.raft else { return format!("{}: down, {disk}", server.id) };
    let entries: Vec<Entry<u8>> = raft.entries().cloned().collect();
    let vote = raft.hard_state().voted_for.map_or("-".to_owned(), |id| id.to_string());
    let mut text = format!(
        "{}: {:9} t{} vote {vote} commit {} [{}]",
        server.id,
        raft.role().name(),
        raft.term(),
        raft.commit(),
        log(raft.base().index, &entries)
    );
    if !server.queue.is_empty() {
        let _ = write!(text, ", {} to write, {disk}", server.queue.len());
    }
    text
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "server {}: ", self.server)?;
        match &self.event {
            Occurrence::Receives(sent) => write!(f, "receives {sent}")?,
            Occurrence::ReceivesFirstOfTwo(sent) => write!(f, "receives {sent} (and will again)")?,
            Occurrence::Timer(timer) => write!(f, "{timer:?} timer runs out")?,
            Occurrence::Proposes(command) => write!(f, "is proposed command {command}")?,
            Occurrence::Reads(id) => write!(f, "is asked for read {id}")?,
            Occurrence::Changes(target) => write!(f, "is asked to change the members to {target}")?,
            Occurrence::TakesSnapshot => f.write_str("takes a snapshot, and lets go of its log")?,
            Occurrence::HandsOverTo(to) => write!(f, "is asked to hand over to {to}")?,
            Occurrence::LosesTail => f.write_str("stops; the last entry on its disk is gone")?,
            Occurrence::LeavesJoint => f.write_str("is asked to leave the joint membership")?,
            Occurrence::Syncs => f.write_str("its oldest write becomes durable")?,
            Occurrence::Crashes { kept } => write!(f, "crashes; {kept} outstanding writes were kept")?,
            Occurrence::Restarts => f.write_str("restarts")?,
        }
        self.lost.iter().try_for_each(|lost| write!(f, "; lost: {lost}"))
    }
}
