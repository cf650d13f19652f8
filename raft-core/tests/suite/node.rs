//! One node by itself, spoken to directly: for tables of cases.

use raft_core::{
    Append, AppendOutcome, AppendResponse, Body, Config, Effects, Entry, HardState, Index, Input, Message,
    NodeId, Outbound, Payload, Position, Raft, Recovered, RoleKind, Round, Term, Timer,
};

/// A node that is told at once that its writes are durable, unless `slow`.
#[derive(Clone)]
pub struct Node {
    pub raft: Raft<u64>,
    /// Everything it has done since this was last taken.
    pub effects: Effects<u64>,
    pub slow: bool,
}

pub type Said = Vec<(u64, Body<u64>)>;

impl Node {
    /// Server 1 of `n`, with a log of these terms, in `term`.
    pub fn new(n: u64, log: &[u64], term: u64) -> Node {
        Node::with(n, log, HardState::new(Term(term), None), |_| {})
    }

    pub fn with(n: u64, log: &[u64], hard_state: HardState, configure: impl Fn(&mut Config)) -> Node {
        let mut config = Config::new(NodeId(1), (1..=n).map(NodeId));
        configure(&mut config);
        let mut effects = Effects::default();
        let recovered = Recovered { boot: 1, hard_state, entries: entries(1, log), ..Recovered::nothing() };
        let raft = Raft::start(config, recovered, &mut effects).unwrap();
        effects.clear();
        Node { raft, effects, slow: false }
    }

    /// Server 1 of `n` as the leader of `term`, its opening at the end of `log`.
    pub fn leader(n: u64, log: &[u64], term: u64) -> Node {
        let mut node = Node::new(n, log, term - 1);
        node.input(Input::Campaign);
        for peer in 2..=n {
            node.hear(peer, term - 1, Body::PreVoteResponse { next_term: Term(term), granted: true });
        }
        for peer in 2..=n {
            node.hear(peer, term, Body::VoteResponse { granted: true });
        }
        assert_eq!(node.raft.role(), RoleKind::Leader);
        node
    }

    pub fn input(&mut self, input: Input<u64>) -> Said {
        self.saying(|node| {
            node.raft.step(input, &mut node.effects).unwrap();
            if !node.slow {
                node.report_all();
            }
        })
    }

    /// Reports every write durable.
    pub fn flush(&mut self) -> Said {
        self.saying(Node::report_all)
    }

    fn report_all(&mut self) {
        while !self.effects.writes.is_empty() {
            let (_, ack) = self.effects.writes.remove(0).split();
            self.raft.step(Input::Durable(ack), &mut self.effects).unwrap();
        }
    }

    /// What is said meanwhile. Earlier messages are on their way already: nothing is added to them.
    fn saying(&mut self, act: impl FnOnce(&mut Self)) -> Said {
        let mut earlier = std::mem::take(&mut self.effects.send);
        act(self);
        let said = |Outbound { to, message }: &Outbound<u64>| (to.0, message.body.clone());
        let now = self.effects.send.iter().map(said).collect();
        earlier.append(&mut self.effects.send);
        self.effects.send = earlier;
        now
    }

    pub fn hear(&mut self, from: u64, term: u64, body: Body<u64>) -> Said {
        self.input(Input::Receive { from: NodeId(from), message: Message { term: Term(term), body } })
    }

    pub fn fire(&mut self, timer: Timer) -> Said {
        self.input(Input::Timer(timer))
    }

    pub fn terms(&self) -> Vec<u64> {
        self.raft.entries().map(|entry| entry.term.0).collect()
    }

    pub fn state(&self) -> (RoleKind, u64, Option<u64>) {
        (self.raft.role(), self.raft.term().0, self.raft.hard_state().voted_for.map(|id| id.0))
    }
}

/// Entries from `first` on, of these terms.
pub fn entries(first: u64, terms: &[u64]) -> Vec<Entry<u64>> {
    let entry = |(i, &term): (usize, &u64)| {
        let index = Index(first + i as u64);
        // The payload tells the place and the maker, so that equal entries are equal and others are not.
        Entry { index, term: Term(term), payload: Payload::Command(index.0 * 1000 + term) }
    };
    terms.iter().enumerate().map(entry).collect()
}

pub fn at(index: u64, term: u64) -> Position {
    Position { index: Index(index), term: Term(term) }
}

pub fn append(prev: Position, terms: &[u64], commit: u64) -> Body<u64> {
    append_in_round(prev, terms, commit, 0)
}

pub fn append_in_round(prev: Position, terms: &[u64], commit: u64, round: u64) -> Body<u64> {
    let entries = entries(prev.index.0 + 1, terms).into();
    Body::Append(Append { prev, entries, commit: Index(commit), round: Round(round) })
}

pub fn accepted(matched: u64, round: u64) -> Body<u64> {
    let outcome = AppendOutcome::Accepted { matched: Index(matched) };
    Body::AppendResponse(AppendResponse { round: Round(round), outcome })
}

pub fn rejected(refused: u64, hint: Position) -> Body<u64> {
    let outcome = AppendOutcome::Rejected { refused: Index(refused), hint };
    Body::AppendResponse(AppendResponse { round: Round(0), outcome })
}

pub fn vote_request(last: Position) -> Body<u64> {
    Body::VoteRequest { last, priority: 0, by_transfer: false }
}

pub const GRANTED: Body<u64> = Body::VoteResponse { granted: true };
pub const REFUSED: Body<u64> = Body::VoteResponse { granted: false };
