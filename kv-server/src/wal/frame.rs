//! Frames: the unit of writing, and the judgement over bytes that are not one.
//!
//! ```text
//!   ┌──────────┬─────────────┬──────────┬─────────┬─────┐
//!   │ len  u32 │ content u32 │ head u32 │ records │ END │   integers little-endian; len = bytes of records and END
//!   └──────────┴─────────────┴──────────┴─────────┴─────┘
//!   content = crc32(records, END)     head = crc32(cluster, node, segment, offset, len, content)
//! ```
//!
//! **One frame is one fsync.** All that a group commit makes durable goes into one frame, and the next frame is written
//! only when that fsync has returned. So a whole frame proves that everything before it was durable: a bad frame with a
//! whole one behind it is damage, and only the last frame can be the remains of a write that a crash cut short. With a frame
//! per record instead, a crash that loses one sector in the middle of a group would look exactly like a damaged disk.
//!
//! For the last frame, `head` tells a length that can be believed from one that cannot (a damaged length must not pass for
//! a cut-off file), and binds the frame to its place. What is left to judge is a frame of the right length whose content
//! differs: a write that was cut short leaves sectors that were never written, which read as zeros (the same rule as
//! etcd's `isTornEntry`); anything else was whole once, and is damage.

use super::error::{Damage, Evidence};
use super::segment::Place;

/// The most that one frame may hold. A longer length in a file is not believed, and nothing is allocated for it.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// len 4, content 4, head 4.
pub(super) const HEAD_BYTES: usize = 12;
/// The last byte of every frame: not zero, so that the zeros at the end of a file are none of a whole frame's.
const END: u8 = 0xed;
/// What a disk writes as a whole or not at all, at the least.
const SECTOR_BYTES: usize = 512;

/// What stands at an offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Frame<'a> {
    /// A frame as it was written.
    Whole { records: &'a [u8], end: usize },
    /// What a write that never finished may have left, from here to the end of what is written.
    Torn,
    /// What no crash explains.
    Damaged(Damage),
}

struct Head {
    len: usize,
    content: u32,
    head: u32,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Head> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (content, rest) = rest.split_first_chunk()?;
        let (head, _) = rest.split_first_chunk()?;
        Some(Head {
            len: u32::from_le_bytes(*len) as usize,
            content: u32::from_le_bytes(*content),
            head: u32::from_le_bytes(*head),
        })
    }

    fn is_genuine(&self, place: Place, offset: usize) -> bool {
        (2..=MAX_FRAME_BYTES).contains(&self.len)
            && self.head == head_checksum(place, offset, self.len, self.content)
    }
}

fn head_checksum(place: Place, offset: usize, len: usize, content: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for number in [place.cluster, place.node.0, place.sequence, offset as u64, len as u64] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&content.to_le_bytes());
    hasher.finalize()
}

/// Completes a frame: room for the head, and the records.
pub(super) fn seal(frame: &mut Vec<u8>, place: Place, offset: usize) {
    frame.push(END);
    let Some((head, payload)) = frame.split_at_mut_checked(HEAD_BYTES) else { return };
    let content = crc32fast::hash(payload);
    let checksum = head_checksum(place, offset, payload.len(), content);
    let numbers = [payload.len() as u32, content, checksum];
    head.iter_mut().zip(numbers.iter().flat_map(|n| n.to_le_bytes())).for_each(|(to, from)| *to = from);
}

/// A segment's bytes up to the last that was written.
pub(super) fn written(bytes: &[u8]) -> &[u8] {
    let last = bytes.iter().rposition(|byte| *byte != 0);
    last.and_then(|last| bytes.get(..=last)).unwrap_or_default()
}

/// Reads the frame at `offset` in what is [`written`] of a segment.
pub(super) fn read(place: Place, bytes: &[u8], offset: usize) -> Frame<'_> {
    let rest = bytes.get(offset..).unwrap_or_default();
    let Some(head) = Head::parse(rest) else { return Frame::Torn };
    let after_head = rest.get(HEAD_BYTES..).unwrap_or_default();
    if !head.is_genuine(place, offset) {
        return judge_head(place, bytes, offset, &head, after_head);
    }
    let end = offset + HEAD_BYTES + head.len;
    match after_head.get(..head.len) {
        None => Frame::Torn,
        Some(content @ [records @ .., END]) if crc32fast::hash(content) == head.content => {
            Frame::Whole { records, end }
        }
        Some(_) => judge_content(place, bytes, offset, end),
    }
}

/// The content of a frame of the right length, whatever it is: the mistake of the mutant `log-tail-unchecked`.
pub(super) fn read_unchecked(place: Place, bytes: &[u8], offset: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(offset..)?;
    let head = Head::parse(rest).filter(|head| head.is_genuine(place, offset))?;
    let end = HEAD_BYTES + head.len;
    Some((rest.get(HEAD_BYTES..end - 1)?, offset + end))
}

/// A head that was never written like this. Is it what a crash left, or damage?
fn judge_head<'a>(place: Place, bytes: &'a [u8], offset: usize, head: &Head, after_head: &[u8]) -> Frame<'a> {
    if let Some(next) = find_whole(place, bytes, offset + 1) {
        return Frame::Damaged(Damage::FrameHeader(Evidence::FrameFollows(next as u64)));
    }
    // The sector with the first of the head's numbers was never written, those with the others were.
    if has_blank_sector(bytes, offset, offset + HEAD_BYTES) {
        return Frame::Torn;
    }
    // If one of the three numbers is damaged, the other two still vouch for all the rest as the frame's content.
    let content = crc32fast::hash(after_head);
    let vouched_for =
        head.content == content || head.head == head_checksum(place, offset, after_head.len(), content);
    if vouched_for && !after_head.is_empty() {
        return Frame::Damaged(Damage::FrameHeader(Evidence::NothingMissing));
    }
    Frame::Torn
}

/// Content that was never written like this, under a head that was. Is it what a crash left, or damage?
fn judge_content(place: Place, bytes: &[u8], offset: usize, end: usize) -> Frame<'_> {
    if let Some(next) = find_whole(place, bytes, end) {
        return Frame::Damaged(Damage::FrameContent(Evidence::FrameFollows(next as u64)));
    }
    if has_blank_sector(bytes, offset, end) {
        return Frame::Torn;
    }
    Frame::Damaged(Damage::FrameContent(Evidence::NothingMissing))
}

/// The first whole frame at or after `from`, at any offset: used on a bad segment only.
fn find_whole(place: Place, bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len().saturating_sub(HEAD_BYTES)).find(|&offset| {
        let rest = bytes.get(offset..).unwrap_or_default();
        let head = Head::parse(rest).filter(|head| head.is_genuine(place, offset));
        head.is_some_and(|head| {
            let payload = rest.get(HEAD_BYTES..HEAD_BYTES + head.len);
            payload.is_some_and(|payload| crc32fast::hash(payload) == head.content)
        })
    })
}

/// Whether a sector's worth of `offset..end` is all zeros (the pieces at both ends count too: the rest of those sectors
/// belongs to a neighbour).
fn has_blank_sector(bytes: &[u8], offset: usize, end: usize) -> bool {
    let mut start = offset;
    while start < end {
        let stop = end.min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
        if bytes.get(start..stop).is_some_and(|piece| piece.iter().all(|byte| *byte == 0)) {
            return true;
        }
        start = stop;
    }
    false
}
