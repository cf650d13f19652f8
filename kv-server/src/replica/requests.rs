//! The ways of a request: let in, held, refused, read, proposed.

use std::time::Duration;

use bytes::Bytes;
use raft_core::{Input, Moment, Proposed, Refused};

use super::Replica;
use super::held::Waiting;
use super::io::{Ask, ReplicaOutput, RequestId};
use crate::limits::{MAX_KEYS_PER_READ, MAX_PENDING_READS, MAX_PENDING_WRITES, MAX_VALUES_BYTES, WATCH_HOLD};
use crate::machine::{Command, MAX_KEY_BYTES, Machine};
use crate::protocol::{Answer, Failure, RequestBody, Role};

/// Whether these keys may be asked for.
fn check_keys(keys: &[Bytes]) -> Result<(), Failure> {
    if keys.len() > MAX_KEYS_PER_READ {
        let reason = format!("{} keys, where at most {MAX_KEYS_PER_READ} are allowed", keys.len());
        return Err(Failure::Invalid { reason });
    }
    match keys.iter().find(|key| key.len() > MAX_KEY_BYTES) {
        None => Ok(()),
        Some(key) => {
            let reason = format!("a key of {} bytes, where at most {MAX_KEY_BYTES} are allowed", key.len());
            Err(Failure::Invalid { reason })
        }
    }
}

/// What these keys hold, if that fits an answer.
pub(super) fn read_all(machine: &Machine, keys: &[Bytes]) -> Result<Answer, Failure> {
    let values: Vec<Option<Bytes>> = keys.iter().map(|key| machine.get(key)).collect();
    let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
    if bytes > MAX_VALUES_BYTES {
        let reason =
            format!("the values have {bytes} bytes, where at most {MAX_VALUES_BYTES} fit: ask for fewer");
        return Err(Failure::Invalid { reason });
    }
    Ok(Answer::Values(values))
}

impl Replica {
    /// Checks a request once, at the gate, and keeps it until the end of the turn.
    pub(super) fn admit(
        &mut self,
        now: Moment,
        id: RequestId,
        patience: Duration,
        body: RequestBody,
        out: &mut ReplicaOutput,
    ) {
        let ask = match body {
            RequestBody::Status => {
                return out.answer(id, Ok(Answer::Status(self.status())));
            }
            _ if self.stopping => return out.answer(id, Err(Failure::Stopping)),
            RequestBody::TakeSnapshot { kept } => return self.snapshots.ask(id, kept),
            RequestBody::ChangeMembers { changes } => return self.change_members(now, id, changes, out),
            RequestBody::TransferLeadership { to } => return self.transfer(now, id, to, out),
            RequestBody::Watch { scope, from } => {
                let expires = now + patience.min(WATCH_HOLD);
                return self.watches.admit(id, (scope, from), expires, self.applied, &mut out.answers);
            }
            RequestBody::StateHash => {
                let (applied, hash) = (self.applied.0, self.machine.state_hash());
                return out.answer(id, Ok(Answer::StateHash { applied, hash }));
            }
            RequestBody::Get { key } => match check_keys(std::slice::from_ref(&key)) {
                Ok(()) => Ask::Read { key },
                Err(failure) => return out.answer(id, Err(failure)),
            },
            RequestBody::GetAll { keys } => match check_keys(&keys) {
                Ok(()) => Ask::ReadAll { keys },
                Err(failure) => return out.answer(id, Err(failure)),
            },
            RequestBody::Execute { command } => match Command::decode(&command) {
                Ok(_) => Ask::Write { command },
                Err(error) => {
                    return out.answer(id, Err(Failure::Invalid { reason: error.to_string() }));
                }
            },
        };
        self.arrived.push(Waiting { id, expires: now + patience.min(self.hold), ask });
    }

    /// The end of a turn: what arrived, and what was held if a leader is known by now, goes its way.
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut ReplicaOutput) {
        // A refusal or an aborted read may send requests back to `arrived`; the second round holds or answers them.
        for _ in 0..2 {
            if self.core.raft().role() == Role::Leader || self.core.raft().leader().is_some() {
                self.held.release(&mut self.arrived);
            }
            if self.arrived.is_empty() {
                return;
            }
            let mut arrived = std::mem::take(&mut self.arrived);
            if self.core.raft().role() == Role::Leader {
                self.serve(now, &mut arrived, out);
            } else {
                self.answer_rashly(now, &mut arrived, out);
                let refused = Refused::NotLeader { leader: self.core.raft().leader() };
                arrived.drain(..).for_each(|waiting| self.refuse(waiting, refused, out));
            }
            if self.arrived.is_empty() {
                self.arrived = arrived;
            }
        }
        for waiting in std::mem::take(&mut self.arrived) {
            self.hold(waiting, out);
        }
    }

    /// What a leader does: one read-index round for all reads, and as few proposals as the limits allow for all writes.
    /// Reads go first, so that the round that the proposals' appends carry is already theirs.
    fn serve(&mut self, now: Moment, arrived: &mut Vec<Waiting>, out: &mut ReplicaOutput) {
        let mut reads = Vec::new();
        for waiting in arrived.drain(..) {
            let (pending, limit) = match waiting.ask {
                Ask::Read { .. } | Ask::ReadAll { .. } => (self.reads.len() + reads.len(), MAX_PENDING_READS),
                Ask::Write { .. } => (self.writes.len(), MAX_PENDING_WRITES),
            };
            if pending >= limit {
                out.answer(waiting.id, Err(Failure::Overloaded));
                continue;
            }
            match waiting.ask {
                Ask::Read { .. } | Ask::ReadAll { .. } => reads.push(waiting),
                Ask::Write { .. } => self.writes.gather(waiting),
            }
        }
        self.read(now, reads, out);
        while let Some((commands, batch)) = self.writes.next_proposal() {
            self.propose(now, commands, batch, out);
        }
    }

    fn read(&mut self, now: Moment, batch: Vec<Waiting>, out: &mut ReplicaOutput) {
        if batch.is_empty() {
            return;
        }
        let id = self.reads.next_id();
        match self.core.step(now, Some(Input::Read(id)), &mut self.effects) {
            Ok(()) => self.reads.begin(id, batch),
            Err(refused) => batch.into_iter().for_each(|waiting| self.refuse(waiting, refused, out)),
        }
        self.settle(now, out);
    }

    fn propose(&mut self, now: Moment, commands: Vec<Bytes>, batch: Vec<Waiting>, out: &mut ReplicaOutput) {
        let result = self.core.step(now, Some(Input::Propose(commands)), &mut self.effects);
        match (result, self.effects.proposed.take()) {
            (Ok(()), Some(Proposed::Appended(placed))) => self.writes.proposed(placed, batch),
            // Nothing is forwarded here, and an accepted proposal says where it went; should it not, nobody may be told that
            // nothing happened.
            (Ok(()), Some(Proposed::Forwarded(_)) | None) => {
                batch.into_iter().for_each(|waiting| out.answer(waiting.id, Err(Failure::OutcomeUnknown)));
            }
            (Err(refused), _) => batch.into_iter().for_each(|waiting| self.refuse(waiting, refused, out)),
        }
        self.settle(now, out);
    }

    /// Raft would not take it, and it had no effect.
    fn refuse(&mut self, waiting: Waiting, refused: Refused, out: &mut ReplicaOutput) {
        let me = self.core.raft().id();
        match refused {
            Refused::NotLeader { leader: Some(leader) } if leader != me => {
                let address = self.addresses.get(&leader).copied();
                out.answer(waiting.id, Err(Failure::NotLeader { leader, address }));
            }
            Refused::NotLeader { .. } | Refused::Transferring { .. } => self.hold(waiting, out),
            Refused::QuotaFull => out.answer(waiting.id, Err(Failure::Overloaded)),
            Refused::Halted => out.answer(waiting.id, Err(Failure::Stopping)),
            // What no client can ask for.
            Refused::Empty
            | Refused::CannotCampaign
            | Refused::CannotTransferTo { .. }
            | Refused::NobodyToTransferTo
            | Refused::NotCommittedInTerm
            | Refused::ChangePending
            | Refused::Change(_)
            | Refused::Compact(_)
            | Refused::LeasesForbid
            | Refused::Leads => {
                out.answer(waiting.id, Err(Failure::Invalid { reason: refused.to_string() }));
            }
        }
    }

    fn hold(&mut self, waiting: Waiting, out: &mut ReplicaOutput) {
        if let Err(waiting) = self.held.hold(waiting) {
            out.answer(waiting.id, Err(Failure::NoLeader));
        }
    }
}
