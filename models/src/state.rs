//! One state of the whole cluster: a handful of numbers.

use std::hash::{Hash, Hasher};

use crate::bounds::Bounds;
use crate::property::{Flags, Law};

/// A state of the cluster. Servers, messages and history are numbers in the [`Cluster`](crate::Cluster) it belongs to.
///
/// It hashes as its fingerprint, which is the same for all states that differ only in the servers' names.
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub(crate) servers: [u32; Bounds::MAX_SERVERS],
    pub(crate) network: Network,
    pub(crate) ghost: u32,
    pub(crate) crashes: u8,
    pub(crate) duplicates: u8,
    pub(crate) proposals: u8,
    pub(crate) reads: u8,
    /// A bit for each change of the members that was asked for.
    pub(crate) changes: u8,
    pub(crate) snapshots: u8,
    pub(crate) transfers: u8,
    pub(crate) lost_tails: u8,
    /// For each read under way, one more than what was committed when it was asked for.
    pub(crate) floors: [u8; Bounds::MAX_READS as usize],
    pub(crate) broken: Flags,
    pub(crate) print: u64,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.print);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl State {
    /// The state's number, the same in every run.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.print
    }

    /// Whether this law holds here and in the step that led here.
    #[must_use]
    pub fn holds(&self, law: Law) -> bool {
        !self.broken.has(Flags::law(law))
    }

    /// Everything but servers, messages and history, as one number.
    pub(crate) fn rest(&self) -> (u32, u32, [u8; 4], u32) {
        let counts = [self.crashes, self.duplicates, self.proposals, self.reads];
        (
            u32::from_le_bytes(counts),
            u32::from_le_bytes(self.floors),
            [self.changes, self.snapshots, self.transfers, self.lost_tails],
            self.broken.0,
        )
    }
}

/// The messages in flight: a bag, kept sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Network {
    messages: [u16; Bounds::MAX_IN_FLIGHT],
    length: u8,
}

impl Network {
    pub(crate) const EMPTY: Network = Network { messages: [0; Bounds::MAX_IN_FLIGHT], length: 0 };

    pub(crate) fn as_slice(&self) -> &[u16] {
        self.messages.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Adds a message. The bounds see to it that there is room.
    pub(crate) fn add(&mut self, message: u16) {
        let place = self.as_slice().partition_point(|&other| other < message);
        let end = usize::from(self.length);
        let Some(tail) = self.messages.get_mut(place..=end) else { return };
        tail.rotate_right(1);
        if let Some(first) = tail.first_mut() {
            *first = message;
        }
        self.length += 1;
    }

    /// Takes one such message out.
    pub(crate) fn remove(&mut self, message: u16) {
        let Some(place) = self.as_slice().iter().position(|&other| other == message) else { return };
        let end = usize::from(self.length);
        if let Some(tail) = self.messages.get_mut(place..end) {
            tail.rotate_left(1);
            if let Some(last) = tail.last_mut() {
                *last = 0;
            }
            self.length -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_a_sorted_bag() {
        let mut network = Network::EMPTY;
        [5, 1, 3, 3, 9].into_iter().for_each(|message| network.add(message));
        assert_eq!(network.as_slice(), [1, 3, 3, 5, 9]);
        network.remove(3);
        network.remove(7);
        network.remove(9);
        assert_eq!(network.as_slice(), [1, 3, 5]);
    }
}
