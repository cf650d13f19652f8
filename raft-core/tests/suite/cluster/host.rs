//! What a host does for its node: carries out effects, makes writes durable, dies and comes back.

use raft_core::{Apply, Config, Effects, Input, NodeId, Raft, ReadOutcome, RoleKind};

use super::{Cluster, Command, NETWORK_CAPACITY, Packet, State};

impl Cluster {
    pub(super) fn take(&mut self, id: NodeId, effects: Effects<Command>) {
        for outbound in effects.send {
            let server = &self.servers[usize::try_from(id.0 - 1).unwrap()];
            self.ghost.on_send(server, &outbound);
            self.ghost.on_round(&outbound);
            if self.network.len() >= NETWORK_CAPACITY {
                self.network.pop_front();
            }
            self.network.push_back(Packet { from: id, to: outbound.to, message: outbound.message });
        }
        self.timers.extend(effects.timers.into_iter().map(|timer| (id, timer)));
        self.server_mut(id).disk.queue.extend(effects.writes);
        self.server_mut(id).wanted.extend(effects.snapshots);
        for event in effects.events {
            self.ghost.on_event(id, &event);
            self.events.push((id, event));
        }
        self.ghost.observe(&self.servers);
        for read in effects.reads {
            match read {
                ReadOutcome::Ready { id: read, index } => {
                    let floor = self.server_mut(id).reads.remove(&read);
                    self.ghost.on_read(id, read, floor, index);
                    let raft = self.server(id).raft.as_ref();
                    self.ghost.read_at_follower |= raft.is_some_and(|raft| raft.role() == RoleKind::Follower);
                    self.server_mut(id).served.push((read, index));
                }
                ReadOutcome::Aborted { id: read } => {
                    self.server_mut(id).reads.remove(&read);
                }
            }
        }
        for apply in &effects.apply {
            self.execute(id, apply);
        }
        let last = effects.apply.last().map(Apply::index);
        if let Some(last) = last {
            self.step(id, Input::Applied(last)).unwrap();
        }
    }

    fn execute(&mut self, id: NodeId, apply: &Apply<Command>) {
        match apply {
            Apply::Entry(entry) => {
                let server = self.server_mut(id);
                server.state.execute(entry);
                server.applied.push(entry.clone());
                let state = server.state;
                self.ghost.on_apply(id, entry, state);
            }
            Apply::Snapshot(meta) => {
                let server = self.server_mut(id);
                let stored = server.disk.snapshot.as_ref().filter(|(stored, _)| *stored == **meta);
                let Some((_, state)) = stored else {
                    return self
                        .ghost
                        .violated(format!("{id:?} is to restore {meta:?}, which it does not have"));
                };
                server.state = *state;
                server.applied.clear();
                let state = server.state;
                self.ghost.on_restore(id, meta, state);
            }
        }
    }

    /// The oldest write of a server reaches its platter.
    pub fn sync(&mut self, id: NodeId) -> bool {
        let disk = &mut self.server_mut(id).disk;
        let Some(write) = disk.queue.pop_front() else { return false };
        let (batch, ack) = write.split();
        if let Err(what) = disk.store(&batch) {
            self.ghost.violated(format!("{id:?} is to store {what}"));
        }
        self.server_mut(id).disk.unreported.push_back(ack);
        true
    }

    /// The server is told of a write that reached the platter: the oldest, or with `newest` the latest.
    pub fn report(&mut self, id: NodeId, newest: bool) -> bool {
        let unreported = &mut self.server_mut(id).disk.unreported;
        let Some(ack) = (if newest { unreported.pop_back() } else { unreported.pop_front() }) else {
            return false;
        };
        self.step(id, Input::Durable(ack)).unwrap();
        true
    }

    /// The host reads a part of its snapshot that the core has asked for.
    pub fn serve_chunk(&mut self, id: NodeId) -> bool {
        let Some(wanted) = self.server_mut(id).wanted.pop_front() else { return false };
        let stored = self.server(id).disk.snapshot.as_ref().filter(|(meta, _)| meta.last == wanted.last);
        let bytes = stored.map(|(_, state)| state.to_bytes());
        let offset = usize::try_from(wanted.offset).unwrap();
        let input = match bytes.as_ref().and_then(|bytes| bytes.get(offset..)) {
            Some(rest) => {
                let data = rest[..rest.len().min(self.chunk_bytes)].to_vec();
                let done = data.len() == rest.len();
                Input::SnapshotChunk { to: wanted.to, last: wanted.last, offset: wanted.offset, data, done }
            }
            None => Input::SnapshotUnavailable { to: wanted.to },
        };
        self.step(id, input).unwrap();
        true
    }

    /// The server dies: what is not on the platter is gone, all but the first `kept` writes of its queue.
    pub fn crash(&mut self, id: NodeId, kept: usize) {
        for _ in 0..kept {
            self.sync(id);
        }
        let server = self.server_mut(id);
        server.raft = None;
        server.disk.lose_power();
        server.reads.clear();
        server.wanted.clear();
        self.ghost.on_crash(id);
    }

    /// The server comes back with what its platter holds.
    pub fn restart(&mut self, id: NodeId) {
        if self.is_up(id) {
            return;
        }
        let mut config = Config::joining(id);
        config.founders = Some(self.founders.clone()).filter(|founders| founders.contains(id));
        (self.configure)(&mut config);
        let server = self.server_mut(id);
        server.boot += 1;
        server.applied.clear();
        server.state = State::default();
        let recovered = server.disk.recovered(server.boot);
        let mut effects = Effects::default();
        match Raft::start(config, recovered, &mut effects) {
            Ok(raft) => {
                // Where nothing was lost after all, there is nothing to remember.
                server.disk.lost_tail =
                    server.disk.lost_tail.filter(|_| raft.hard_state().lost_tail.is_some());
                server.raft = Some(raft);
                self.take(id, effects);
            }
            Err(error) => self.ghost.violated(format!("{id:?} cannot start: {error}")),
        }
    }
}
