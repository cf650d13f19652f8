//! Reading the log back: the whole of it, in order, believing nothing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_core::{Batch, Entry, Index};

use super::error::{Damage, Evidence, Misfit, WalError};
use super::frame::{self, Frame};
use super::mutant::{ServerMutant, ServerMutantSwitch};
use super::outline::Outline;
use super::record::{self, Record};
use super::segment::{self, HEADER_BYTES, Place};
use super::{MAX_SEGMENT_BYTES, SegmentInfo, TornTail};

/// The longest file that this code makes: all but a full segment, a frame of the largest size, as many zeros, and as much
/// again for the few bytes of each boot that wrote nothing else.
const MAX_FILE_BYTES: u64 = MAX_SEGMENT_BYTES + 3 * frame::MAX_FRAME_BYTES as u64;

/// What the segments hold.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) outline: Outline,
    /// The last entry before those that could be read.
    pub(super) base: Index,
    pub(super) entries: Vec<Entry<Bytes>>,
    /// Those that count. Earlier ones are what was to be removed, and a crash left.
    pub(super) segments: Vec<SegmentInfo>,
    /// What to cut off the last segment; at offset 0, the segment itself was never completed and is to be removed.
    pub(super) torn_tail: Option<TornTail>,
}

/// Reads all segments and changes nothing.
pub(super) fn read_all(dir: &Path, owner: Place, mutant: ServerMutantSwitch) -> Result<Contents, WalError> {
    let sequences = segment::list(dir)?;
    let sequences = consecutive_end(&sequences);
    let mut contents = Contents::default();
    for (position, &sequence) in (1..).zip(sequences) {
        let place = Place { sequence, ..owner };
        let file = place.file(dir);
        let is_first = position == 1;
        let is_last = position == sequences.len();
        let bytes = read_file(&file)?;
        let bytes = frame::written(&bytes);
        SegmentReader { place, file, bytes, is_first, is_last, mutant }.read(&mut contents)?;
    }
    // Without the segments before these, a snapshot has to stand for what was in them.
    let covered = contents.outline.snapshot().map(|snapshot| snapshot.index);
    match sequences.first() {
        Some(&first) if first > 1 && covered.is_none_or(|covered| contents.base > covered) => {
            Err(WalError::MissingSegment { file: Place { sequence: first - 1, ..owner }.file(dir) })
        }
        _ => Ok(contents),
    }
}

/// The numbers after the last gap. What is before a gap was to be removed: whether that is so is known once the rest is read.
fn consecutive_end(sequences: &[u64]) -> &[u64] {
    let gap = sequences.windows(2).rposition(|pair| matches!(pair, [one, next] if one + 1 != *next));
    gap.and_then(|gap| sequences.get(gap + 1..)).unwrap_or(sequences)
}

fn read_file(file: &Path) -> Result<Vec<u8>, WalError> {
    let handle = File::open(file).map_err(WalError::io("open", file))?;
    let mut bytes = Vec::new();
    handle.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(WalError::io("read", file))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(WalError::corrupt(file, 0, Damage::TooLong(bytes.len() as u64)));
    }
    Ok(bytes)
}

struct SegmentReader<'a> {
    place: Place,
    file: PathBuf,
    /// Up to the last byte that was written.
    bytes: &'a [u8],
    is_first: bool,
    is_last: bool,
    mutant: ServerMutantSwitch,
}

impl SegmentReader<'_> {
    fn read(self, contents: &mut Contents) -> Result<(), WalError> {
        let mut segment = SegmentInfo {
            sequence: self.place.sequence,
            highest: Index::ZERO,
            bytes: self.bytes.len() as u64,
        };
        let mut offset = HEADER_BYTES;
        if !self.has_header()? {
            contents.torn_tail = Some(self.tear(0)?);
            return Ok(());
        }
        while offset < self.bytes.len() || offset == HEADER_BYTES {
            let (records, end) = match frame::read(self.place, self.bytes, offset) {
                Frame::Whole { records, end } => (records, end),
                Frame::Damaged(damage) => return Err(self.corrupt(offset, damage)),
                Frame::Torn => match self.believed_anyway(offset) {
                    Some(believed) => believed,
                    None => {
                        // Nothing is in a segment without its first frame.
                        let start = if offset == HEADER_BYTES { 0 } else { offset };
                        contents.torn_tail = Some(self.tear(start)?);
                        segment.bytes = start as u64;
                        break;
                    }
                },
            };
            let records =
                record::decode(records).map_err(|e| self.corrupt(offset, Damage::Undecodable(e)))?;
            let opening = match (offset == HEADER_BYTES, self.is_first && self.place.sequence > 1) {
                (false, _) => Opening::No,
                (true, false) => Opening::Follows,
                (true, true) => Opening::Begins,
            };
            take_in(records, opening, contents, &mut segment)
                .map_err(|misfit| self.corrupt(offset, Damage::Misfit(misfit)))?;
            offset = end;
        }
        if segment.bytes > 0 {
            contents.segments.push(segment);
        }
        Ok(())
    }

    /// Whether the file got as far as having a header; an error if the header is not this segment's. Header and first frame
    /// fit one sector and are one write: a crash does not leave one and change the other.
    fn has_header(&self) -> Result<bool, WalError> {
        let Some(header) = self.bytes.get(..HEADER_BYTES) else { return Ok(false) };
        self.place.check_header(&self.file, header).map(|()| true)
    }

    /// A torn tail from `offset` on, which only the last segment may have.
    fn tear(&self, offset: usize) -> Result<TornTail, WalError> {
        if !self.is_last {
            return Err(self.corrupt(offset, Damage::Torn(Evidence::SegmentFollows)));
        }
        let bytes_dropped = (self.bytes.len() - offset) as u64;
        Ok(TornTail { file: self.file.clone(), offset: offset as u64, bytes_dropped })
    }

    fn corrupt(&self, offset: usize, damage: Damage) -> WalError {
        WalError::corrupt(&self.file, offset, damage)
    }

    fn believed_anyway(&self, offset: usize) -> Option<(&[u8], usize)> {
        let mistaken = self.mutant.is(ServerMutant::LogTailUnchecked);
        mistaken.then(|| frame::read_unchecked(self.place, self.bytes, offset)).flatten()
    }
}

/// Whether a frame is the first of its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opening {
    No,
    /// And the segments before it were read.
    Follows,
    /// And those before it are gone.
    Begins,
}

/// Adds a frame's records to what is known. The first frame of a segment is its checkpoint, alone.
fn take_in(
    records: Vec<Record>,
    opening: Opening,
    contents: &mut Contents,
    segment: &mut SegmentInfo,
) -> Result<(), Misfit> {
    if opening != Opening::No && !matches!(records.as_slice(), [Record::Checkpoint(_)]) {
        return Err(Misfit::CheckpointPlace);
    }
    for record in records {
        match record {
            Record::Checkpoint(checkpoint) => match opening {
                Opening::Follows if checkpoint == contents.outline.checkpoint() => {}
                Opening::Follows => return Err(Misfit::Checkpoint),
                Opening::Begins => {
                    contents.outline = Outline::after(checkpoint);
                    contents.base = checkpoint.last.index;
                }
                Opening::No => return Err(Misfit::CheckpointPlace),
            },
            Record::Snapshot(snapshot) => contents.outline.take(snapshot)?,
            Record::Boot(boot) => contents.outline.start(boot)?,
            Record::Batch(batch) => {
                contents.outline.accept(&batch)?;
                segment.saw(&batch);
                contents.replace_end(&batch);
            }
        }
    }
    Ok(())
}

impl Contents {
    /// An installed snapshot may take the whole log's place; then the stored log is cut off before the batch's first entry, and
    /// the batch's entries follow.
    fn replace_end(&mut self, batch: &Batch<Bytes>) {
        if let Some(install) = batch.install.as_ref().filter(|install| !install.keeps_log) {
            self.entries.clear();
            self.base = install.snapshot.last.index;
        }
        if let Some(first) = batch.entries.first() {
            let before = first.index.previous();
            self.entries.truncate(before.0.saturating_sub(self.base.0) as usize);
            self.base = self.base.min(before);
        }
        self.entries.extend_from_slice(&batch.entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_cannot_follow_are_refused_though_their_frame_is_whole() {
        let take = |records, opening| {
            let mut segment = SegmentInfo { sequence: 1, highest: Index::ZERO, bytes: 0 };
            take_in(records, opening, &mut Contents::default(), &mut segment)
        };
        let checkpoint = Record::Checkpoint(Outline::default().checkpoint());
        let (first, later) = (Opening::Follows, Opening::No);
        assert_eq!(take(vec![checkpoint.clone()], first), Ok(()));
        assert_eq!(take(vec![Record::Boot(1)], later), Ok(()));
        assert_eq!(take(vec![Record::Boot(1)], first), Err(Misfit::CheckpointPlace));
        assert_eq!(take(vec![checkpoint.clone()], later), Err(Misfit::CheckpointPlace));
        assert_eq!(take(vec![Record::Boot(1), checkpoint], later), Err(Misfit::CheckpointPlace));
        assert_eq!(take(vec![Record::Boot(2)], later), Err(Misfit::Boot { found: 2, previous: 0 }));
    }
}
