//! How every configuration came about: a forest of calls, each pointing at the one before it.

#![expect(clippy::indexing_slicing, reason = "indices are made here")]

use crate::limits::{Purse, Stopped};
use crate::wgl::{NONE, Node};

#[derive(Default)]
pub(super) struct Lineage {
    /// The place of the one before, and the call.
    links: Vec<(u32, u32)>,
    /// How many there were when it was tidied up last.
    tidy: usize,
}

impl Lineage {
    /// With fewer links than this, tidying up is not worth it.
    const FEW: usize = 1 << 16;

    /// The place of the link that will be added next.
    pub(super) fn next(&self) -> u32 {
        u32::try_from(self.links.len()).unwrap_or(NONE)
    }

    /// Says that `call` took effect after what is at `before`.
    pub(super) fn add(&mut self, before: u32, call: u32, purse: &mut Purse<'_>) -> Result<u32, Stopped> {
        let place = self.next();
        if place == NONE {
            return Err(Stopped::Memory);
        }
        purse.room(&mut self.links, 1)?;
        self.links.push((before, call));
        Ok(place)
    }

    /// Takes back what was added since the place `next` was this.
    pub(super) fn shorten(&mut self, next: u32) {
        self.links.truncate(next as usize);
    }

    /// The calls that lead to a place, first to last.
    pub(super) fn order(&self, place: u32) -> Vec<u32> {
        let mut order = Vec::new();
        let mut at = place;
        while at != NONE {
            let (before, call) = self.links[at as usize];
            order.push(call);
            at = before;
        }
        order.reverse();
        order
    }

    /// Forgets what led to none of these configurations, once there is twice as much as the last time.
    pub(super) fn forget(&mut self, nodes: &mut [Node], purse: &mut Purse<'_>) -> Result<(), Stopped> {
        if self.links.len() < (self.tidy * 2).max(Self::FEW) {
            return Ok(());
        }
        let bytes = self.links.len() * size_of::<u32>();
        purse.take(bytes)?;
        let mut places = vec![NONE; self.links.len()];
        for node in &*nodes {
            let mut at = node.parent;
            while at != NONE && places[at as usize] == NONE {
                places[at as usize] = 0;
                at = self.links[at as usize].0;
            }
        }
        let mut kept = 0;
        for at in 0..self.links.len() {
            if places[at] == NONE {
                continue;
            }
            // What comes before has a smaller place, and has moved already.
            let (before, call) = self.links[at];
            let before = if before == NONE { NONE } else { places[before as usize] };
            self.links[kept] = (before, call);
            places[at] = u32::try_from(kept).unwrap_or(NONE);
            kept += 1;
        }
        self.links.truncate(kept);
        for node in nodes {
            if node.parent != NONE {
                node.parent = places[node.parent as usize];
            }
        }
        self.tidy = kept;
        drop(places);
        purse.give(bytes);
        Ok(())
    }
}
