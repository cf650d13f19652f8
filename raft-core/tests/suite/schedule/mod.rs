//! Random schedules: what may happen to a cluster, as data that proptest can draw and shrink.
//!
//! Uniform random choices hardly ever reach deep scenarios such as Figure 8; so beside the small steps there are large ones
//! (an election among some servers, a bounded exchange between some) from which those scenarios are short.

use proptest::collection::vec;
use proptest::prelude::*;
use raft_core::{Config, NodeId, Timer, Transition};

use crate::cluster::Cluster;

mod act;

use act::act;

/// A set of servers, as a bit mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Servers(pub u8);

/// The servers whose disks do nothing meanwhile.
pub type Slow = Servers;

/// One thing that happens. Servers are counted from 0 and wrap around.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Deliver(u8),
    Lose(u8),
    Duplicate(u8),
    Timer(u8, Timer),
    Propose(u8),
    ProposeToLeader,
    Read(u8),
    Sync(u8),
    Report(u8, bool),
    Crash(u8, u8),
    Restart(u8),
    /// A crash and a restart.
    Bounce(u8, u8),
    /// All messages under way between these servers and the others are lost.
    Cut(Servers),
    /// A server campaigns among some, for so many messages. Done `afresh`, everything under way is lost before, and a leader
    /// among them gives up for want of a quorum.
    Elect(Election),
    /// Some servers talk, for so many messages.
    Exchange(Servers, u8, Slow),
    /// The leader makes itself heard among some, for so many messages.
    Heartbeat(Servers, u8),
    /// A server's host takes a snapshot and keeps so many entries.
    Compact(u8, u8),
    /// A server's host reads what is wanted of its snapshot.
    Serve(u8),
    /// The leader is told to change what servers are.
    Change(Vec<(Becomes, u8)>, Transition),
    LeaveJoint,
    /// The leader is told to give up its office: to this server, to any, or to nobody.
    HandOver(Option<u8>),
    StepDown,
    ForgetLeader(u8),
    RequestSnapshot(u8),
    /// A crash, after which the log is found to have lost its end: so many entries are left, and its length is known or not.
    Rot(u8, u8, bool),
    CheckQuorum(u8, bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Becomes {
    Voter,
    Promoted,
    Learner,
    Nothing,
}

/// See [`Action::Elect`].
#[derive(Clone, Debug, PartialEq)]
pub struct Election {
    candidate: u8,
    among: Servers,
    budget: u8,
    slow: Slow,
    afresh: bool,
}

/// A schedule for a cluster of some size.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub servers: usize,
    /// Servers that are no members at first.
    pub spares: usize,
    pub pre_vote: bool,
    pub forward: bool,
    /// Servers with a higher id have a higher priority; commits are announced; only what is durable is executed.
    pub ranked: bool,
    pub announced: bool,
    pub durable: bool,
    pub actions: Vec<Action>,
    /// At the end everything is healed, but one server may stay away: then something must get done.
    pub heals: bool,
}

/// Everything, among any servers.
fn storm() -> impl Strategy<Value = Action> {
    let some = || any::<u8>().prop_map(Servers);
    prop_oneof![
        6 => any::<u8>().prop_map(Action::Deliver),
        1 => any::<u8>().prop_map(Action::Lose),
        2 => any::<u8>().prop_map(Action::Duplicate),
        2 => (any::<u8>(), timer()).prop_map(|(s, t)| Action::Timer(s, t)),
        1 => any::<u8>().prop_map(Action::Propose),
        3 => Just(Action::ProposeToLeader),
        2 => any::<u8>().prop_map(Action::Read),
        3 => any::<u8>().prop_map(Action::Sync),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(s, newest)| Action::Report(s, newest)),
        1 => (any::<u8>(), 0..3u8).prop_map(|(s, kept)| Action::Crash(s, kept)),
        3 => any::<u8>().prop_map(Action::Restart),
        1 => (any::<u8>(), 0..2u8).prop_map(|(s, kept)| Action::Bounce(s, kept)),
        1 => some().prop_map(Action::Cut),
        6 => elect(some(), 1..24u8, Just(false)),
        5 => (some(), 1..16u8, slow()).prop_map(|(m, b, slow)| Action::Exchange(m, b, slow)),
        3 => (some(), 1..16u8).prop_map(|(m, b)| Action::Heartbeat(m, b)),
    ]
}

/// Elections and partial replication between pairs, and little else: what Figure 8 is made of.
fn duel() -> impl Strategy<Value = Action> {
    let pair = || (0..4u8).prop_map(|bit| Servers(1 << bit));
    // Few enough messages to stop between the copies of two entries.
    let budget = || prop_oneof![3 => 2..9u8, 1 => Just(24)];
    prop_oneof![
        8 => elect(pair(), budget(), any::<bool>()),
        1 => Just(Action::ProposeToLeader),
        2 => any::<u8>().prop_map(Action::Duplicate),
        1 => any::<u8>().prop_map(|s| Action::Bounce(s, 0)),
        2 => (pair(), 1..8u8).prop_map(|(m, b)| Action::Heartbeat(m, b)),
        1 => (any::<u8>().prop_map(Servers), 1..16u8, slow()).prop_map(|(m, b, slow)| Action::Exchange(m, b, slow)),
    ]
}

/// Everything that changes who the members are, who leads and what is left of the logs, besides the usual.
fn upheaval() -> impl Strategy<Value = Action> {
    let becomes = prop_oneof![
        3 => Just(Becomes::Voter),
        2 => Just(Becomes::Promoted),
        2 => Just(Becomes::Learner),
        3 => Just(Becomes::Nothing),
    ];
    let transition = prop_oneof![5 => Just(Transition::Auto), 1 => Just(Transition::Explicit)];
    let change = (vec((becomes, any::<u8>()), 1..4), transition);
    let everyone = || Just(Servers(0xff));
    let some = || prop_oneof![1 => everyone(), 1 => any::<u8>().prop_map(Servers)];
    prop_oneof![
        12 => storm(),
        5 => change.prop_map(|(changes, transition)| Action::Change(changes, transition)),
        1 => Just(Action::LeaveJoint),
        4 => (any::<u8>(), 0..3u8).prop_map(|(s, kept)| Action::Compact(s, kept)),
        1 => any::<u8>().prop_map(Action::Serve),
        1 => proptest::option::of(any::<u8>()).prop_map(Action::HandOver),
        1 => Just(Action::StepDown),
        1 => any::<u8>().prop_map(Action::ForgetLeader),
        1 => any::<u8>().prop_map(Action::RequestSnapshot),
        1 => (any::<u8>(), 0..4u8, any::<bool>()).prop_map(|(s, kept, known)| Action::Rot(s, kept, known)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(s, on)| Action::CheckQuorum(s, on)),
        4 => elect(some(), 1..40u8, Just(false)),
        6 => (some(), 1..40u8, slow()).prop_map(|(m, b, slow)| Action::Exchange(m, b, slow)),
        4 => (some(), 1..40u8).prop_map(|(m, b)| Action::Heartbeat(m, b)),
        2 => any::<u8>().prop_map(Action::Read),
        2 => any::<u8>().prop_map(Action::Propose),
        3 => Just(Action::ProposeToLeader),
    ]
}

/// Reads at any server and writes, over a network that repeats and delays.
fn inquiry() -> impl Strategy<Value = Action> {
    let some = || any::<u8>().prop_map(Servers);
    prop_oneof![
        5 => any::<u8>().prop_map(Action::Read),
        3 => Just(Action::ProposeToLeader),
        3 => any::<u8>().prop_map(Action::Duplicate),
        6 => any::<u8>().prop_map(Action::Deliver),
        4 => (some(), 1..12u8, Just(Servers(0))).prop_map(|(m, b, slow)| Action::Exchange(m, b, slow)),
        2 => (some(), 1..12u8).prop_map(|(m, b)| Action::Heartbeat(m, b)),
        1 => any::<u8>().prop_map(|s| Action::Bounce(s, 1)),
        1 => elect(some(), 8..24u8, Just(false)),
    ]
}

fn elect(
    some: impl Strategy<Value = Servers>,
    budget: impl Strategy<Value = u8>,
    afresh: impl Strategy<Value = bool>,
) -> impl Strategy<Value = Action> {
    (any::<u8>(), some, budget, slow(), afresh).prop_map(|(candidate, among, budget, slow, afresh)| {
        Action::Elect(Election { candidate, among, budget, slow, afresh })
    })
}

fn slow() -> impl Strategy<Value = Slow> {
    prop_oneof![3 => Just(Servers(0)), 1 => any::<u8>().prop_map(Servers)]
}

fn timer() -> impl Strategy<Value = Timer> {
    prop_oneof![Just(Timer::Election), Just(Timer::Heartbeat), Just(Timer::Contact)]
}

/// Schedules of up to `length` actions.
///
/// Of four kinds: storms of everything that happens in a cluster whose members stay, duels, upheavals, and inquiries.
pub fn schedule(length: usize) -> impl Strategy<Value = Schedule> {
    let servers = || prop_oneof![1 => Just(1usize), 1 => Just(2), 8 => Just(3), 2 => Just(4), 2 => Just(5)];
    let storms = (servers(), any::<bool>(), vec(storm(), 4..length));
    let storms =
        storms.prop_map(|(servers, pre_vote, actions)| Schedule { pre_vote, ..plain(servers, actions) });
    let duels = (prop_oneof![3 => Just(3usize), 1 => Just(4)], vec(duel(), 4..length / 3));
    let duels = duels.prop_map(|(servers, actions)| plain(servers, actions));
    let founders = prop_oneof![1 => Just(1usize), 1 => Just(2), 6 => Just(3), 2 => Just(4)];
    let knobs = proptest::array::uniform5(any::<bool>());
    let upheavals = (founders, 0..3usize, knobs, vec(upheaval(), 4..length));
    let upheavals = upheavals.prop_map(|(servers, spares, knobs, actions)| {
        let [pre_vote, forward, ranked, announced, durable] = knobs;
        Schedule { spares, pre_vote, forward, ranked, announced, durable, ..plain(servers, actions) }
    });
    let inquiries =
        vec(inquiry(), 4..length).prop_map(|actions| Schedule { forward: true, ..plain(3, actions) });
    let kinds = prop_oneof![4 => storms, 3 => duels, 4 => upheavals, 1 => inquiries];
    (kinds, proptest::bool::weighted(0.25)).prop_map(|(schedule, heals)| Schedule { heals, ..schedule })
}

/// A cluster whose members stay, without anything special.
pub fn plain(servers: usize, actions: Vec<Action>) -> Schedule {
    Schedule {
        servers,
        spares: 0,
        pre_vote: false,
        forward: false,
        ranked: false,
        announced: false,
        durable: false,
        actions,
        heals: false,
    }
}

/// Runs a schedule to its end, or to the first violation.
pub fn run(schedule: &Schedule, configure: impl Fn(&mut Config) + 'static) -> (Cluster, Result<(), String>) {
    let Schedule { servers, spares, pre_vote, forward, ranked, announced, durable, .. } = *schedule;
    let mut cluster = Cluster::with_spares(servers, spares, move |config| {
        // Small appends make partial replication, and with it most of the trouble, likely.
        config.limits.append_entries = 1;
        config.limits.inflight_appends = 3;
        config.limits.promotion_lag = 1;
        config.pre_vote = pre_vote;
        config.check_quorum = pre_vote;
        config.forward = forward;
        config.priority = if ranked { u8::try_from(config.id.0).unwrap() } else { 0 };
        config.announce_commits = announced;
        config.apply_durable = durable;
        configure(config);
    });
    for (i, action) in schedule.actions.iter().enumerate() {
        act(&mut cluster, action);
        if let Some(violation) = &cluster.ghost.violation {
            let error = format!("after action {i}, {action:?}: {violation}");
            return (cluster, Err(error));
        }
    }
    // What lost the end of its log may have to wait for one that has it: one such server alone does not hold up the others.
    let rots = schedule.actions.iter().filter(|action| matches!(action, Action::Rot(..))).count();
    let changes = schedule.actions.iter().any(|action| matches!(action, Action::Change(..)));
    let has_spare = servers >= 3 && !changes;
    if schedule.heals && (rots == 0 || (rots == 1 && has_spare)) {
        let away = NodeId(schedule.actions.len() as u64 % servers as u64 + 1);
        let away = Some(away).filter(|_| has_spare && rots == 0);
        if let Err(stuck) = heal(&mut cluster, away) {
            return (cluster, Err(stuck));
        }
    }
    (cluster, Ok(()))
}

/// Faults end, all servers but perhaps one come back, and everybody's timers run out again and again: then a leader emerges
/// and a proposal is executed.
fn heal(cluster: &mut Cluster, away: Option<NodeId>) -> Result<(), String> {
    const ROUNDS: usize = 40;
    cluster.network.clear();
    if let Some(away) = away {
        cluster.crash(away, 0);
    }
    let present = |id: &NodeId| Some(*id) != away;
    let ids: Vec<NodeId> = cluster.ids().into_iter().filter(present).collect();
    ids.iter().for_each(|&id| cluster.restart(id));
    for round in 0..ROUNDS {
        cluster.settle();
        let candidate = ids[round % ids.len()];
        cluster.elect(candidate, 10_000, |_| true);
        let Some(leader) = cluster.leader() else { continue };
        for _ in 0..3 {
            cluster.heartbeat(leader);
        }
        cluster.fire(leader, Timer::Contact);
        let before = cluster.ghost.committed();
        if cluster.propose(leader).is_ok() {
            cluster.settle();
        }
        if let Some(violation) = &cluster.ghost.violation {
            return Err(format!("while healing: {violation}"));
        }
        if cluster.ghost.committed() > before {
            return Ok(());
        }
    }
    Err(format!("liveness: nothing is committed within {ROUNDS} rounds after healing, {away:?} being away"))
}

impl Servers {
    pub(super) fn members(self, servers: usize) -> Vec<NodeId> {
        (1..=servers as u64).map(NodeId).filter(|&id| self.has(id)).collect()
    }

    fn has(self, id: NodeId) -> bool {
        self.0 & (1 << ((id.0 - 1) % 8)) != 0
    }
}

/// Runs a schedule and shows the cluster to `watch` after each action.
pub fn run_watched(schedule: &Schedule, mut watch: impl FnMut(&Cluster)) -> Cluster {
    let (mut cluster, _) = run(&Schedule { actions: Vec::new(), heals: false, ..schedule.clone() }, |_| {});
    for action in &schedule.actions {
        act(&mut cluster, action);
        watch(&cluster);
    }
    cluster
}
