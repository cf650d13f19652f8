//! The model: what can happen next, and what comes of it.

mod compare;
mod model;
mod serve;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

use raft_core::{MutantSwitch, NodeId, ReadOutcome, Timer};

use crate::bounds::{Bounds, BoundsError};
use crate::clients::Judge;
use crate::fair::Fair;
use crate::filed::Filed;
use crate::ghost::Ghost;
use crate::property::{Flags, Law, Witness};
use crate::state::{Network, State};
use crate::story::Sent;
use crate::world::{Defect, Outcome, Stimulus, World, print};

/// One thing that happens to one server, and which messages are lost for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// Its place, from 0.
    pub(crate) server: u8,
    pub(crate) stimulus: Stimulus,
    /// The message stays in flight and will arrive again.
    pub(crate) again: bool,
    /// A bit for each message that is lost: first those in flight, then those sent now.
    pub(crate) lost: u16,
}

/// A cluster of real [`Raft`](raft_core::Raft) values within [`Bounds`], and everything that may happen to it.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    world: World,
    fair: Option<Fair>,
    judge: Judge,
    /// The laws that count.
    laws: Flags,
    seen: AtomicU32,
    expanded: AtomicU64,
    stopped: AtomicBool,
    defect: AtomicU16,
}

impl Cluster {
    /// A cluster within these bounds.
    ///
    /// # Errors
    /// Bounds out of range.
    pub fn new(bounds: Bounds) -> Result<Self, BoundsError> {
        Cluster::with(bounds, MutantSwitch::default(), true)
    }

    /// A cluster of servers with a seeded bug; and, if not `symmetric`, one in which renamed servers are different ones.
    ///
    /// # Errors
    /// Bounds out of range.
    pub fn with(bounds: Bounds, mutant: MutantSwitch, symmetric: bool) -> Result<Self, BoundsError> {
        bounds.check()?;
        let shared = Shared {
            world: World::new(bounds, mutant, symmetric),
            fair: Fair::new(bounds, mutant),
            judge: Judge::default(),
            laws: Flags(u32::MAX),
            seen: AtomicU32::new(0),
            expanded: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            defect: AtomicU16::new(0),
        };
        Ok(Cluster { shared: Arc::new(shared) })
    }

    /// A cluster in which only these laws count. The others may be broken and the search goes on.
    #[must_use]
    pub fn judged_by(mut self, laws: &[Law]) -> Self {
        let mut flags = Flags::NONE;
        laws.iter().for_each(|law| flags.add(Flags::law(*law)));
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.laws = flags;
        }
        self
    }

    /// Whether this law is looked at here: one that is not is no law that holds.
    pub(crate) fn is_judged_by(&self, law: Law) -> bool {
        let is_asked = match law {
            Law::Liveness => self.shared.fair.is_some(),
            Law::LinearizableHistory => self.bounds().clients,
            _ => true,
        };
        is_asked && self.shared.laws.has(Flags::law(law))
    }

    /// Its bounds.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.world().bounds
    }

    pub(crate) fn world(&self) -> &World {
        &self.shared.world
    }

    /// Whether this was seen to happen, in any state within the bounds.
    #[must_use]
    pub fn has_seen(&self, witness: Witness) -> bool {
        Flags(self.shared.seen.load(Ordering::Relaxed)).has(Flags::witness(witness))
    }

    /// Lets a search run dry: no state has successors any more.
    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }

    /// How many states were asked for their successors.
    pub(crate) fn expanded(&self) -> u64 {
        self.shared.expanded.load(Ordering::Relaxed)
    }

    /// Why the search cannot be complete, if it cannot.
    pub(crate) fn defect(&self) -> Option<Defect> {
        match self.shared.defect.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Defect::Full),
            2 => Some(Defect::Asymmetric),
            _ => Some(Defect::Undecided),
        }
    }

    fn fail(&self, defect: Defect) {
        let number = match defect {
            Defect::Full => 1,
            Defect::Asymmetric => 2,
            Defect::Undecided => 3,
        };
        self.shared.defect.store(number, Ordering::Relaxed);
        self.stop();
    }

    fn react(&self, state: &State, server: u8, stimulus: Stimulus) -> Option<&Outcome> {
        let number = state.servers.get(usize::from(server))?;
        match self.world().react(*number, stimulus) {
            Ok(outcome) => outcome,
            Err(defect) => {
                self.fail(defect);
                None
            }
        }
    }

    pub(crate) fn servers<'a>(&'a self, state: &State) -> impl Iterator<Item = &'a Filed> + use<'a> {
        let numbers = state.servers.into_iter().take(self.bounds().servers);
        numbers.filter_map(|number| self.world().server(number))
    }

    pub(crate) fn in_flight(&self, state: &State) -> impl Iterator<Item = Sent> + use<'_> {
        let numbers = state.network.as_slice().to_vec();
        numbers.into_iter().filter_map(|number| self.world().message(number)).map(|m| Sent::of(&m.envelope))
    }

    pub(crate) fn ghost<'a>(&'a self, state: &State) -> Option<&'a Ghost> {
        self.world().ghost(state.ghost).map(|remembered| &remembered.ghost)
    }

    /// Everything that may happen to a server, whether or not it makes sense just now.
    fn stimuli(&self, state: &State, filed: &Filed, each: &mut impl FnMut(Stimulus)) {
        let bounds = self.bounds();
        if filed.server.raft.is_none() {
            return each(Stimulus::Restart);
        }
        if filed.is_leader {
            each(Stimulus::Timer(Timer::Heartbeat));
            if state.proposals < bounds.proposals {
                each(Stimulus::Propose(state.proposals));
            }
            if state.reads < bounds.reads {
                each(Stimulus::Read(state.reads));
            }
            let open = (0..)
                .zip(&bounds.changes)
                .filter(|(n, target)| target.is_some() && state.changes & 1 << n == 0);
            open.for_each(|(number, _)| each(Stimulus::Change(number)));
            if state.transfers < bounds.transfers {
                let others = bounds.ids().filter(|id| *id != filed.server.id);
                others.for_each(|id| each(Stimulus::Transfer(id.0 as u8)));
            }
            if filed.is_joint_by_hand {
                each(Stimulus::LeaveJoint);
            }
        } else {
            each(Stimulus::Timer(Timer::Election));
            if bounds.forwarded_reads && state.reads < bounds.reads {
                each(Stimulus::Read(state.reads));
            }
        }
        if state.lost_tails < bounds.lost_tails {
            each(Stimulus::LoseTail);
        }
        if bounds.contact_timer {
            each(Stimulus::Timer(Timer::Contact));
        }
        if state.snapshots < bounds.snapshots {
            each(Stimulus::TakeSnapshot);
        }
        let outstanding = filed.server.queue.len() as u8;
        if outstanding > 0 {
            each(Stimulus::Sync);
        }
        if state.crashes < bounds.crashes {
            (0..=outstanding).for_each(|kept| each(Stimulus::Crash { kept }));
        }
    }

    /// Adds an action for each way in which messages may be lost for it.
    fn add(&self, state: &State, server: u8, stimulus: Stimulus, again: bool, actions: &mut Vec<Action>) {
        let Some(outcome) = self.react(state, server, stimulus) else { return };
        let mut network = state.network;
        if let Stimulus::Receive(message) = stimulus
            && !again
        {
            network.remove(message);
        }
        let afloat = network.as_slice().len() + outcome.sends.len();
        let too_many = afloat.saturating_sub(self.bounds().in_flight);
        let masks = 0..1u16.checked_shl(afloat as u32).unwrap_or(u16::MAX);
        let masks = masks.filter(|mask| mask.count_ones() as usize == too_many);
        actions.extend(masks.map(|lost| Action { server, stimulus, again, lost }));
    }

    /// Sends messages, and loses those of all under way that the mask `losses` has a bit for.
    fn send(&self, network: &mut Network, sends: &[u16], losses: u16, lost: &mut Vec<u16>) {
        if losses == 0 {
            sends.iter().for_each(|&message| network.add(message));
            return;
        }
        let afloat = *network;
        *network = Network::EMPTY;
        for (place, &message) in afloat.as_slice().iter().chain(sends).enumerate() {
            if losses & (1 << place) == 0 {
                network.add(message);
            } else {
                lost.push(message);
            }
        }
    }

    /// What is sent for an action, in this order, lost or not.
    pub(crate) fn sends(&self, before: &State, action: Action) -> Vec<Sent> {
        let outcome = self.react(before, action.server, action.stimulus);
        let posted = outcome.into_iter().flat_map(|outcome| &outcome.sends);
        posted.filter_map(|&number| self.world().message(number)).map(|m| Sent::of(&m.envelope)).collect()
    }

    /// What comes of an action, and which messages it loses.
    pub(crate) fn apply(
        &self,
        before: &State,
        action: Action,
        lost: &mut Vec<u16>,
    ) -> Option<(State, Flags)> {
        let outcome = self.react(before, action.server, action.stimulus)?;
        let mut state = *before;
        let mut seen = outcome.seen;
        if let Stimulus::Receive(message) = action.stimulus {
            if action.again {
                state.duplicates += 1;
                seen.add(Flags::witness(Witness::MessageDuplicated));
            } else {
                state.network.remove(message);
            }
        }
        self.send(&mut state.network, &outcome.sends, action.lost, lost);
        seen.add_if(!lost.is_empty(), Flags::witness(Witness::MessageLost));
        *state.servers.get_mut(usize::from(action.server))? = outcome.server;
        let floor = self.ghost(before)?.committed_to() as u8 + 1;
        match action.stimulus {
            Stimulus::Propose(_) => state.proposals += 1,
            Stimulus::Crash { .. } => state.crashes += 1,
            Stimulus::TakeSnapshot => state.snapshots += 1,
            Stimulus::Transfer(_) => state.transfers += 1,
            Stimulus::LoseTail => state.lost_tails += 1,
            Stimulus::Change(number) => state.changes |= 1 << number,
            Stimulus::Read(id) => {
                *state.floors.get_mut(usize::from(id))? = floor;
                state.reads += 1;
            }
            _ => {}
        }
        let installs = seen.has(Flags::witness(Witness::SnapshotInstalled));
        seen.add_if(installs && state.crashes > 0, Flags::witness(Witness::InstalledAfterCrash));
        state.broken.add(outcome.broken);
        self.remember(&mut state, action, outcome, &mut seen)?;
        self.settle_reads(&mut state, outcome);
        self.compare(before, &mut state, action.server, outcome);
        state.broken.0 &= self.shared.laws.0;
        state.print = self.fingerprint(&state);
        Some((state, seen))
    }

    /// History: elections, what is applied, and what clients see.
    fn remember(&self, state: &mut State, action: Action, outcome: &Outcome, seen: &mut Flags) -> Option<()> {
        let is_noticed = self.is_noticed(state, action, outcome);
        if outcome.elected.is_none() && outcome.applied.is_empty() && !is_noticed {
            return Some(());
        }
        let mut ghost = self.ghost(state)?.clone();
        if let Some(elected) = &outcome.elected {
            let is_later = ghost.elect(elected, &mut state.broken);
            seen.add_if(is_later, Flags::witness(Witness::SecondLeader));
            seen.add_if(state.crashes > 0, Flags::witness(Witness::ElectedAfterCrash));
        }
        for applied in &outcome.applied {
            let is_first = ghost.apply(&applied.entry, outcome.term, &mut state.broken);
            if is_first && !self.is_durable(state, applied) {
                state.broken.add(Flags::law(Law::DurableCommit));
            }
            seen.add_if(state.crashes > 0, Flags::witness(Witness::AppliedAfterCrash));
        }
        if is_noticed {
            self.serve(&mut ghost, state, action, outcome, seen);
        }
        match self.world().remember(ghost) {
            Ok(number) => state.ghost = number,
            Err(defect) => self.fail(defect),
        }
        Some(())
    }

    /// A read must not be served at an index before what was committed when it was asked for (diss. 6.4).
    fn settle_reads(&self, state: &mut State, outcome: &Outcome) {
        for read in &outcome.reads {
            let (ReadOutcome::Ready { id, .. } | ReadOutcome::Aborted { id }) = *read;
            let Some(floor) = state.floors.get_mut(id.0 as usize) else { continue };
            if let ReadOutcome::Ready { index, .. } = *read {
                let is_stale = index.next().0 < u64::from(*floor);
                state.broken.add_if(is_stale, Flags::law(Law::LinearizableReads));
            }
            *floor = 0;
        }
        for id in &outcome.dropped_reads {
            if let Some(floor) = state.floors.get_mut(id.0 as usize) {
                *floor = 0;
            }
        }
    }

    /// The smallest among the fingerprints of all images of a state, so that one of them stands for all.
    fn fingerprint(&self, state: &State) -> u64 {
        match self.world().permutations.len() {
            0..=6 => self.smallest::<6>(state),
            7..=24 => self.smallest::<24>(state),
            _ => self.smallest::<120>(state),
        }
    }

    fn smallest<const MOST: usize>(&self, state: &State) -> u64 {
        let mut sums = [print(&state.rest()); MOST];
        let mut add = |prints: &[u64]| {
            sums.iter_mut().zip(prints).for_each(|(sum, print)| *sum = sum.wrapping_add(*print));
        };
        self.servers(state).for_each(|filed| add(&filed.prints));
        for &message in state.network.as_slice() {
            if let Some(posted) = self.world().message(message) {
                add(&posted.prints);
            }
        }
        if let Some(remembered) = self.world().ghost(state.ghost) {
            add(&remembered.prints);
        }
        let smallest = sums.iter().take(self.world().permutations.len()).min();
        smallest.copied().unwrap_or_default()
    }

    /// Whether a state is one to look at.
    pub(crate) fn is_within_bounds(&self, state: &State) -> bool {
        self.servers(state).all(|filed| filed.is_within_bounds)
    }

    pub(crate) fn id_of(action: Action) -> NodeId {
        NodeId(u64::from(action.server) + 1)
    }
}
