//! Random schedules: what may happen to a cluster, as data that proptest can draw and shrink.
//!
//! Uniform random choices hardly ever reach deep scenarios such as Figure 8; so beside the small steps there are large ones
//! (an election among some servers, a bounded exchange between some) from which those scenarios are short.

use proptest::collection::vec;
use proptest::prelude::*;
use raft_core::{Config, NodeId, Timer};

use crate::cluster::Cluster;

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
    pub pre_vote: bool,
    pub actions: Vec<Action>,
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
/// Of two kinds: storms of everything, and duels.
pub fn schedule(length: usize) -> impl Strategy<Value = Schedule> {
    let servers = || prop_oneof![1 => Just(1usize), 1 => Just(2), 8 => Just(3), 2 => Just(4), 2 => Just(5)];
    let storm = (servers(), any::<bool>(), vec(storm(), 4..length));
    let duel = (prop_oneof![3 => Just(3usize), 1 => Just(4)], Just(false), vec(duel(), 4..length / 3));
    prop_oneof![2 => storm, 1 => duel].prop_map(|(servers, pre_vote, actions)| Schedule {
        servers,
        pre_vote,
        actions,
    })
}

/// Runs a schedule to its end, or to the first violation.
pub fn run(schedule: &Schedule, configure: impl Fn(&mut Config) + 'static) -> (Cluster, Result<(), String>) {
    let pre_vote = schedule.pre_vote;
    let mut cluster = Cluster::new(schedule.servers, move |config| {
        // Small appends make partial replication, and with it most of the trouble, likely.
        config.limits.append_entries = 1;
        config.limits.inflight_appends = 3;
        config.pre_vote = pre_vote;
        configure(config);
    });
    for (i, action) in schedule.actions.iter().enumerate() {
        act(&mut cluster, action);
        if let Some(violation) = &cluster.ghost.violation {
            let error = format!("after action {i}, {action:?}: {violation}");
            return (cluster, Err(error));
        }
    }
    (cluster, Ok(()))
}

fn act(cluster: &mut Cluster, action: &Action) {
    let servers = cluster.servers.len();
    let server = |s: &u8| NodeId(u64::from(*s) % servers as u64 + 1);
    let message = |i: &u8| usize::from(*i) % cluster.network.len().max(1);
    match action {
        Action::Deliver(i) => cluster.deliver(message(i)),
        Action::Lose(i) => drop(cluster.network.remove(message(i))),
        Action::Duplicate(i) => {
            if let Some(packet) = cluster.network.get(message(i)).cloned() {
                cluster.receive(packet);
            }
        }
        Action::Timer(s, timer) => cluster.fire(server(s), *timer),
        // A refusal is a legal answer.
        Action::Propose(s) => {
            let _ = cluster.propose(server(s));
        }
        Action::ProposeToLeader => {
            if let Some(leader) = cluster.leader() {
                {
                    let _ = cluster.propose(leader);
                };
            }
        }
        Action::Read(s) => {
            let _ = cluster.read(server(s));
        }
        Action::Sync(s) => {
            let _ = cluster.sync(server(s));
        }
        Action::Report(s, newest) => {
            let _ = cluster.report(server(s), *newest);
        }
        Action::Crash(s, kept) => cluster.crash(server(s), usize::from(*kept)),
        Action::Restart(s) => cluster.restart(server(s)),
        Action::Bounce(s, kept) => {
            cluster.crash(server(s), usize::from(*kept));
            cluster.restart(server(s));
        }
        Action::Cut(side) => cluster.lose(|p| side.has(p.from) != side.has(p.to)),
        Action::Elect(Election { candidate, among, budget, slow, afresh }) => {
            let candidate = server(candidate);
            let is_in = |id| id == candidate || among.has(id);
            cluster.restart(candidate);
            if *afresh {
                cluster.depose(is_in);
                cluster.network.clear();
            }
            cluster.slow = slow.members(servers);
            cluster.elect(candidate, usize::from(*budget), is_in);
            cluster.slow.clear();
        }
        Action::Exchange(some, budget, slow) => {
            cluster.slow = slow.members(servers);
            cluster.exchange(usize::from(*budget), |id| some.has(id));
            cluster.slow.clear();
        }
        Action::Heartbeat(some, budget) => {
            if let Some(leader) = cluster.leader() {
                cluster.fire(leader, Timer::Heartbeat);
                cluster.exchange(usize::from(*budget), |id| id == leader || some.has(id));
            }
        }
    }
}

impl Servers {
    fn members(self, servers: usize) -> Vec<NodeId> {
        (1..=servers as u64).map(NodeId).filter(|&id| self.has(id)).collect()
    }

    fn has(self, id: NodeId) -> bool {
        self.0 & (1 << ((id.0 - 1) % 8)) != 0
    }
}
