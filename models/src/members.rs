//! Who the members are: at the beginning, and after the changes that may be asked for; and what a quorum of them is, counted
//! here by counting heads, not by the core's own arithmetic.

use std::sync::Arc;

use raft_core::{Body, Change, Entry, Membership, Message, NodeId, Payload, SnapshotMeta};
use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;

/// Some of the servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct Group(u8);

impl Group {
    /// Nobody.
    pub const NONE: Group = Group(0);

    /// These servers, counted from 1; what is no server of any world is left out.
    #[must_use]
    pub const fn of(servers: &[u8]) -> Self {
        let (mut bits, mut rest) = (0, servers);
        while let [server, others @ ..] = rest {
            if *server >= 1 && *server as usize <= Bounds::MAX_SERVERS {
                bits |= 1 << (*server - 1);
            }
            rest = others;
        }
        Group(bits)
    }

    /// Whether a server is one of them.
    #[must_use]
    pub fn has(self, id: NodeId) -> bool {
        (1..=Bounds::MAX_SERVERS as u64).contains(&id.0) && self.0 & (1 << (id.0 - 1)) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl From<Vec<u8>> for Group {
    fn from(servers: Vec<u8>) -> Self {
        Group::of(&servers)
    }
}

impl From<Group> for Vec<u8> {
    fn from(group: Group) -> Self {
        (1..=Bounds::MAX_SERVERS as u8).filter(|&server| group.has(NodeId(u64::from(server)))).collect()
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let servers: Vec<String> = Vec::from(*self).iter().map(u8::to_string).collect();
        write!(f, "{{{}}}", servers.join(","))
    }
}

/// Who the members are to be. What has to change for that depends on who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The voters.
    pub voters: Group,
    /// The learners.
    pub learners: Group,
    /// Through a joint membership that lasts until the host ends it; otherwise as the core sees fit.
    pub by_hand: bool,
}

impl Target {
    /// These voters, no learners, as the core sees fit.
    #[must_use]
    pub const fn voters(voters: &[u8]) -> Self {
        Target { voters: Group::of(voters), learners: Group::NONE, by_hand: false }
    }

    /// What has to change.
    pub(crate) fn changes(self, now: &Membership, ids: impl Iterator<Item = NodeId>) -> Vec<Change> {
        let change = |id: NodeId| {
            let (is_voter, is_learner) = (now.voters().contains(&id), now.learners().contains(&id));
            match (self.voters.has(id), self.learners.has(id)) {
                (true, _) if is_voter => None,
                (true, _) if is_learner => Some(Change::Promote(id)),
                (true, _) => Some(Change::Voter(id)),
                (false, true) if is_learner => None,
                (false, true) => Some(Change::Learner(id)),
                (false, false) if is_voter || is_learner => Some(Change::Remove(id)),
                (false, false) => None,
            }
        };
        ids.filter_map(change).collect()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.voters)?;
        if !self.learners.is_empty() {
            write!(f, " and learners {}", self.learners)?;
        }
        if self.by_hand { f.write_str(" step by step") } else { Ok(()) }
    }
}

/// Whether those that `is_in` says are a quorum: a majority of the voters, and in the middle of a change one of the outgoing
/// voters too (§6).
pub(crate) fn is_quorum(members: &Membership, is_in: impl Fn(NodeId) -> bool) -> bool {
    let is_majority = |voters: &[NodeId]| 2 * voters.iter().filter(|id| is_in(**id)).count() > voters.len();
    is_majority(members.voters()) && (members.outgoing().is_empty() || is_majority(members.outgoing()))
}

/// Whether every quorum of the one has a server in common with every quorum of the other.
pub(crate) fn quorums_meet(one: &Membership, other: &Membership) -> bool {
    let groups = (0..1u8 << Bounds::MAX_SERVERS).map(Group);
    groups
        .into_iter()
        .all(|group| !(is_quorum(one, |id| group.has(id)) && is_quorum(other, |id| !group.has(id))))
}

const IS_MEMBERSHIP: u32 = 1 << 31;
const WIDTH: u32 = Bounds::MAX_SERVERS as u32;

/// A payload as a number: two have the same number only if they are equal.
pub(crate) fn payload_number(entry: &Entry<u8>) -> u32 {
    match &entry.payload {
        Payload::Noop => 256,
        Payload::Membership(members) => members_number(members),
        Payload::Command(command) => u32::from(*command),
    }
}

/// The number of the payload that brings these members.
pub(crate) fn members_number(members: &Membership) -> u32 {
    let bit = |id: &NodeId| if (1..=u64::from(WIDTH)).contains(&id.0) { 1u32 << (id.0 - 1) } else { 0 };
    let lists = [members.demoted(), members.learners(), members.outgoing(), members.voters()];
    let lists = lists.into_iter().fold(0, |number, list| number << WIDTH | list.iter().map(bit).sum::<u32>());
    IS_MEMBERSHIP | u32::from(members.leaves_by_itself()) << (4 * WIDTH) | lists
}

/// Whether this is the number of a payload that brings members.
pub(crate) fn brings_members(payload: u32) -> bool {
    payload & IS_MEMBERSHIP != 0
}

/// The number of the same payload with other names.
pub(crate) fn renamed_payload(payload: u32, rename: impl Fn(NodeId) -> NodeId) -> u32 {
    if !brings_members(payload) {
        return payload;
    }
    let places = 0..4 * WIDTH;
    let renamed = places.clone().filter(|place| payload & (1 << place) != 0).map(|place| {
        let new = rename(NodeId(u64::from(place % WIDTH) + 1));
        1 << (place / WIDTH * WIDTH + new.0 as u32 - 1)
    });
    payload & !((1 << places.end) - 1) | renamed.sum::<u32>()
}

/// The same message with other names; nothing if it cannot be had.
pub(crate) fn renamed_message(
    message: &Message<u8>,
    rename: impl Fn(NodeId) -> NodeId,
) -> Option<Message<u8>> {
    let mut renamed = message.clone();
    if let Body::Snapshot(chunk) = &mut renamed.body {
        let membership = Arc::new(renamed_members(&chunk.snapshot.membership, &rename)?);
        chunk.snapshot = Arc::new(SnapshotMeta { last: chunk.snapshot.last, membership });
    }
    if let Body::Append(append) = &mut renamed.body
        && append.entries.iter().any(|entry| matches!(entry.payload, Payload::Membership(_)))
    {
        let entries: Option<Vec<Entry<u8>>> =
            append.entries.iter().map(|e| renamed_entry(e, &rename)).collect();
        append.entries = entries?.into_iter().collect();
    }
    Some(renamed)
}

fn renamed_entry(entry: &Entry<u8>, rename: &impl Fn(NodeId) -> NodeId) -> Option<Entry<u8>> {
    let mut renamed = entry.clone();
    if let Payload::Membership(members) = &mut renamed.payload {
        *members = Arc::new(renamed_members(members, rename)?);
    }
    Some(renamed)
}

/// By way of its serialized form, since a joint membership cannot be made otherwise.
fn renamed_members(members: &Membership, rename: &impl Fn(NodeId) -> NodeId) -> Option<Membership> {
    let mut value = serde_json::to_value(members).ok()?;
    for list in value.as_object_mut()?.values_mut().filter_map(serde_json::Value::as_array_mut) {
        let mut ids: Vec<u64> = list.iter().filter_map(|id| Some(rename(NodeId(id.as_u64()?)).0)).collect();
        ids.sort_unstable();
        *list = ids.into_iter().map(serde_json::Value::from).collect();
    }
    serde_json::from_value(value).ok()
}

/// The members in a few letters.
pub(crate) fn describe(members: &Membership) -> String {
    let list = |ids: &[NodeId]| ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",");
    let mut text = format!("{{{}}}", list(members.voters()));
    for (what, ids) in [("from", members.outgoing()), ("learn", members.learners())] {
        if !ids.is_empty() {
            text.push_str(&format!(" {what} {{{}}}", list(ids)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use raft_core::Transition;

    use super::*;

    fn of(voters: &[u64]) -> Membership {
        Membership::new(voters.iter().copied().map(NodeId))
    }

    fn joint() -> Membership {
        let changes = [Change::Voter(NodeId(4)), Change::Learner(NodeId(1)), Change::Learner(NodeId(5))];
        of(&[1, 2, 3]).changed(&changes, Transition::Auto).unwrap()
    }

    #[test]
    fn quorums_of_one_step_meet_and_of_two_do_not() {
        assert!(quorums_meet(&of(&[1, 2, 3]), &of(&[1, 2, 3, 4])));
        assert!(quorums_meet(&of(&[1, 2, 3, 4]), &of(&[1, 2, 3])));
        assert!(!quorums_meet(&of(&[1, 2, 3]), &of(&[1, 2, 3, 4, 5])));
        assert!(!quorums_meet(&of(&[1, 2, 3]), &of(&[1])));
        assert!(quorums_meet(&of(&[1, 2, 3]), &joint()) && quorums_meet(&joint(), &joint().left().unwrap()));
    }

    #[test]
    fn in_the_middle_of_a_change_both_majorities_are_asked() {
        let in_group = |servers: &'static [u8]| is_quorum(&joint(), |id| Group::of(servers).has(id));
        assert!(in_group(&[2, 3]) && in_group(&[1, 2, 4]));
        assert!(!in_group(&[1, 2]) && !in_group(&[3, 4, 5]));
    }

    #[test]
    fn a_renamed_number_is_the_number_of_the_renamed() {
        let rename = |id: NodeId| NodeId([4, 1, 2, 5, 3][id.0 as usize - 1]);
        for members in [of(&[1, 2, 3]), of(&[2]).with_learners([NodeId(5)]), joint(), joint().left().unwrap()]
        {
            let renamed = renamed_members(&members, &rename).unwrap();
            assert!(renamed.is_legal());
            assert_ne!(renamed, members);
            assert_eq!(members_number(&renamed), renamed_payload(members_number(&members), rename));
        }
        let numbers: std::collections::BTreeSet<_> =
            [of(&[1, 2, 3]), of(&[3]), joint(), joint().left().unwrap()].iter().map(members_number).collect();
        assert_eq!(numbers.len(), 4);
        assert!(numbers.into_iter().all(brings_members));
    }

    #[test]
    fn a_target_is_reached_by_the_changes_it_asks_for() {
        let ids = || (1..=5).map(NodeId);
        let target = Target { voters: Group::of(&[1, 4]), learners: Group::of(&[3]), by_hand: false };
        let now = of(&[1, 2, 3]).with_learners([NodeId(4), NodeId(5)]);
        let then = now.changed(&target.changes(&now, ids()), Transition::Auto).unwrap();
        let then = then.left().unwrap();
        assert_eq!(then, of(&[1, 4]).with_learners([NodeId(3)]));
        assert!(target.changes(&then, ids()).is_empty());
    }
}
