//! What one file holds: the part that is durable, in a file of the backing folder, and the part that is not, in memory.
//!
//! A crash chooses between the two, sector by sector. A page cache would at times write an earlier version of a sector
//! than its last one; here a sector survives as it was last, or as it was at the last sync.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::faults::Draw;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;
const SECTOR_BYTES: u64 = SECTOR as u64;

/// Runs of neighbouring sectors are written together, up to this many bytes.
const RUN_BYTES: usize = 1 << 20;

type Sectors = BTreeMap<u64, Box<[u8; SECTOR]>>;

/// The bytes of one file.
#[derive(Debug)]
pub(crate) struct Content {
    /// What is durable.
    file: Arc<File>,
    /// How long the durable file is.
    stored: u64,
    /// How much of it still shows: the file may have been cut since the last sync.
    kept: u64,
    /// How long the file is.
    len: u64,
    /// Written and not synced.
    dirty: Sectors,
    /// What a failed sync gave up: it still shows, but no later sync writes it. (Linux marks pages clean after a failed
    /// fsync, so that the next one succeeds without them.)
    given_up: Sectors,
    /// The bytes of the last write that was not synced.
    last: Option<Range<u64>>,
}

/// What a crash took from a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Bytes in sectors that are now as they were at the last sync, or gone.
    pub(crate) bytes: u64,
    /// Whether a part of the last write is there, and another part is not.
    pub(crate) torn: bool,
}

/// How much of what was not synced a crash spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spared {
    /// Nothing.
    Nothing,
    /// Some of the sectors of the last write.
    OfLastWrite,
    /// Each sector, and the new length, by the toss of a coin.
    Some,
}

impl Content {
    /// All that this file of the backing folder holds, durable.
    pub(crate) fn of(file: File) -> io::Result<Content> {
        let len = file.metadata()?.len();
        let (dirty, given_up) = Default::default();
        Ok(Content { file: Arc::new(file), stored: len, kept: len, len, dirty, given_up, last: None })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// How many bytes a crash could take, about.
    pub(crate) fn unsynced(&self) -> u64 {
        (self.dirty.len() + self.given_up.len()) as u64 * SECTOR_BYTES
    }

    /// Whether a sync would change anything.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || self.len != self.stored || self.kept < self.stored
    }

    /// What shows at this place, up to the file's end.
    pub(crate) fn read(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let end = self.len.min(offset.saturating_add(size as u64));
        if offset >= end {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; usize::try_from(end - offset).unwrap_or(0)];
        let durable = usize::try_from(self.kept.min(end).saturating_sub(offset)).unwrap_or(0);
        if let Some(part) = bytes.get_mut(..durable) {
            read_to_end(&self.file, part, offset)?;
        }
        for sectors in [&self.given_up, &self.dirty] {
            for (number, sector) in sectors.range(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)) {
                copy(&mut bytes, offset, sector.as_slice(), number * SECTOR_BYTES);
            }
        }
        Ok(bytes)
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        if data.is_empty() {
            return Ok(());
        }
        for number in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let start = number * SECTOR_BYTES;
            let mut sector = match self.dirty.remove(&number) {
                Some(sector) => sector,
                None if offset <= start && start + SECTOR_BYTES <= end => Box::new([0; SECTOR]),
                None => self.sector(start)?,
            };
            self.given_up.remove(&number);
            copy(sector.as_mut_slice(), start, data, offset);
            self.dirty.insert(number, sector);
        }
        self.len = self.len.max(end);
        self.last = Some(offset..end);
        Ok(())
    }

    /// Makes the file this long: what is cut off is gone, what is added is zero.
    pub(crate) fn set_len(&mut self, len: u64) {
        self.kept = self.kept.min(len);
        for sectors in [&mut self.dirty, &mut self.given_up] {
            sectors.split_off(&len.div_ceil(SECTOR_BYTES));
            let within = usize::try_from(len % SECTOR_BYTES).unwrap_or(0);
            if within > 0
                && let Some(sector) = sectors.get_mut(&(len / SECTOR_BYTES))
                && let Some(beyond) = sector.get_mut(within..)
            {
                beyond.fill(0);
            }
        }
        self.len = len;
    }

    /// Writes all that is not durable to the backing file, which the caller may want to sync in turn.
    pub(crate) fn sync(&mut self) -> io::Result<Arc<File>> {
        if self.kept < self.stored {
            self.file.set_len(self.kept)?;
            self.stored = self.kept;
        }
        let dirty = std::mem::take(&mut self.dirty);
        if let Err(error) = write_runs(&self.file, &dirty, self.len) {
            self.dirty = dirty;
            return Err(error);
        }
        self.stored = self.file.metadata()?.len();
        if self.stored != self.len {
            self.file.set_len(self.len)?;
        }
        (self.stored, self.kept, self.last) = (self.len, self.len, None);
        Ok(Arc::clone(&self.file))
    }

    /// A sync failed: what it should have written will not be written by the next one either.
    pub(crate) fn give_up(&mut self) {
        self.given_up.append(&mut self.dirty);
    }

    /// Writes what a crash now spares to the backing file. This value says nothing any more afterwards.
    pub(crate) fn crash(&mut self, spared: Spared, draw: &mut Draw) -> io::Result<Lost> {
        let last = self.last.take().unwrap_or(0..0);
        let last_sectors = last.start / SECTOR_BYTES..last.end.div_ceil(SECTOR_BYTES);
        let had = self.unsynced();
        if spared == Spared::Some && self.kept < self.stored && draw.coin() {
            self.file.set_len(self.kept)?;
            self.stored = self.kept;
        }
        // One that is torn loses one sector of several at least, and keeps one.
        let torn = last_sectors.clone().filter(|number| self.dirty.contains_key(number)).collect::<Vec<_>>();
        let first = draw.one_of(&torn);
        let others: Vec<u64> = torn.iter().copied().filter(|number| Some(*number) != first).collect();
        let second = draw.one_of(&others);
        let mut kept = Sectors::new();
        for (number, sector) in std::mem::take(&mut self.dirty) {
            let survives = match spared {
                Spared::Nothing => false,
                Spared::OfLastWrite if !last_sectors.contains(&number) || others.is_empty() => false,
                Spared::OfLastWrite if Some(number) == first => true,
                Spared::OfLastWrite if Some(number) == second => false,
                Spared::OfLastWrite | Spared::Some => draw.coin(),
            };
            if survives {
                kept.insert(number, sector);
            }
        }
        // Beyond the length that is durable there is nothing, unless the new length survives too.
        let grows = match spared {
            Spared::Nothing => false,
            Spared::OfLastWrite => !kept.is_empty(),
            Spared::Some => draw.coin(),
        };
        let len = if grows { self.stored.max(self.len) } else { self.stored };
        kept.split_off(&len.div_ceil(SECTOR_BYTES));
        write_runs(&self.file, &kept, len)?;
        if self.file.metadata()?.len() != len {
            self.file.set_len(len)?;
        }
        let of_last = kept.range(last_sectors).count();
        let bytes = had.saturating_sub(kept.len() as u64 * SECTOR_BYTES);
        Ok(Lost { bytes, torn: of_last > 0 && of_last < torn.len() })
    }

    /// The sector that begins here, as it shows, zeros beyond the end.
    fn sector(&self, start: u64) -> io::Result<Box<[u8; SECTOR]>> {
        let mut sector = Box::new([0; SECTOR]);
        let bytes = self.read(start, SECTOR)?;
        copy(sector.as_mut_slice(), start, &bytes, start);
        Ok(sector)
    }
}

/// Copies what two stretches of a file have in common; each begins at its own offset.
fn copy(to: &mut [u8], to_start: u64, from: &[u8], from_start: u64) {
    let start = to_start.max(from_start);
    let end = (to_start + to.len() as u64).min(from_start + from.len() as u64);
    let place = |origin: u64| {
        let at = |position: u64| usize::try_from(position.saturating_sub(origin)).unwrap_or(usize::MAX);
        at(start)..at(end.max(start))
    };
    if let (Some(to), Some(from)) = (to.get_mut(place(to_start)), from.get(place(from_start))) {
        to.copy_from_slice(from);
    }
}

/// Reads until the buffer is full or the file ends; the rest stays as it is.
fn read_to_end(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.read_at(bytes, offset) {
            Ok(0) => break,
            Ok(count) => {
                bytes = bytes.get_mut(count..).unwrap_or_default();
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes the sectors, none of it beyond `len`.
fn write_runs(file: &File, sectors: &Sectors, len: u64) -> io::Result<()> {
    let mut run: Vec<u8> = Vec::new();
    let mut start = 0;
    let flush = |run: &mut Vec<u8>, start: u64| {
        let room = usize::try_from(len.saturating_sub(start)).unwrap_or(usize::MAX);
        run.truncate(room);
        let written = file.write_all_at(run, start);
        run.clear();
        written
    };
    for (number, sector) in sectors {
        if start + run.len() as u64 != number * SECTOR_BYTES || run.len() >= RUN_BYTES {
            flush(&mut run, start)?;
            start = number * SECTOR_BYTES;
        }
        run.extend_from_slice(sector.as_slice());
    }
    flush(&mut run, start)
}

#[cfg(test)]
mod tests;
