//! Everything that any server ever was, any message ever said and any history ever remembered in this search, once each.
//!
//! A cluster has tens of millions of states but its servers only have thousands. So a state of the cluster is a handful of
//! numbers, and what a server makes of a message is computed once ([`World::react`]).
//!
//! Each value is filed together with its images under all permutations of the servers, so that a state's fingerprint can be
//! the smallest among those of all its images: then all of them count as one state, for any search. The image of a server
//! is not made by rewriting its fields but by letting the renamed server live the same life: nothing is assumed about the
//! core's insides. That the core treats all names alike is assumed; `World::is_symmetric_at` checks it and the tests call
//! that for every step of some scenarios.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use raft_core::{Message, MutantSwitch, NodeId, ReadId, ReadOutcome, SnapshotMeta, Term, Timer};
use rustc_hash::FxHashMap;

use crate::bounds::Bounds;
use crate::filed::Filed;
use crate::ghost::Ghost;
use crate::key::key;
use crate::members::renamed_message;
use crate::property::Flags;
use crate::reaction::{Applied, Elected, Reaction};
use crate::server::{Happening, Server};
use crate::symmetry::{Permutations, renamed};
use crate::table::Table;

/// What happens to a server, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stimulus {
    Receive(u16),
    Timer(Timer),
    Propose(u8),
    Read(u8),
    Change(u8),
    LeaveJoint,
    TakeSnapshot,
    Transfer(u8),
    LoseTail,
    Sync,
    Crash { kept: u8 },
    Restart,
}

/// What comes of it, in numbers.
pub(crate) struct Outcome {
    pub(crate) server: u32,
    pub(crate) sends: Box<[u16]>,
    pub(crate) applied: Box<[Applied]>,
    pub(crate) snapshots: Box<[SnapshotMeta]>,
    pub(crate) reads: Box<[ReadOutcome]>,
    pub(crate) dropped_reads: Box<[ReadId]>,
    pub(crate) elected: Option<Elected>,
    pub(crate) term: Term,
    pub(crate) broken: Flags,
    pub(crate) seen: Flags,
    pub(crate) log_changed: bool,
    pub(crate) disk_changed: bool,
}

const NOTHING: u32 = u32::MAX;

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) message: Message<u8>,
}

pub(crate) struct Posted {
    pub(crate) envelope: Envelope,
    pub(crate) images: Box<[u32]>,
    pub(crate) prints: Box<[u64]>,
}

pub(crate) struct Remembered {
    pub(crate) ghost: Ghost,
    pub(crate) prints: Box<[u64]>,
}

/// Why a search cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Defect {
    /// A table is full.
    Full,
    /// The core does not treat all names of servers alike.
    Asymmetric,
    /// The checker does not know whether a history of clients is linearizable.
    Undecided,
}

#[derive(Default)]
struct Index {
    servers: FxHashMap<Server, u32>,
    keys: FxHashMap<String, u32>,
    messages: FxHashMap<Envelope, u32>,
    ghosts: FxHashMap<Ghost, u32>,
}

pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) mutant: MutantSwitch,
    pub(crate) permutations: Permutations,
    servers: Table<Filed>,
    messages: Table<Posted>,
    ghosts: Table<Remembered>,
    outcomes: Table<Outcome>,
    index: Mutex<Index>,
}

impl World {
    pub(crate) fn new(bounds: Bounds, mutant: MutantSwitch, symmetric: bool) -> Self {
        World {
            bounds,
            mutant,
            permutations: Permutations::of(bounds.servers, symmetric, |p| {
                bounds.is_the_same(|id| renamed(p, id))
            }),
            servers: Table::new(),
            messages: Table::new(),
            ghosts: Table::new(),
            outcomes: Table::new(),
            index: Mutex::default(),
        }
    }

    pub(crate) fn server(&self, number: u32) -> Option<&Filed> {
        self.servers.get(number)
    }

    pub(crate) fn message(&self, number: u16) -> Option<&Posted> {
        self.messages.get(u32::from(number))
    }

    pub(crate) fn ghost(&self, number: u32) -> Option<&Remembered> {
        self.ghosts.get(number)
    }

    /// How many different servers, messages and histories there were.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        [self.servers.len(), self.messages.len(), self.ghosts.len()]
    }

    /// The servers at the beginning.
    pub(crate) fn fresh(&self) -> Result<Vec<u32>, Defect> {
        let fresh = |id| Server::fresh(self.bounds.config(id, self.mutant)).ok_or(Defect::Asymmetric);
        let ids = self.bounds.ids();
        ids.map(|id| {
            let images: Result<Vec<_>, _> =
                (0..self.permutations.len()).map(|p| fresh(self.permutations.rename(p, id))).collect();
            let images = images?;
            self.file(&fresh(id)?, |p| images.get(p).cloned())
        })
        .collect()
    }

    /// What comes of something that happens to a server; nothing, if it cannot happen.
    pub(crate) fn react(&self, server: u32, stimulus: Stimulus) -> Result<Option<&Outcome>, Defect> {
        let filed = self.servers.get(server).ok_or(Defect::Full)?;
        let known = filed.memo.read().unwrap_or_else(PoisonError::into_inner).get(&stimulus).copied();
        let number = match known {
            Some(number) => number,
            None => {
                let number = self.compute(server, filed, stimulus)?;
                filed.memo.write().unwrap_or_else(PoisonError::into_inner).insert(stimulus, number);
                number
            }
        };
        Ok(self.outcomes.get(number))
    }

    fn compute(&self, number: u32, filed: &Filed, stimulus: Stimulus) -> Result<u32, Defect> {
        let Some(reaction) = self.image_of_reaction(number, stimulus, 0) else { return Ok(NOTHING) };
        let image = |p| self.image_of_reaction(number, stimulus, p).map(|reaction| reaction.server);
        let after = self.file(&reaction.server, image)?;
        let from = filed.server.id;
        let sends: Result<Box<[u16]>, Defect> =
            reaction.sends.iter().map(|(to, message)| self.post(from, *to, message)).collect();
        let log_changed = filed.server.log().ne(reaction.server.log());
        let disk_changed = filed.server.disk.entries != reaction.server.disk.entries
            || filed.server.disk.snapshot != reaction.server.disk.snapshot;
        let outcome = Outcome {
            server: after,
            sends: sends?,
            applied: reaction.applied.into(),
            snapshots: reaction.snapshots.into(),
            reads: reaction.reads.into(),
            dropped_reads: reaction.dropped_reads.into(),
            elected: reaction.elected,
            term: reaction.server.raft.as_ref().map_or(Term(0), |raft| raft.term()),
            broken: reaction.broken,
            seen: reaction.seen,
            log_changed,
            disk_changed,
        };
        self.outcomes.push(outcome).ok_or(Defect::Full)
    }

    /// What the image of a server makes of the image of a stimulus.
    fn image_of_reaction(&self, server: u32, stimulus: Stimulus, permutation: usize) -> Option<Reaction> {
        let image = *self.servers.get(server)?.images.get(permutation)?;
        let server = &self.servers.get(image)?.server;
        let happening = match stimulus {
            Stimulus::Receive(number) => {
                let image = *self.message(number)?.images.get(permutation)?;
                let Envelope { from, message, .. } = self.messages.get(image)?.envelope.clone();
                Happening::Receive { from, message }
            }
            Stimulus::Timer(timer) => Happening::Timer(timer),
            Stimulus::Propose(command) => Happening::Propose(command),
            Stimulus::Read(id) => Happening::Read(ReadId(u64::from(id))),
            Stimulus::Change(number) => {
                Happening::Change(*self.bounds.changes.get(usize::from(number))?.as_ref()?)
            }
            Stimulus::LeaveJoint => Happening::LeaveJoint,
            Stimulus::TakeSnapshot => Happening::TakeSnapshot,
            Stimulus::Transfer(to) => {
                Happening::Transfer(self.permutations.rename(permutation, NodeId(u64::from(to))))
            }
            Stimulus::LoseTail => Happening::LoseTail,
            Stimulus::Sync => Happening::Sync,
            Stimulus::Crash { kept } => Happening::Crash { kept },
            Stimulus::Restart => Happening::Restart,
        };
        server.react(&happening, &self.bounds, || self.bounds.config(server.id, self.mutant))
    }

    /// Files a server, with its images if it is new.
    fn file(&self, server: &Server, image: impl Fn(usize) -> Option<Server>) -> Result<u32, Defect> {
        let mut index = self.lock();
        if let Some(&number) = index.servers.get(server) {
            return Ok(number);
        }
        let own_key = key(server, &self.bounds);
        if let Some(&number) = index.keys.get(&own_key) {
            index.servers.insert(server.clone(), number);
            return Ok(number);
        }
        let mut images: Vec<(Server, String)> = Vec::new();
        for permutation in 0..self.permutations.len() {
            let image = image(permutation).ok_or(Defect::Asymmetric)?;
            let key = key(&image, &self.bounds);
            images.push((image, key));
        }
        // The numbers they will get: each one that differs from those before it the next.
        let first = u32::try_from(self.servers.len()).map_err(|_| Defect::Full)?;
        let mut new: Vec<usize> = Vec::new();
        let mut numbers: Vec<u32> = Vec::new();
        for (place, (_, key)) in images.iter().enumerate() {
            if index.keys.contains_key(key) {
                return Err(Defect::Asymmetric);
            }
            let same = new.iter().position(|&n| images.get(n).is_some_and(|(_, other)| other == key));
            let offset = same.unwrap_or(new.len());
            if same.is_none() {
                new.push(place);
            }
            numbers.push(first + offset as u32);
        }
        let prints: Vec<u64> = images.iter().map(|(_, key)| print(key)).collect();
        for &place in &new {
            // The image under `p` of the image under `place` is the one under both, one after the other.
            let both = (0..images.len()).map(|p| self.permutations.compose(p, place));
            let filed_images = both.clone().filter_map(|p| numbers.get(p).copied()).collect();
            let filed_prints = both.filter_map(|p| prints.get(p).copied()).collect();
            let Some((image, key)) = images.get(place) else { continue };
            let filed = Filed::new(image, filed_images, filed_prints, &self.bounds);
            let number = self.servers.push(filed).ok_or(Defect::Full)?;
            index.servers.insert(image.clone(), number);
            index.keys.insert(key.clone(), number);
        }
        numbers.first().copied().ok_or(Defect::Asymmetric)
    }

    /// Files a server of another world. Only where servers have no images.
    pub(crate) fn adopt(&self, server: &Server) -> Result<u32, Defect> {
        self.file(server, |_| Some(server.clone()))
    }

    pub(crate) fn post(&self, from: NodeId, to: NodeId, message: &Message<u8>) -> Result<u16, Defect> {
        let envelope = Envelope { from, to, message: message.clone() };
        let mut index = self.lock();
        let number = match index.messages.get(&envelope) {
            Some(&number) => number,
            None => self.post_images(&mut index, &envelope)?,
        };
        u16::try_from(number).map_err(|_| Defect::Full)
    }

    /// Of what messages say only memberships name servers, so their images are plain to make.
    fn post_images(&self, index: &mut Index, envelope: &Envelope) -> Result<u32, Defect> {
        let image = |p| {
            let rename = |id| self.permutations.rename(p, id);
            let message = renamed_message(&envelope.message, rename)?;
            Some(Envelope { from: rename(envelope.from), to: rename(envelope.to), message })
        };
        let images: Option<Vec<Envelope>> = (0..self.permutations.len()).map(image).collect();
        let images = images.ok_or(Defect::Asymmetric)?;
        let mut distinct: Vec<&Envelope> = Vec::new();
        let mut offsets = Vec::new();
        for image in &images {
            let same = distinct.iter().position(|other| *other == image);
            offsets.push(same.unwrap_or(distinct.len()));
            if same.is_none() {
                distinct.push(image);
            }
        }
        let first = u32::try_from(self.messages.len()).map_err(|_| Defect::Full)?;
        let numbers: Vec<u32> = offsets.iter().map(|&offset| first + offset as u32).collect();
        let prints: Vec<u64> = images.iter().map(print).collect();
        let mut done = 0;
        for (place, image) in images.iter().enumerate() {
            if offsets.get(place) != Some(&done) {
                continue;
            }
            done += 1;
            let both = (0..images.len()).map(|p| self.permutations.compose(p, place));
            let posted = Posted {
                envelope: image.clone(),
                images: both.clone().filter_map(|p| numbers.get(p).copied()).collect(),
                prints: both.filter_map(|p| prints.get(p).copied()).collect(),
            };
            let number = self.messages.push(posted).ok_or(Defect::Full)?;
            index.messages.insert(image.clone(), number);
        }
        Ok(first)
    }

    /// Files a history.
    pub(crate) fn remember(&self, ghost: Ghost) -> Result<u32, Defect> {
        let mut index = self.lock();
        if let Some(&number) = index.ghosts.get(&ghost) {
            return Ok(number);
        }
        let image = |p| ghost.renamed(|id| self.permutations.rename(p, id));
        let prints = (0..self.permutations.len()).map(|p| print(&image(p))).collect();
        let number = self.ghosts.push(Remembered { ghost: ghost.clone(), prints }).ok_or(Defect::Full)?;
        index.ghosts.insert(ghost, number);
        Ok(number)
    }

    /// Whether all images of a server make of the images of a stimulus the images of what it makes of it.
    #[cfg(test)]
    pub(crate) fn is_symmetric_at(&self, server: u32, stimulus: Stimulus) -> bool {
        let Ok(Some(outcome)) = self.react(server, stimulus) else {
            return (0..self.permutations.len())
                .all(|p| self.image_of_reaction(server, stimulus, p).is_none());
        };
        (0..self.permutations.len()).all(|p| {
            let Some(reaction) = self.image_of_reaction(server, stimulus, p) else { return false };
            let filed = self.file(&reaction.server, |_| None);
            let expected = self.server(outcome.server).and_then(|filed| filed.images.get(p).copied());
            let sent = |(to, message): &(NodeId, Message<u8>)| {
                self.post(reaction.server.id, *to, message).map(u32::from).unwrap_or(NOTHING)
            };
            let mut sends: Vec<u32> = reaction.sends.iter().map(sent).collect();
            let image = |&m: &u16| self.message(m).and_then(|m| m.images.get(p).copied());
            let mut expected_sends: Vec<u32> = outcome.sends.iter().filter_map(image).collect();
            sends.sort_unstable();
            expected_sends.sort_unstable();
            filed.ok() == expected && sends == expected_sends
        })
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // A panic of the core is caught before it gets here; and what is filed is filed as a whole.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that two values share only if they are equal, but for a chance of one in 2^64. The same in every run.
pub(crate) fn print(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
