//! The disk as its file system and its control see it: one lock, and requests that wait for it to thaw.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::faults::{DiskCounts, DiskError, DiskFaults, Draw, Loss};
use super::tree::{Ino, Outcome, Tree};

/// More than this is not kept in memory: the file that is being written is then made durable unasked, as a kernel does.
const MAX_UNSYNCED_BYTES: u64 = 256 << 20;

#[derive(Debug)]
pub(crate) struct State {
    pub(super) tree: Tree,
    pub(super) faults: DiskFaults,
    pub(super) counts: DiskCounts,
    pub(super) draw: Draw,
    /// Nothing changes and nothing becomes durable until the power is cut.
    frozen: bool,
    /// How often the power was cut. A request that waited across that has failed.
    crashes: u64,
    listings: HashMap<u64, Vec<(OsString, Ino, bool)>>,
    next_listing: u64,
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Disk {
    state: Mutex<State>,
    thawed: Condvar,
}

impl Disk {
    pub(crate) fn load(backing: &Path, seed: u64) -> io::Result<Disk> {
        let state = State {
            tree: Tree::load(backing, 0)?,
            faults: DiskFaults::default(),
            counts: DiskCounts::default(),
            draw: Draw::new(seed),
            frozen: false,
            crashes: 0,
            listings: HashMap::new(),
            next_listing: 0,
        };
        Ok(Disk { state: Mutex::new(state), thawed: Condvar::new() })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For requests that change something: they wait while the disk is frozen, and fail if the power was cut meanwhile.
    pub(super) fn lock_to_change(&self) -> Outcome<MutexGuard<'_, State>> {
        self.wait_to_change(self.lock(), None)
    }

    fn wait_to_change<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> Outcome<MutexGuard<'a, State>> {
        let before = state.crashes;
        let mut is_held = false;
        loop {
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if state.crashes != before {
                return Err(Errno::EIO);
            }
            if state.frozen {
                state.counts.held += u64::from(!std::mem::replace(&mut is_held, true));
                state = self.thawed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if left.is_zero() {
                return Ok(state);
            } else {
                let waited = self.thawed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// For syncs: they take as long as the faults want before anything becomes durable. `None` means: say yes, do nothing.
    pub(super) fn lock_to_sync(&self, ino: Ino) -> Outcome<Option<MutexGuard<'_, State>>> {
        let mut state = self.lock_to_change()?;
        state.counts.syncs += 1;
        if state.faults.slow_sync_ms > 0 {
            state.counts.slowed_syncs += 1;
            let until = Instant::now() + Duration::from_millis(state.faults.slow_sync_ms);
            state = self.wait_to_change(state, Some(until))?;
        }
        let State { tree, faults, counts, draw, .. } = &mut *state;
        if let Some(error) = draw.refuses(&mut faults.sync) {
            counts.sync_errors += 1;
            if let Ok(content) = tree.content_mut(ino) {
                content.give_up();
            }
            return Err(number(error));
        }
        if faults.lying_sync {
            counts.lies += u64::from(tree.is_unsynced(ino));
            return Ok(None);
        }
        Ok(Some(state))
    }

    /// From now on nothing changes and nothing becomes durable; whoever wants that, waits.
    pub(crate) fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Cuts the power: what was not synced is lost, as far as `loss` says, requests that wait fail, files that are open
    /// are so no longer. The disk is usable again at once.
    pub(crate) fn crash(&self, loss: Loss) -> io::Result<()> {
        let mut state = self.lock();
        let State { tree, draw, counts, .. } = &mut *state;
        let empty = Tree::empty(tree);
        let lost = std::mem::replace(tree, empty).crash(loss, draw, counts);
        state.crashes += 1;
        state.frozen = false;
        state.listings.clear();
        state.tree = lost?;
        self.thawed.notify_all();
        Ok(())
    }

    /// Lets what waits go on, without loss.
    pub(crate) fn thaw(&self) {
        self.lock().frozen = false;
        self.thawed.notify_all();
    }
}

impl State {
    /// Whether there is room, or whatever else a write needs.
    pub(super) fn may_write(&mut self) -> Outcome<()> {
        match self.draw.refuses(&mut self.faults.write) {
            Some(error) => {
                self.counts.write_errors += 1;
                Err(number(error))
            }
            None => Ok(()),
        }
    }

    pub(super) fn write(&mut self, ino: Ino, offset: u64, data: &[u8]) -> Outcome<()> {
        self.may_write()?;
        let content = self.tree.content_mut(ino)?;
        content.write(offset, data).map_err(super::tree::errno)?;
        if content.unsynced() > MAX_UNSYNCED_BYTES && content.is_dirty() {
            content.sync().map_err(super::tree::errno)?;
            self.counts.written_back += 1;
        }
        let node = self.tree.node_mut(ino)?;
        node.attributes.modified = std::time::SystemTime::now();
        node.attributes.changed = node.attributes.modified;
        self.counts.writes += 1;
        Ok(())
    }

    pub(super) fn read(&mut self, ino: Ino, offset: u64, size: usize) -> Outcome<Vec<u8>> {
        let mut bytes = self.tree.content(ino)?.read(offset, size).map_err(super::tree::errno)?;
        if let Some(error) = self.draw.refuses(&mut self.faults.read) {
            self.counts.read_errors += 1;
            return Err(number(error));
        }
        self.counts.flipped_bits += u64::from(self.draw.flips(&mut self.faults.flip, &mut bytes));
        Ok(bytes)
    }

    /// Remembers what is in a folder now, so that whoever reads it in parts misses nothing that stays.
    pub(super) fn open_listing(&mut self, ino: Ino) -> Outcome<u64> {
        let above = self.tree.above(ino);
        let mut listing = vec![(".".into(), ino, true), ("..".into(), above, true)];
        listing.extend(self.tree.list(ino)?);
        self.next_listing += 1;
        self.listings.insert(self.next_listing, listing);
        Ok(self.next_listing)
    }

    pub(super) fn listing(&self, handle: u64) -> Outcome<&[(OsString, Ino, bool)]> {
        self.listings.get(&handle).map(Vec::as_slice).ok_or(Errno::ESTALE)
    }

    pub(super) fn close_listing(&mut self, handle: u64) {
        self.listings.remove(&handle);
    }
}

fn number(error: DiskError) -> Errno {
    match error {
        DiskError::Io => Errno::EIO,
        DiskError::NoSpace => Errno::ENOSPC,
    }
}
