//! A stream as frames: found by their lengths, and while the link is told so, lost, doubled, swapped or damaged as wholes.
//!
//! A stream whose frames are left alone passes in the pieces in which it came; only where its frames begin is kept in mind.
//! While frames are hit, each is put together before it is passed on, which is no earlier than its receiver could use it.

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::condition::{FrameFaults, Framing};
use super::traffic::Counters;

/// The longest frame that is put together; a longer one passes as it is.
const LONGEST: usize = 8 << 20;
/// The most bits flipped in one frame.
const FLIPS: u32 = 3;

/// What of a stream has come in and not gone out, and where it stands.
pub(super) struct Frames {
    framing: Framing,
    /// Begins at a frame's beginning, or in the middle of one that passes as it is.
    buffer: BytesMut,
    /// Bytes still to come of the frame that passes as it is.
    passing: usize,
    /// Frames that have begun.
    begun: u64,
    /// A frame that waits for the next one to overtake it.
    overtaken: Option<Bytes>,
    /// Which faults the random numbers belong to.
    drawn: Option<(FrameFaults, ChaCha8Rng)>,
    /// Tells connections apart.
    connection: u64,
}

impl Frames {
    pub(super) fn new(framing: Framing, connection: u64) -> Frames {
        let buffer = BytesMut::new();
        Frames { framing, buffer, passing: 0, begun: 0, overtaken: None, drawn: None, connection }
    }

    /// Takes in what has come, and returns what is to go on, in order.
    pub(super) fn push(
        &mut self,
        bytes: BytesMut,
        faults: Option<FrameFaults>,
        counters: &Counters,
    ) -> Vec<Bytes> {
        self.buffer.unsplit(bytes);
        let mut out = Vec::new();
        if faults.is_none() {
            out.extend(self.overtaken.take());
        }
        let mut at = 0;
        while at < self.buffer.len() {
            let rest = self.buffer.len() - at;
            if self.passing > 0 {
                let step = self.passing.min(rest);
                self.passing -= step;
                at += step;
                continue;
            }
            let Some(whole) = self.whole(at) else { break };
            match faults.filter(|faults| (self.begun > 0 || faults.first) && whole <= LONGEST) {
                None => self.passing = whole,
                Some(_) if rest < whole => break,
                Some(faults) => {
                    if at > 0 {
                        out.push(self.buffer.split_to(at).freeze());
                        at = 0;
                    }
                    let frame = self.buffer.split_to(whole);
                    self.hit(frame, faults, counters, &mut out);
                }
            }
            Counters::add(&counters.frames, usize::from(self.begun > 0));
            self.begun += 1;
        }
        if at > 0 {
            out.push(self.buffer.split_to(at).freeze());
        }
        out
    }

    /// What is left at the stream's end, or is not to wait any longer.
    pub(super) fn rest(&mut self) -> Vec<Bytes> {
        let rest = self.buffer.split().freeze();
        self.overtaken.take().into_iter().chain((!rest.is_empty()).then_some(rest)).collect()
    }

    /// Bytes of the frame that begins there, its head included, if its length has come in.
    fn whole(&self, at: usize) -> Option<usize> {
        let head = if self.begun == 0 { self.framing.first_head } else { self.framing.head };
        let length = u32::from_be_bytes(*self.buffer.get(at..)?.first_chunk()?);
        Some(head.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)))
    }

    fn hit(&mut self, frame: BytesMut, faults: FrameFaults, counters: &Counters, out: &mut Vec<Bytes>) {
        let mut rng = match self.drawn.take() {
            Some((of, rng)) if of == faults => rng,
            _ => {
                let mut rng = ChaCha8Rng::seed_from_u64(faults.seed);
                rng.set_stream(self.connection);
                rng
            }
        };
        let mut chance = rng.random_range(0..1_000_u32);
        let mut falls = |rate: u16| match chance.checked_sub(u32::from(rate)) {
            Some(left) => {
                chance = left;
                false
            }
            None => {
                chance = u32::MAX;
                true
            }
        };
        let [lost, doubled, swapped, damaged] =
            [faults.lost, faults.duplicated, faults.reordered, faults.corrupted].map(&mut falls);
        if lost {
            Counters::add(&counters.lost_frames, 1);
        } else if swapped && self.overtaken.is_none() {
            self.overtaken = Some(frame.freeze());
            self.drawn = Some((faults, rng));
            return;
        } else if damaged {
            Counters::add(&counters.corrupted_frames, 1);
            out.push(flipped(frame, &mut rng));
        } else {
            let frame = frame.freeze();
            if doubled {
                Counters::add(&counters.duplicated_frames, 1);
                out.push(frame.clone());
            }
            out.push(frame);
        }
        // One that was to be overtaken has been, unless the frame that should have done so was lost.
        if let Some(frame) = self.overtaken.take_if(|_| !lost) {
            Counters::add(&counters.reordered_frames, 1);
            out.push(frame);
        }
        self.drawn = Some((faults, rng));
    }
}

/// The frame with one to three different bits flipped, anywhere in it.
fn flipped(mut frame: BytesMut, rng: &mut ChaCha8Rng) -> Bytes {
    let bits = frame.len() * 8;
    let mut chosen = std::collections::BTreeSet::new();
    for _ in 0..rng.random_range(1..=FLIPS) {
        chosen.insert(rng.random_range(0..bits));
    }
    for bit in chosen {
        if let Some(byte) = frame.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
    frame.freeze()
}

#[cfg(test)]
mod tests;
