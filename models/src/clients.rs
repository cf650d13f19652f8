//! What the clients of one register see, and the judge of that: the very checker that judges recorded histories of real
//! clusters.
//!
//! A command is a put of its own number, a read is a get; each is a client of its own. A put is answered by the server that
//! took it, when that applies it, if it has led all the while and has not crashed; otherwise its client never hears of it, and
//! it may happen at any later time, or never. A get is answered with what the server that serves it has applied by then; one
//! that is given up is no operation at all.

use std::sync::{PoisonError, RwLock};

use checker::history::Builder;
use checker::{CheckOptions, Event, Kind, Limits, Model, ModelName, ModelOptions, NilReads, Value, Verdict};
use raft_core::NodeId;
use rustc_hash::FxHashMap;

use crate::world::Defect;

/// One end of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum End {
    /// A put of this number is asked for.
    Puts(u8),
    /// This get is asked for.
    Gets(u8),
    /// It is done.
    Put(u8),
    /// It is answered with what was put last, if anything was.
    Got(u8, Option<u8>),
}

/// What the clients have seen.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Clients {
    /// In the order of real time. Which of several operations begins first says nothing until one ends, nor the other way
    /// round: so those stand in one order.
    ends: Vec<End>,
    /// The puts whose clients wait for an answer, and of whom.
    waiting: Vec<(u8, NodeId)>,
}

impl End {
    fn begins(self) -> bool {
        matches!(self, End::Puts(_) | End::Gets(_))
    }

    fn event(self) -> Event {
        let put = |number: u8| Value::Int(i64::from(number));
        let (client, kind, f, value) = match self {
            End::Puts(number) => (number.into(), Kind::Invoke, "write", put(number)),
            End::Put(number) => (number.into(), Kind::Ok, "write", put(number)),
            End::Gets(id) => (GETS + i64::from(id), Kind::Invoke, "read", Value::Nil),
            End::Got(id, value) => (GETS + i64::from(id), Kind::Ok, "read", value.map_or(Value::Nil, put)),
        };
        Event::new(client, kind, f, value)
    }
}

/// The first client that gets; those before it put.
const GETS: i64 = 1000;

impl Clients {
    fn add(&mut self, end: End) {
        let run =
            self.ends.iter().rposition(|other| other.begins() != end.begins()).map_or(0, |last| last + 1);
        let offset = self.ends.get(run..).map_or(0, |run| run.partition_point(|other| *other < end));
        self.ends.insert(run + offset, end);
    }

    pub(crate) fn ask_put(&mut self, number: u8, server: NodeId) {
        self.add(End::Puts(number));
        let place = self.waiting.partition_point(|(other, _)| *other < number);
        self.waiting.insert(place, (number, server));
    }

    pub(crate) fn ask_get(&mut self, id: u8) {
        self.add(End::Gets(id));
    }

    /// This server has applied a put. Whether somebody waits for its word on that.
    pub(crate) fn answer_put(&mut self, number: u8, server: NodeId) -> bool {
        let place = self.waiting.iter().position(|waiting| *waiting == (number, server));
        let Some(place) = place else { return false };
        self.waiting.remove(place);
        self.add(End::Put(number));
        true
    }

    pub(crate) fn answer_get(&mut self, id: u8, value: Option<u8>) {
        self.add(End::Got(id, value));
    }

    /// It will never be answered.
    pub(crate) fn drop_get(&mut self, id: u8) {
        self.ends.retain(|end| *end != End::Gets(id));
    }

    /// Whether a client waits for this server's word.
    pub(crate) fn waits_for(&self, server: NodeId) -> bool {
        self.waiting.iter().any(|(_, other)| *other == server)
    }

    /// Who took their puts does not lead any more: nobody will tell them what becomes of those.
    pub(crate) fn give_up(&mut self, server: NodeId) {
        self.waiting.retain(|(_, other)| *other != server);
    }

    pub(crate) fn rename(&mut self, rename: impl Fn(NodeId) -> NodeId) {
        self.waiting.iter_mut().for_each(|(_, server)| *server = rename(*server));
    }

    /// What they have seen, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |end: &End| match *end {
            End::Puts(number) => format!("put {number} is asked for"),
            End::Put(number) => format!("put {number} is done"),
            End::Gets(id) => format!("get {id} is asked for"),
            End::Got(id, Some(value)) => format!("get {id} returns {value}"),
            End::Got(id, None) => format!("get {id} returns nothing"),
        };
        self.ends.iter().map(line).collect()
    }
}

/// The judge of histories: each different one is judged once.
#[derive(Default)]
pub(crate) struct Judge {
    known: RwLock<FxHashMap<Vec<End>, bool>>,
}

impl Judge {
    /// How many different histories were judged.
    pub(crate) fn judged(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn is_linearizable(&self, clients: &Clients) -> Result<bool, Defect> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&clients.ends).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let verdict = decide(&clients.ends).ok_or(Defect::Undecided)?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(clients.ends.clone(), verdict);
        Ok(verdict)
    }
}

/// What the checker says; nothing, if it does not know.
fn decide(ends: &[End]) -> Option<bool> {
    let mut builder = Builder::new("clients", None);
    ends.iter().try_for_each(|end| builder.push(end.event())).ok()?;
    let history = builder.finish();
    let register = ModelOptions { nil_reads: NilReads::Value, ..ModelOptions::default() };
    let model = Model::new(ModelName::Register, &register, &history).ok()?;
    let options = CheckOptions {
        threads: Some(std::num::NonZero::<usize>::MIN),
        limits: Limits::default(),
        explanation: std::time::Duration::ZERO,
        ..CheckOptions::default()
    };
    match model.check(&history, &options).ok()?.verdict {
        Verdict::Linearizable { .. } => Some(true),
        Verdict::NotLinearizable { .. } => Some(false),
        Verdict::Unknown { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_linearizable(ends: &[End]) -> bool {
        let mut clients = Clients::default();
        ends.iter().for_each(|end| clients.add(*end));
        Judge::default().is_linearizable(&clients).expect("a short history is decided")
    }

    #[test]
    fn histories_are_judged_by_their_real_time() {
        use End::{Gets, Got, Put, Puts};
        assert!(is_linearizable(&[Puts(0), Put(0), Gets(0), Got(0, Some(0))]));
        assert!(!is_linearizable(&[Puts(0), Put(0), Gets(0), Got(0, None)]), "stale");
        assert!(is_linearizable(&[Gets(0), Puts(0), Put(0), Got(0, None)]), "it began before");
        assert!(!is_linearizable(&[Gets(0), Got(0, Some(0)), Puts(0)]), "out of nothing");
        // A put of unknown outcome: it was seen, and then it was not.
        let seen = [Puts(0), Gets(0), Got(0, Some(0)), Gets(1)];
        assert!(is_linearizable(&[&seen[..], &[Got(1, Some(0))]].concat()));
        assert!(!is_linearizable(&[&seen[..], &[Got(1, None)]].concat()), "it goes back");
    }

    #[test]
    fn order_that_says_nothing_is_not_kept() {
        use End::{Gets, Got, Put, Puts};
        let of = |ends: &[End]| {
            let mut clients = Clients::default();
            ends.iter().for_each(|end| clients.add(*end));
            clients
        };
        let (one, other) =
            ([Gets(0), Puts(0), Got(0, None), Put(0)], [Puts(0), Gets(0), Put(0), Got(0, None)]);
        assert_eq!(of(&one), of(&other));
        assert_ne!(of(&one), of(&[Puts(0), Put(0), Gets(0), Got(0, None)]));
    }

    #[test]
    fn a_put_is_answered_once_by_who_took_it() {
        let mut clients = Clients::default();
        clients.ask_put(1, NodeId(2));
        assert!(clients.waits_for(NodeId(2)) && !clients.answer_put(1, NodeId(3)));
        clients.rename(|id| NodeId(id.0 + 1));
        assert!(clients.answer_put(1, NodeId(3)) && !clients.answer_put(1, NodeId(3)));
        clients.ask_put(0, NodeId(1));
        clients.give_up(NodeId(1));
        assert!(!clients.answer_put(0, NodeId(1)));
        assert_eq!(clients.lines(), ["put 1 is asked for", "put 1 is done", "put 0 is asked for"]);
    }
}
