//! One server: the production core, its disk, and what is on the way there. Everything that can happen in the model
//! happens to exactly one server.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raft_core::{
    Effects, Entry, Input, LostTail, Message, NodeId, Position, Raft, ReadId, Recovered, Timer, Transition,
    Write,
};

use crate::bounds::Bounds;
use crate::disk::Disk;
use crate::members::Target;
use crate::property::{Flags, Law, Witness};
use crate::reaction::Reaction;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Server {
    pub(crate) id: NodeId,
    /// How often it has started again, where that is asked.
    pub(crate) boot: u64,
    /// Nothing while it is down.
    pub(crate) raft: Option<Raft<u8>>,
    pub(crate) disk: Disk,
    /// Writes that were issued and are not durable.
    pub(crate) queue: VecDeque<Write<u8>>,
    /// Reads that were asked of it and are not decided.
    pub(crate) reads: Vec<ReadId>,
}

/// What happens to a server.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Receive {
        from: NodeId,
        message: Message<u8>,
    },
    Timer(Timer),
    Propose(u8),
    Read(ReadId),
    /// Its host wants these members.
    Change(Target),
    /// Its host ends a joint membership.
    LeaveJoint,
    /// Its host stores a snapshot of what is applied, and the log up to there goes.
    TakeSnapshot,
    /// Its host wants another leader.
    Transfer(NodeId),
    /// It stops, and the last entry that its disk held is gone.
    LoseTail,
    /// Its oldest write becomes durable, and it is told.
    Sync,
    /// It stops. Of its outstanding writes the first `kept` still reached the disk.
    Crash {
        kept: u8,
    },
    Restart,
}

impl Server {
    /// A server that starts for the first time.
    pub(crate) fn fresh(config: raft_core::Config) -> Option<Self> {
        let id = config.id;
        let raft = Raft::start(config, Recovered::nothing(), &mut Effects::default()).ok()?;
        Some(Server {
            id,
            boot: 0,
            raft: Some(raft),
            disk: Disk::default(),
            queue: VecDeque::new(),
            reads: Vec::new(),
        })
    }

    /// The entries in memory, or of a server that is down, on its disk.
    pub(crate) fn log(&self) -> Box<dyn Iterator<Item = &Entry<u8>> + '_> {
        match &self.raft {
            Some(raft) => Box::new(raft.entries()),
            None => Box::new(self.disk.entries.iter()),
        }
    }

    /// The entry before those.
    pub(crate) fn base(&self) -> Position {
        match &self.raft {
            Some(raft) => raft.base(),
            None => match (self.disk.entries.first(), &self.disk.snapshot) {
                (None, Some(snapshot)) => snapshot.last,
                (Some(first), Some(snapshot)) if first.index == snapshot.last.index.next() => snapshot.last,
                // Of the entry before, only the index is known.
                (Some(first), _) => Position { index: first.index.previous(), ..Position::default() },
                (None, None) => Position::default(),
            },
        }
    }

    /// What comes of something that happens to this server; nothing, if it cannot happen now.
    pub(crate) fn react(
        &self,
        happening: &Happening,
        bounds: &Bounds,
        config: impl FnOnce() -> raft_core::Config,
    ) -> Option<Reaction> {
        match (&self.raft, happening) {
            (None, Happening::Restart) => Some(self.restart(config(), bounds)),
            (None, _) | (Some(_), Happening::Restart) => None,
            (Some(_), Happening::Crash { kept }) => self.crash(usize::from(*kept)),
            (Some(_), Happening::LoseTail) => self.lose_tail(),
            (Some(before), _) => self.step(before, happening, bounds),
        }
    }

    fn crash(&self, kept: usize) -> Option<Reaction> {
        if kept > self.queue.len() {
            return None;
        }
        let mut reaction = Reaction::of(self.clone());
        let server = &mut reaction.server;
        reaction.seen.add_if(kept < server.queue.len(), Flags::witness(Witness::WriteLost));
        for write in server.queue.drain(..).take(kept) {
            let is_whole = server.disk.store(write.batch());
            reaction.broken.add_if(!is_whole, Flags::law(Law::WholeSnapshots));
        }
        server.disk.crash();
        server.raft = None;
        reaction.dropped_reads = std::mem::take(&mut server.reads);
        Some(reaction)
    }

    fn lose_tail(&self) -> Option<Reaction> {
        let mut reaction = self.crash(0)?;
        reaction.server.disk.lose_tail().then_some(reaction)
    }

    /// Every restart has the same boot number where no requests travel: acknowledgements of an earlier boot are never
    /// delivered here (see the crate's documentation), answers to requests of an earlier boot are.
    fn restart(&self, config: raft_core::Config, bounds: &Bounds) -> Reaction {
        let mut reaction = Reaction::of(self.clone());
        reaction.server.boot += u64::from(bounds.forwarded_reads);
        let Disk { hard_state, snapshot, entries, lost, .. } = self.disk.clone();
        let (boot, lost_tail) = (reaction.server.boot, lost.map(LostTail::UpTo));
        let recovered = Recovered { boot, hard_state, snapshot, entries, lost_tail, ..Recovered::nothing() };
        let mut effects = Effects::default();
        match Raft::start(config, recovered, &mut effects) {
            Ok(mut raft) => {
                reaction.go_on(&mut raft, effects, bounds);
                reaction.server.raft = Some(raft);
            }
            Err(_) => reaction.broken.add(Flags::law(Law::LegalRestart)),
        }
        reaction
    }

    fn step(&self, before: &Raft<u8>, happening: &Happening, bounds: &Bounds) -> Option<Reaction> {
        let mut reaction = Reaction::of(self.clone());
        let mut raft = before.clone();
        let input = match happening {
            Happening::Receive { from, message } => Input::Receive { from: *from, message: message.clone() },
            Happening::Timer(timer) if raft.listens_to(*timer) => Input::Timer(*timer),
            Happening::Propose(command) => Input::Propose(vec![*command]),
            Happening::Read(id) => Input::Read(*id),
            Happening::Change(target) => {
                let changes = target.changes(raft.membership(), bounds.ids());
                let transition = if target.by_hand { Transition::Explicit } else { Transition::Auto };
                Input::ChangeMembership { changes, transition }
            }
            Happening::LeaveJoint => Input::LeaveJoint,
            Happening::Transfer(to) => Input::TransferLeadership(Some(*to)),
            Happening::TakeSnapshot => reaction.take_snapshot(&raft)?,
            Happening::Sync => {
                let write = reaction.server.queue.pop_front()?;
                reaction.store(write)
            }
            Happening::Timer(_) | Happening::Crash { .. } | Happening::LoseTail | Happening::Restart => {
                return None;
            }
        };
        if let Happening::Read(id) = happening {
            reaction.server.reads.push(*id);
        }
        let done = catch_unwind(AssertUnwindSafe(|| reaction.run(&mut raft, input, bounds)));
        match done {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => {
                let mut panicked = Reaction::of(self.clone());
                panicked.broken.add(Flags::law(Law::NoPanic));
                return Some(panicked);
            }
        }
        reaction.judge(before, &raft, happening);
        reaction.server.raft = Some(raft);
        Some(reaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Bounds = Bounds { servers: 1, proposals: 2, ..Bounds::SMALLEST };

    fn config() -> raft_core::Config {
        ALONE.config(NodeId(1), raft_core::MutantSwitch::default())
    }

    fn after(server: &Server, happening: Happening) -> Reaction {
        server.react(&happening, &ALONE, config).expect("it can happen")
    }

    /// A server that leads alone, with a no-op and a command in its log.
    fn leader() -> Server {
        let fresh = Server::fresh(config()).expect("a legal configuration");
        let leader = after(&fresh, Happening::Timer(Timer::Election)).server;
        after(&leader, Happening::Propose(7)).server
    }

    /// The same core with something inside it changed.
    fn tampered(server: &Server, pointer: &str, value: serde_json::Value) -> Raft<u8> {
        let mut raft = serde_json::to_value(&server.raft).expect("plain data");
        *raft.pointer_mut(pointer).expect("a field of the core") = value;
        serde_json::from_value(raft).expect("plain data")
    }

    #[test]
    fn leader_append_only_fails_when_a_leader_loses_an_entry() {
        let leader = leader();
        let before = leader.raft.clone().expect("it is up");
        let mut reaction = Reaction::of(leader.clone());
        reaction.judge(&before, &before, &Happening::Sync);
        assert!(reaction.broken.is_empty());
        reaction.judge(&before, &tampered(&leader, "/log/entries", serde_json::json!([])), &Happening::Sync);
        assert!(reaction.broken.has(Flags::law(Law::LeaderAppendOnly)));
    }

    #[test]
    fn legal_restart_fails_on_a_disk_that_no_crash_leaves() {
        let mut server = after(&leader(), Happening::Crash { kept: 0 }).server;
        assert!(after(&server, Happening::Restart).broken.is_empty());
        server.disk.entries.remove(0);
        assert!(after(&server, Happening::Restart).broken.has(Flags::law(Law::LegalRestart)));
    }

    /// The core's own assertions are checked in debug builds only.
    #[test]
    #[cfg(debug_assertions)]
    fn no_panic_fails_when_the_core_panics() {
        let mut server = leader();
        server.raft = Some(tampered(&server, "/applied", serde_json::json!(1000)));
        let reaction = after(&server, Happening::Timer(Timer::Heartbeat));
        assert!(reaction.broken.has(Flags::law(Law::NoPanic)));
        assert_eq!(reaction.server, server, "what is left of a panic is not looked at");
    }
}
