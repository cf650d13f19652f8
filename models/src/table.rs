//! An append-only table: values get consecutive numbers, and reading one takes no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const CHUNK: usize = 4096;
const CHUNKS: usize = 4096;

type Chunk<T> = OnceLock<Box<[OnceLock<T>]>>;

/// Up to [`Table::CAPACITY`] values, each found by the number it got when it was pushed.
pub(crate) struct Table<T> {
    chunks: Box<[Chunk<T>]>,
    next: AtomicU32,
}

impl<T> Table<T> {
    /// How many values fit.
    pub(crate) const CAPACITY: usize = CHUNK * CHUNKS;

    pub(crate) fn new() -> Self {
        Table { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(), next: AtomicU32::new(0) }
    }

    /// How many numbers were given out.
    pub(crate) fn len(&self) -> usize {
        self.next.load(Ordering::Acquire) as usize
    }

    /// Adds a value and returns its number, or nothing if the table is full.
    pub(crate) fn push(&self, value: T) -> Option<u32> {
        if self.len() >= Self::CAPACITY {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        let place = number as usize;
        let chunk = self.chunks.get(place / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        chunk.get(place % CHUNK)?.set(value).ok()?;
        Some(number)
    }

    /// The value with this number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let place = number as usize;
        self.chunks.get(place / CHUNK)?.get()?.get(place % CHUNK)?.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_number_across_chunks() {
        let table = Table::new();
        for i in 0..CHUNK as u32 + 3 {
            assert_eq!(table.push(i * 2), Some(i));
        }
        assert_eq!(table.get(CHUNK as u32 + 2), Some(&(2 * (CHUNK as u32 + 2))));
        assert_eq!(table.get(CHUNK as u32 + 3), None);
        assert_eq!(table.len(), CHUNK + 3);
    }
}
