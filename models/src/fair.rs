//! A fair schedule without faults: from whatever state the servers are in, it gets them somewhere.
//!
//! No law about single states says that anything ever happens, and no breadth-first search finds a run that never ends. So
//! each reachable state is asked: were the faults to stop here, how long would it take until a new command is committed and
//! applied by every member? What happens then is decided, and so is its length. First every server that is down starts again,
//! disks make durable what they were given, and everything in flight arrives. Then *periods* follow, each as long as an
//! election timeout of the core. In each one
//!
//! 1. the heartbeat timer of every leader runs out;
//! 2. the leader of the highest term is asked to take a command, unless it has it;
//! 3. the contact timer runs out of every leader, and of everybody who has heard nothing of a leader in this period;
//! 4. of those who lead nobody and have heard nothing, *one* starts an election: the next in rotation;
//!
//! and after each of these everything arrives, in rounds, until nothing is in flight. Nobody is starved: who hears of no
//! leader campaigns within as many periods as there are servers. And nobody campaigns while another's election is under way:
//! of schedules with duels there are fair ones in which nobody ever wins (§5.2), so only chance helps against those.
//!
//! The rotation may begin anywhere and go round in any order, which is also the order in which messages arrive in a round:
//! from every state *every* such schedule must get somewhere. (One that does would not do: the next timer to run out is nobody's
//! choice.) Where terms and logs get to is beyond the bounds of the search; so all this happens in a world of its own, which
//! remembers what became of each quiet moment, and most states lead to few of those.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use raft_core::{Body, MutantSwitch, NodeId, Term, Timer};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::bounds::Bounds;
use crate::filed::Filed;
use crate::symmetry::Permutations;
use crate::world::{Defect, Posted, Stimulus, World, print};

/// The command that has to be committed; no proposal has this number.
const COMMAND: u8 = u8::MAX;

/// Correct servers stop talking to each other long before.
const MAX_ROUNDS: usize = 100;

pub(crate) type Servers = [u32; Bounds::MAX_SERVERS];
type Order = [u8; Bounds::MAX_SERVERS];

/// The schedule, and what it has come to so far.
pub(crate) struct Fair {
    world: World,
    orders: Vec<Order>,
    /// For each quiet moment, how many periods it takes from there.
    known: RwLock<FxHashMap<(Servers, Order), u8>>,
    /// Prints of where it was begun, and got somewhere.
    begun: RwLock<FxHashSet<u64>>,
    asked: AtomicU64,
    longest: AtomicU64,
}

/// Something that the schedule does.
#[derive(Clone, Copy)]
pub(crate) struct Deed {
    pub(crate) server: u8,
    pub(crate) stimulus: Stimulus,
    /// All servers afterwards.
    pub(crate) after: Servers,
}

/// One schedule under way.
struct Run<'a> {
    world: &'a World,
    servers: Servers,
    in_flight: Vec<u16>,
    /// Whose turn it is to campaign, and then whose.
    order: Order,
    heard: [bool; Bounds::MAX_SERVERS],
    deeds: Option<Vec<Deed>>,
}

impl Fair {
    /// Of a world of these bounds, if they ask for it.
    pub(crate) fn new(bounds: Bounds, mutant: MutantSwitch) -> Option<Self> {
        if bounds.settles == 0 {
            return None;
        }
        let permutations = Permutations::of(bounds.servers, true, |_| true);
        let order = |p| {
            let mut order = [0; Bounds::MAX_SERVERS];
            let renamed = bounds.ids().map(|id| permutations.rename(p, id).0 as u8 - 1);
            order.iter_mut().zip(renamed).for_each(|(place, server)| *place = server);
            order
        };
        Some(Fair {
            world: World::new(Bounds { slow_writes: 0, ..bounds }, mutant, false),
            orders: (0..permutations.len()).map(order).collect(),
            known: RwLock::default(),
            begun: RwLock::default(),
            asked: AtomicU64::new(0),
            longest: AtomicU64::new(0),
        })
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// How many states were asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The most periods that it took from any of them.
    pub(crate) fn longest(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }

    /// A state is looked at, perhaps in vain.
    pub(crate) fn note_asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// These servers and messages of another world, in this one.
    fn adopt<'a>(
        &self,
        servers: impl Iterator<Item = &'a Filed>,
        messages: impl Iterator<Item = &'a Posted>,
    ) -> Result<(Servers, Vec<u16>), Defect> {
        let mut adopted = [0; Bounds::MAX_SERVERS];
        for (place, filed) in adopted.iter_mut().zip(servers) {
            *place = match filed.settling.get() {
                Some(number) => *number,
                None => *filed.settling.get_or_init({
                    let number = self.world.adopt(&filed.server)?;
                    move || number
                }),
            };
        }
        let post = |posted: &Posted| {
            let envelope = &posted.envelope;
            self.world.post(envelope.from, envelope.to, &envelope.message)
        };
        Ok((adopted, messages.map(post).collect::<Result<_, _>>()?))
    }

    /// Whether every schedule gets somewhere from here.
    pub(crate) fn settles<'a>(
        &self,
        servers: impl Iterator<Item = &'a Filed>,
        messages: impl Iterator<Item = &'a Posted>,
    ) -> Result<bool, Defect> {
        let (servers, messages) = self.adopt(servers, messages)?;
        let beginning = print(&(servers, &messages));
        if self.begun.read().unwrap_or_else(PoisonError::into_inner).contains(&beginning) {
            return Ok(true);
        }
        for order in &self.orders {
            let Some(periods) = self.follow(servers, messages.clone(), *order)? else { return Ok(false) };
            self.longest.fetch_max(u64::from(periods), Ordering::Relaxed);
        }
        self.begun.write().unwrap_or_else(PoisonError::into_inner).insert(beginning);
        Ok(true)
    }

    /// How many periods one schedule takes, if it gets somewhere within the bounds.
    fn follow(&self, servers: Servers, messages: Vec<u16>, order: Order) -> Result<Option<u8>, Defect> {
        let most = self.world.bounds.settles;
        let mut run = Run::new(&self.world, servers, messages, order);
        let mut moments = Vec::new();
        if !run.begin()? {
            return Ok(None);
        }
        let rest = loop {
            let moment = (run.servers, run.order);
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&moment).copied();
            if let Some(rest) = known {
                break rest;
            }
            if run.is_settled() {
                break 0;
            }
            // The same moment again is a circle.
            if moments.len() == usize::from(most) || moments.contains(&moment) {
                return Ok(None);
            }
            moments.push(moment);
            if !run.period()? {
                return Ok(None);
            }
        };
        let periods = (0..).zip(moments.iter().rev()).map(|(back, moment)| (*moment, rest + 1 + back));
        let total = rest + moments.len() as u8;
        self.known.write().unwrap_or_else(PoisonError::into_inner).extend(periods);
        Ok((total <= most).then_some(total))
    }

    /// What the first schedule that gets nowhere does, up to where it begins to go round in a circle.
    pub(crate) fn tell<'a>(
        &self,
        servers: impl Iterator<Item = &'a Filed>,
        messages: impl Iterator<Item = &'a Posted>,
    ) -> Result<Vec<Deed>, Defect> {
        let (servers, messages) = self.adopt(servers, messages)?;
        for order in &self.orders {
            if self.follow(servers, messages.clone(), *order)?.is_some() {
                continue;
            }
            let mut run = Run::new(&self.world, servers, messages, *order);
            run.deeds = Some(Vec::new());
            let mut moments = Vec::new();
            let mut goes_on = run.begin()?;
            while goes_on && moments.len() < usize::from(self.world.bounds.settles) {
                let moment = (run.servers, run.order);
                goes_on = !moments.contains(&moment) && run.period()?;
                moments.push(moment);
            }
            return Ok(run.deeds.unwrap_or_default());
        }
        Ok(Vec::new())
    }
}

impl<'a> Run<'a> {
    fn new(world: &'a World, servers: Servers, mut in_flight: Vec<u16>, order: Order) -> Self {
        // The numbers of messages depend on who came upon them first.
        in_flight.sort_by_key(|number| {
            world
                .message(*number)
                .map(|posted| (posted.envelope.message.term, posted.prints.first().copied()))
        });
        Run { world, servers, in_flight, order, heard: [false; Bounds::MAX_SERVERS], deeds: None }
    }

    /// The servers, whose turn is next first.
    fn turns(&self) -> impl Iterator<Item = u8> + use<> {
        self.order.into_iter().take(self.world.bounds.servers)
    }

    fn server(&self, server: u8) -> Option<&'a Filed> {
        self.servers.get(usize::from(server)).and_then(|number| self.world.server(*number))
    }

    fn leads(&self, server: u8) -> bool {
        self.server(server).is_some_and(|filed| filed.is_leader)
    }

    fn has_heard(&self, server: u8) -> bool {
        self.heard.get(usize::from(server)).copied().unwrap_or(false)
    }

    /// Something happens to a server; nothing, if it cannot.
    fn happens(&mut self, server: u8, stimulus: Stimulus) -> Result<bool, Defect> {
        let Some(number) = self.servers.get_mut(usize::from(server)) else { return Ok(false) };
        let Some(outcome) = self.world.react(*number, stimulus)? else { return Ok(false) };
        *number = outcome.server;
        self.in_flight.extend(&outcome.sends);
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed { server, stimulus, after: self.servers });
        }
        Ok(true)
    }

    /// Everything in flight arrives, and what is sent for it, and so on. Whether that ends.
    fn deliver(&mut self) -> Result<bool, Defect> {
        for _ in 0..MAX_ROUNDS {
            if self.in_flight.is_empty() {
                return Ok(true);
            }
            let order = self.order;
            let rank = |id: NodeId| order.iter().position(|server| u64::from(*server) + 1 == id.0);
            let mut round: Vec<(u16, &Posted)> = std::mem::take(&mut self.in_flight)
                .into_iter()
                .filter_map(|number| Some((number, self.world.message(number)?)))
                .collect();
            // What one server sent to another keeps its order.
            round.sort_by_key(|(_, posted)| (rank(posted.envelope.to), rank(posted.envelope.from)));
            for (number, posted) in round {
                let Some(to) = posted.envelope.to.0.checked_sub(1) else { continue };
                self.happens(to as u8, Stimulus::Receive(number))?;
                let message = &posted.envelope.message;
                let is_from_leader = matches!(message.body, Body::Append(_) | Body::Snapshot(_));
                let is_believed = is_from_leader && self.term(to as u8) == message.term;
                if let Some(heard) = self.heard.get_mut(to as usize) {
                    *heard |= is_believed;
                }
            }
        }
        Ok(false)
    }

    fn term(&self, server: u8) -> Term {
        self.server(server).and_then(|filed| filed.server.raft.as_ref()).map_or(Term(0), |raft| raft.term())
    }

    /// The faults end.
    fn begin(&mut self) -> Result<bool, Defect> {
        for server in self.turns() {
            self.happens(server, Stimulus::Restart)?;
            while self.happens(server, Stimulus::Sync)? {}
        }
        self.deliver()
    }

    /// As much as happens in one election timeout. Whether it ends.
    fn period(&mut self) -> Result<bool, Defect> {
        self.heard = [false; Bounds::MAX_SERVERS];
        for server in self.turns() {
            if self.leads(server) {
                self.happens(server, Stimulus::Timer(Timer::Heartbeat))?;
            }
        }
        if !self.deliver()? {
            return Ok(false);
        }
        if let Some(leader) = self.leader()
            && self.place_of_command(leader).is_none()
        {
            self.happens(leader, Stimulus::Propose(COMMAND))?;
        }
        if !self.deliver()? {
            return Ok(false);
        }
        for server in self.turns() {
            if self.leads(server) || !self.has_heard(server) {
                self.happens(server, Stimulus::Timer(Timer::Contact))?;
            }
        }
        let mut turns = self.turns();
        if let Some(place) = turns.position(|server| !self.leads(server) && !self.has_heard(server)) {
            let candidate = self.order.get(place).copied().unwrap_or_default();
            self.happens(candidate, Stimulus::Timer(Timer::Election))?;
            if let Some(order) = self.order.get_mut(..self.world.bounds.servers) {
                order.rotate_left(place + 1);
            }
        }
        self.deliver()
    }

    /// The leader of the highest term.
    fn leader(&self) -> Option<u8> {
        self.turns().filter(|server| self.leads(*server)).max_by_key(|server| self.term(*server))
    }

    /// At which index a server's log has the command.
    fn place_of_command(&self, server: u8) -> Option<u64> {
        let filed = self.server(server)?;
        let place = filed.log.iter().position(|(_, payload)| *payload == u32::from(COMMAND))?;
        Some((filed.gone + place) as u64 + 1)
    }

    /// Whether a leader knows that the command is committed, and every member has applied it and knows no later term.
    fn is_settled(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let Some(raft) = self.server(leader).and_then(|filed| filed.server.raft.as_ref()) else {
            return false;
        };
        let Some(index) = self.place_of_command(leader) else { return false };
        raft.commit().0 >= index
            && raft.membership().members().all(|member| {
                let server = member.0 as u8 - 1;
                let peer = self.server(server).and_then(|filed| filed.server.raft.as_ref());
                peer.is_some_and(|peer| peer.applied().0 >= index && peer.term() <= raft.term())
            })
    }
}
