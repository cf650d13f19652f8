//! One value of one server, with what is asked of it again and again.

use std::sync::{OnceLock, RwLock};

use raft_core::{RoleKind, Term};
use rustc_hash::FxHashMap;

use crate::bounds::Bounds;
use crate::members::{members_number, payload_number};
use crate::server::Server;
use crate::world::Stimulus;

/// One value of one server.
pub(crate) struct Filed {
    pub(crate) server: Server,
    pub(crate) images: Box<[u32]>,
    pub(crate) prints: Box<[u64]>,
    /// How many entries are gone before those of the log.
    pub(crate) gone: usize,
    pub(crate) log: Box<[(Term, u32)]>,
    /// The members in force, as the payload that would bring them; of a server that is down, nothing.
    pub(crate) members: Option<u32>,
    pub(crate) is_joint_by_hand: bool,
    pub(crate) is_leader: bool,
    pub(crate) is_within_bounds: bool,
    /// Its number in the world of the fair schedule.
    pub(crate) settling: OnceLock<u32>,
    /// What was asked already: numbers of outcomes, or none.
    pub(crate) memo: RwLock<FxHashMap<Stimulus, u32>>,
}

impl Filed {
    pub(crate) fn new(server: &Server, images: Box<[u32]>, prints: Box<[u64]>, bounds: &Bounds) -> Self {
        let raft = server.raft.as_ref();
        let term = raft.map_or(server.disk.hard_state.term, raft_core::Raft::term);
        let log: Box<[(Term, u32)]> = server.log().map(|entry| (entry.term, payload_number(entry))).collect();
        let gone = server.base().index.0 as usize;
        let is_within_bounds = rounds(server, bounds) <= bounds.rounds
            && term.0 <= bounds.terms
            && gone + log.len() <= bounds.log
            && server.queue.len() <= bounds.slow_writes;
        Filed {
            server: server.clone(),
            images,
            prints,
            gone,
            log,
            members: raft.map(|raft| members_number(raft.membership())),
            is_joint_by_hand: raft
                .is_some_and(|raft| raft.membership().is_joint() && !raft.membership().leaves_by_itself()),
            is_leader: raft.is_some_and(|raft| raft.role() == RoleKind::Leader),
            is_within_bounds,
            settling: OnceLock::new(),
            memo: RwLock::default(),
        }
    }
}

/// How many rounds of confirmation a leader has begun, where that is bounded.
fn rounds(server: &Server, bounds: &Bounds) -> u64 {
    if bounds.rounds == 0 {
        return 0;
    }
    let raft = serde_json::to_value(&server.raft).unwrap_or_default();
    raft.pointer("/role/Leader/reads/round").and_then(serde_json::Value::as_u64).unwrap_or(0)
}
