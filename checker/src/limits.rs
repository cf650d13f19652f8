//! Limits that hold: looked at inside the search, before memory is taken, by every thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a check may use, and a way to stop it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wall-clock time for the decision; explaining it may take as long again, at most
    /// [`crate::CheckOptions::explanation`].
    pub time: Duration,
    /// Memory for the history and the searches of all threads together, in bytes. What the program takes beside that (its own
    /// code, what the allocator holds back) is a few MiB and a few per cent.
    pub memory_bytes: u64,
    /// Set from outside, it stops the check soon.
    pub cancel: Arc<AtomicBool>,
}

impl Limits {
    /// Time for explaining a "no" where nothing else is asked for.
    pub const EXPLANATION: Duration = Duration::from_secs(2);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            memory_bytes: 4 << 30,
            cancel: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// Why a search stopped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Out of time.
    Time,
    /// Out of memory.
    Memory,
    /// Told to.
    Cancelled,
    /// Out of its share of steps, to be tried again with more.
    Share,
    /// The algorithm asked for does not apply.
    Inapplicable,
}

/// The limits while they are being used up; shared by the threads of a check.
#[derive(Debug)]
pub(crate) struct Budget {
    deadline: Option<Instant>,
    memory: u64,
    used: Arc<AtomicU64>,
    cancel: Arc<AtomicBool>,
    /// Set by the check itself: another partition has already settled the verdict.
    settled: Arc<AtomicBool>,
    /// Set by whoever wins the race in which this is used.
    over: Option<Arc<AtomicBool>>,
    /// What this racer's searches have given back. The allocator keeps what a thread has freed for that same thread: the next
    /// search of this racer may have it, the other racer may not count on it.
    kept: Option<Arc<AtomicU64>>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::until(limits, limits.time)
    }

    /// The same limits with another time.
    pub(crate) fn until(limits: &Limits, time: Duration) -> Self {
        Self {
            deadline: Instant::now().checked_add(time),
            memory: limits.memory_bytes,
            used: Arc::new(AtomicU64::new(0)),
            cancel: limits.cancel.clone(),
            settled: Arc::new(AtomicBool::new(false)),
            over: None,
            kept: None,
        }
    }

    /// The same budget, for one of two that race: all is spent together, and the loser is told by `over`.
    pub(crate) fn racer(&self, over: Arc<AtomicBool>) -> Self {
        let (deadline, memory) = (self.deadline, self.memory);
        let (used, cancel, settled) = (self.used.clone(), self.cancel.clone(), self.settled.clone());
        Self { deadline, memory, used, cancel, settled, over: Some(over), kept: Some(Arc::default()) }
    }

    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Counts memory that was taken for good.
    pub(crate) fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.used.load(Ordering::Relaxed) > self.memory {
            return Err(Stopped::Memory);
        }
        let lost = self.over.as_ref().is_some_and(|over| over.load(Ordering::Relaxed));
        if lost || self.cancel.load(Ordering::Relaxed) || self.settled.load(Ordering::Relaxed) {
            return Err(Stopped::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Stopped::Time),
            _ => Ok(()),
        }
    }

    /// A purse that takes memory from this budget and gives it all back when dropped.
    pub(crate) fn purse(&self) -> Purse<'_> {
        Purse { budget: self, taken: 0, refused: 0 }
    }
}

/// Memory taken from a [`Budget`] by one search.
pub(crate) struct Purse<'a> {
    budget: &'a Budget,
    taken: u64,
    /// What was asked for in vain: the search ends with it.
    refused: u64,
}

impl Purse<'_> {
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Stopped> {
        let bytes = bytes as u64;
        let had = self.budget.kept.as_ref().map_or(0, |kept| {
            let had = kept.load(Ordering::Relaxed).min(bytes);
            kept.fetch_sub(had, Ordering::Relaxed);
            had
        });
        let before = self.budget.used.fetch_add(bytes - had, Ordering::Relaxed);
        self.taken += bytes;
        if before.saturating_add(bytes - had) > self.budget.memory {
            self.refused = bytes - had;
            return Err(Stopped::Memory);
        }
        Ok(())
    }

    pub(crate) fn give(&mut self, bytes: usize) {
        let bytes = (bytes as u64).min(self.taken);
        self.taken -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes room in a vector for one more item, paid for before it is taken. While a vector moves, both copies are paid.
    pub(crate) fn room<T>(&mut self, vector: &mut Vec<T>, more: usize) -> Result<(), Stopped> {
        if vector.capacity() - vector.len() >= more {
            return Ok(());
        }
        let item = size_of::<T>();
        let old = vector.capacity() * item;
        let add = (vector.capacity() / 2).max(more).max(1024);
        self.take(old + add * item)?;
        vector.reserve_exact(add);
        self.give(old);
        Ok(())
    }
}

impl Drop for Purse<'_> {
    fn drop(&mut self) {
        let back = match &self.budget.kept {
            Some(kept) => {
                kept.fetch_add(self.taken - self.refused, Ordering::Relaxed);
                self.refused
            }
            None => self.taken,
        };
        self.budget.used.fetch_sub(back, Ordering::Relaxed);
    }
}
