//! How much a history may hold, counted before it is taken.

use super::Problem;

/// Bytes that are held, and the most that may be.
#[derive(Debug)]
pub(crate) struct Room {
    held: usize,
    most: usize,
}

impl Room {
    pub(crate) fn new(most: usize) -> Self {
        Self { held: 0, most }
    }

    /// Room for all there is.
    pub(crate) fn endless() -> Self {
        Self::new(usize::MAX)
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// How much is left.
    pub(crate) fn left(&self) -> usize {
        self.most.saturating_sub(self.held)
    }

    /// Counts what is held for good.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        self.held = self.held.saturating_add(bytes);
        self.fits(0)
    }

    /// Counts what is held no more.
    pub(crate) fn give(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Whether there is room for so much more for a moment.
    pub(crate) fn fits(&self, bytes: usize) -> Result<(), Problem> {
        if self.held.saturating_add(bytes) > self.most { Err(Problem::Memory) } else { Ok(()) }
    }

    /// Makes room in a vector for so many more. While it moves it is there twice: there must be room for both, even if the
    /// allocator finds a better way.
    #[inline]
    pub(crate) fn lengthen<T>(&mut self, vector: &mut Vec<T>, more: usize) -> Result<(), Problem> {
        if vector.capacity() - vector.len() >= more {
            return Ok(());
        }
        self.grow(vector, more)
    }

    #[cold]
    fn grow<T>(&mut self, vector: &mut Vec<T>, more: usize) -> Result<(), Problem> {
        let old = vector.capacity() * size_of::<T>();
        let more = (vector.capacity() / 2).max(64).max(more);
        self.take(more * size_of::<T>())?;
        self.fits(old)?;
        vector.reserve_exact(more);
        Ok(())
    }
}
