//! What each client is doing, so that nobody does two things at a time.

use rustc_hash::FxHashMap;

use super::Problem;
use super::room::Room;

/// What a process is doing.
#[derive(Clone, Copy)]
pub(super) enum State {
    /// It was never heard of.
    Fresh,
    Idle {
        last: u32,
    },
    Open {
        operation: u32,
    },
    Retired {
        operation: u32,
    },
}

/// What the clients are doing.
#[derive(Default)]
pub(super) struct Clients {
    /// By index.
    pub(super) doing: Vec<Doing>,
    /// The indices of those with small numbers, plus one.
    small: Vec<u32>,
    /// The indices of the others.
    other: FxHashMap<i64, u32>,
}

/// What one client is doing, and when it was heard of last.
#[derive(Clone, Copy)]
pub(super) struct Doing {
    pub(super) state: State,
    pub(super) last: Option<i64>,
}

/// Whether a process that was at `before` may be at `now`.
pub(super) fn clock_holds(before: Option<i64>, now: Option<i64>) -> bool {
    before.zip(now).is_none_or(|(before, now)| before <= now)
}

/// What one process takes in the table: at most seven of eight places are taken.
const OTHER: usize = (size_of::<(i64, u32)>() + 1) * 8 / 7 + 1;

impl Clients {
    const SMALL: usize = 1 << 10;

    /// The client's index, if it was there before.
    #[inline]
    pub(super) fn index(&self, process: i64) -> Option<u32> {
        match usize::try_from(process) {
            Ok(small) if small < Self::SMALL => self.small.get(small)?.checked_sub(1),
            _ => self.other.get(&process).copied(),
        }
    }

    /// A client that was never there before.
    pub(super) fn insert(&mut self, process: i64, index: u32, room: &mut Room) -> Result<(), Problem> {
        room.lengthen(&mut self.doing, 1)?;
        self.doing.push(Doing { state: State::Fresh, last: None });
        let small = usize::try_from(process).ok().filter(|small| *small < Self::SMALL);
        let Some(small) = small else {
            let capacity = self.other.capacity();
            if self.other.len() == capacity {
                // Both tables are there while it moves.
                room.fits(2 * capacity * OTHER)?;
            }
            self.other.insert(process, index);
            return room.take((self.other.capacity() - capacity) * OTHER);
        };
        if self.small.len() <= small {
            self.small.resize(small + 1, 0);
        }
        if let Some(place) = self.small.get_mut(small) {
            *place = index + 1;
        }
        Ok(())
    }
}
