//! How the steps of a plan are carried out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use futures::FutureExt;
use futures::future::BoxFuture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Injected, Nemesis, Waited};
use crate::faults::{Effect, Scene, Targets};
use crate::link::Traffic;
use crate::schedule::{Every, LinkId, NodeId, Planned, Schedule, Step, Until};
use crate::units::millis;

/// What is drawn when a fault fires comes from the stream of the seed with this number and the fault's own added: no other
/// stream of the harness is so high.
const FIRE_STREAM: u64 = 1 << 32;
/// The least time one turn of a flip-flop takes.
const LEAST_TURN: Duration = Duration::from_millis(20);

/// One schedule being carried out.
pub(super) struct Carrying<'a> {
    nemesis: &'a Nemesis,
    schedule: &'a Schedule,
    start: Instant,
    /// Ends everything: the clients' time is up, or a fault could not be injected.
    over: CancellationToken,
    state: Mutex<State>,
    /// Taken for writing by a fault that no other may overlap.
    company: RwLock<()>,
}

#[derive(Default)]
struct State {
    dice: HashMap<u64, ChaCha8Rng>,
    holds: HashMap<Hold, u64>,
    injected: Vec<Injected>,
    waited: Vec<Waited>,
}

/// Something that a family does to somebody; two of its faults may do it at the same time, and the last one heals it.
type Hold = (crate::faults::Kind, Target);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    Node(NodeId),
    Link(LinkId),
}

impl<'a> Carrying<'a> {
    pub(super) fn new(
        nemesis: &'a Nemesis,
        schedule: &'a Schedule,
        start: std::time::Instant,
        stop: &CancellationToken,
    ) -> Carrying<'a> {
        let over = stop.child_token();
        let start = Instant::from_std(start);
        Carrying { nemesis, schedule, start, over, state: Mutex::default(), company: RwLock::default() }
    }

    /// Carries out the whole plan; everything is healed when this returns.
    pub(super) async fn all(self) -> anyhow::Result<(Vec<Injected>, Vec<Waited>)> {
        let stop = self.over.clone();
        self.step(&self.schedule.plan, self.start, stop).await?;
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut injected = state.injected;
        injected.sort_by_key(|fault| fault.at_ms);
        Ok((injected, state.waited))
    }

    fn step<'b>(
        &'b self,
        step: &'b Step,
        begin: Instant,
        stop: CancellationToken,
    ) -> BoxFuture<'b, anyhow::Result<()>> {
        async move {
            let done = self.perform(step, begin, &stop).await;
            if done.is_err() {
                // The others heal what they hold, and return.
                self.over.cancel();
            }
            done
        }
        .boxed()
    }

    async fn perform(&self, step: &Step, begin: Instant, stop: &CancellationToken) -> anyhow::Result<()> {
        match step {
            Step::Inject(planned) => self.fault(planned, begin, stop).await,
            Step::WaitMs(ms) => {
                until(begin + Duration::from_millis(*ms), stop).await;
                Ok(())
            }
            Step::Sequence(steps) => self.in_turn(steps, begin, stop).await,
            Step::Parallel(steps) => {
                let all = steps.iter().map(|step| self.step(step, begin, stop.clone()));
                futures::future::join_all(all).await.into_iter().collect()
            }
            Step::FlipFlop(steps) => {
                while !stop.is_cancelled() {
                    let begin = Instant::now();
                    self.in_turn(steps, begin, stop).await?;
                    until(begin + LEAST_TURN, stop).await;
                }
                Ok(())
            }
            Step::Every(every) => self.every(every, begin, stop).await,
            Step::Until(until) => self.until(until, stop).await,
            // Schedules are checked before they are carried out: the choices of each are drawn.
            Step::Mix(_) => bail!("a \"mix\" whose choices were not drawn: complete the schedule first"),
        }
    }

    async fn in_turn(
        &self,
        steps: &[Step],
        mut begin: Instant,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        for step in steps {
            if stop.is_cancelled() {
                break;
            }
            self.step(step, begin, stop.clone()).await?;
            begin = Instant::now();
        }
        Ok(())
    }

    async fn every(&self, every: &Every, begin: Instant, stop: &CancellationToken) -> anyhow::Result<()> {
        let period = Duration::from_millis(every.period_ms);
        let mut next = begin;
        loop {
            until(next, stop).await;
            if stop.is_cancelled() {
                return Ok(());
            }
            self.step(&every.step, next, stop.clone()).await?;
            next += period;
            while next < Instant::now() {
                next += period;
            }
        }
    }

    async fn until(&self, until: &Until, stop: &CancellationToken) -> anyhow::Result<()> {
        let inner = stop.child_token();
        let from_ms = self.now_ms();
        let witness = &self.nemesis.witness;
        let awaited = witness.begin(until.condition).await;
        let watching = async {
            let holds = witness.holds(awaited);
            let within = until.within_ms.map(Duration::from_millis);
            let late = async {
                match within {
                    Some(within) => tokio::time::sleep(within).await,
                    None => std::future::pending().await,
                }
            };
            let met = tokio::select! {
                biased;
                () = inner.cancelled() => false,
                () = holds => true,
                () = late => false,
            };
            let waited = Waited { condition: until.condition, from_ms, to_ms: self.now_ms(), met };
            self.state().waited.push(waited);
            inner.cancel();
        };
        let acting = async {
            match &until.step {
                Some(step) => self.step(step, Instant::now(), inner.clone()).await,
                None => Ok(()),
            }
        };
        tokio::join!(acting, watching).0
    }

    /// One fault, from injecting to healing.
    async fn fault(&self, planned: &Planned, begin: Instant, stop: &CancellationToken) -> anyhow::Result<()> {
        let at = begin + Duration::from_millis(planned.at_ms);
        until(at, stop).await;
        let alone = async {
            if planned.fault.kind().is_alone() {
                (Some(self.company.write().await), None)
            } else {
                (None, Some(self.company.read().await))
            }
        };
        let _company = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            company = alone => company,
        };
        // One that had to wait for its turn lasts as long as planned all the same.
        let fired = if at.elapsed() < LEAST_TURN { at } else { Instant::now() };
        let cluster = &self.nemesis.cluster;
        let scene = Scene { cluster };
        let (on, what) = self.aim(planned).await;
        let before = cluster.traffic(&on.links);
        let at_ms = self.now_ms();
        let kind = planned.fault.kind();
        self.nemesis.say(kind.name(), &what)?;
        self.hold(kind, &on);
        let mut effect = Effect::default();
        let injected = planned.fault.inject(&scene, &on, &mut effect).await;
        let held = injected.map_err(|error| error.context(format!("cannot inject a fault: {what}")))?;
        match planned.duration_ms {
            Some(duration) => until(fired + Duration::from_millis(duration), stop).await,
            None => stop.cancelled().await,
        }
        held.heal(&scene, &self.release(kind, &on), &mut effect).await;
        let traffic: Traffic = cluster.traffic(&on.links).since(&before);
        let effective = planned.fault.had_effect(&effect, &traffic);
        let healed_at_ms = self.now_ms();
        let done = if effective { "" } else { " (it had no effect)" };
        self.nemesis.say(&format!("heal-{}", kind.name()), &format!("{what}{done}"))?;
        self.state().injected.push(Injected {
            planned: planned.clone(),
            kind,
            at_ms,
            healed_at_ms,
            nodes: on.nodes,
            links: on.links,
            traffic,
            effective,
            what,
            errors: effect.errors,
        });
        Ok(())
    }

    /// Finds out whom a fault hits now, and says so.
    async fn aim(&self, planned: &Planned) -> (Targets, String) {
        let Planned { fault, number, .. } = planned;
        let nodes = self.nemesis.cluster.nodes().len() as u64;
        let Some(victims) = fault.victims() else {
            return (Targets { nodes: Vec::new(), links: fault.links(&[], nodes) }, fault.to_string());
        };
        let leader = if victims.needs_leader() { self.nemesis.observer.leader().await } else { None };
        let mut state = self.state();
        let dice = state.dice.entry(*number).or_insert_with(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.schedule.seed);
            rng.set_stream(FIRE_STREAM + number);
            rng
        });
        let hit = victims.resolve(nodes, leader, dice);
        let links = fault.links(&hit.nodes, nodes);
        let what = fault.words(&hit.whom);
        // What is done to links is told by its links.
        let nodes = if links.is_empty() { hit.nodes } else { Vec::new() };
        (Targets { nodes, links }, what)
    }

    fn hold(&self, kind: crate::faults::Kind, on: &Targets) {
        let mut state = self.state();
        for target in targets(on) {
            *state.holds.entry((kind, target)).or_default() += 1;
        }
    }

    /// Lets go, and returns those that nobody else of the family holds.
    fn release(&self, kind: crate::faults::Kind, on: &Targets) -> Targets {
        let mut state = self.state();
        let mut is_free = |target: Target| {
            let Some(count) = state.holds.get_mut(&(kind, target)) else { return true };
            *count = count.saturating_sub(1);
            *count == 0
        };
        Targets {
            nodes: on.nodes.iter().copied().filter(|id| is_free(Target::Node(*id))).collect(),
            links: on.links.iter().copied().filter(|id| is_free(Target::Link(*id))).collect(),
        }
    }

    fn now_ms(&self) -> u64 {
        millis(self.start.elapsed())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn targets(on: &Targets) -> impl Iterator<Item = Target> {
    let links = on.links.iter().copied().map(Target::Link);
    on.nodes.iter().copied().map(Target::Node).chain(links)
}

/// Waits for that moment, or until all is to be over.
async fn until(moment: Instant, stop: &CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tokio::time::sleep_until(moment) => {}
    }
}
