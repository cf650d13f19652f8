//! When and on which line each event was: clocks and lines go on evenly for most of a history, so that four bytes for an event
//! are enough.

use super::Problem;
use super::room::Room;

/// The times of events, by position.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Events before the first that has a time.
    without: u32,
    /// Nanoseconds since the start of the stretch.
    since: Vec<u32>,
    /// Stretches: the position of the first event, and the time from which is counted.
    stretches: Vec<(u32, i64)>,
}

/// In place of a time.
const NONE: u32 = u32::MAX;

impl Times {
    /// The next event's.
    #[inline]
    pub(super) fn push(&mut self, time: Option<i64>, room: &mut Room) -> Result<(), Problem> {
        let Some(time) = time else {
            if self.since.is_empty() {
                self.without += 1;
                return Ok(());
            }
            room.lengthen(&mut self.since, 1)?;
            self.since.push(NONE);
            return Ok(());
        };
        let start = self.stretches.last().map(|(_, start)| time.wrapping_sub(*start));
        let since = match start.and_then(|since| u32::try_from(since).ok()).filter(|since| *since < NONE) {
            Some(since) => since,
            None => {
                room.lengthen(&mut self.stretches, 1)?;
                // Fits, as positions do.
                let position = self.without.saturating_add(u32::try_from(self.since.len()).unwrap_or(NONE));
                self.stretches.push((position, time));
                0
            }
        };
        room.lengthen(&mut self.since, 1)?;
        self.since.push(since);
        Ok(())
    }

    pub(super) fn at(&self, position: u32) -> Option<i64> {
        let at = position.checked_sub(self.without)?;
        let since = self.since.get(at as usize).filter(|since| **since != NONE)?;
        let after = self.stretches.partition_point(|(first, _)| *first <= position);
        let (_, start) = self.stretches.get(after.checked_sub(1)?)?;
        Some(start.wrapping_add(i64::from(*since)))
    }

    pub(super) fn memory(&self) -> usize {
        self.since.capacity() * size_of::<u32>() + self.stretches.capacity() * size_of::<(u32, i64)>()
    }
}

/// The lines of events, by position.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// From that position on each event is one line further down: the first one's line.
    stretches: Vec<(u32, u32)>,
    /// The line that goes without saying.
    next: u32,
}

impl Lines {
    /// The line of the event at that position, which is the next.
    #[inline]
    pub(super) fn push(&mut self, position: u32, line: u32, room: &mut Room) -> Result<(), Problem> {
        if line != self.next || self.stretches.is_empty() {
            room.lengthen(&mut self.stretches, 1)?;
            self.stretches.push((position, line));
        }
        self.next = line.saturating_add(1);
        Ok(())
    }

    pub(super) fn at(&self, position: u32) -> u32 {
        let after = self.stretches.partition_point(|(first, _)| *first <= position);
        match after.checked_sub(1).and_then(|at| self.stretches.get(at)) {
            Some((first, line)) => line.saturating_add(position - first),
            None => 0,
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.stretches.capacity() * size_of::<(u32, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_was_said() {
        let said = [
            None,
            None,
            Some(5),
            Some(5),
            None,
            Some(4),
            Some(5 + i64::from(u32::MAX)),
            Some(4 + i64::from(u32::MAX)),
            Some(i64::MAX),
            Some(i64::MIN),
            Some(-1),
            None,
            Some(0),
            Some(i64::from(u32::MAX) - 1),
            Some(i64::from(u32::MAX)),
        ];
        for from in 0..said.len() {
            let (mut times, mut room) = (Times::default(), Room::endless());
            for time in &said[from..] {
                times.push(*time, &mut room).expect("room");
            }
            let found: Vec<_> = (0..).take(said.len() - from).map(|position| times.at(position)).collect();
            assert_eq!(found, said[from..]);
            assert_eq!(times.at(99), None);
            assert_eq!(room.held(), times.memory());
        }
    }

    #[test]
    fn lines_are_what_was_said() {
        let said = [1, 2, 3, 3, 3, 9, 10, 10, 11, u32::MAX, u32::MAX];
        let (mut lines, mut room) = (Lines::default(), Room::endless());
        for (position, line) in (0..).zip(said) {
            lines.push(position, line, &mut room).expect("room");
        }
        assert_eq!((0..).take(said.len()).map(|position| lines.at(position)).collect::<Vec<_>>(), said);
        assert_eq!(room.held(), lines.memory());
    }
}
