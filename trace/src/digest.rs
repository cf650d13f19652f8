//! The checksum of what the core made of an input.

use raft_core::{Effects, Refused};
use serde::Serialize;

/// Makes checksums; kept for its memory.
#[derive(Clone, Debug, Default)]
pub struct Digester {
    scratch: Vec<u8>,
}

impl Digester {
    /// crc32 of the postcard form of a step's result and its effects.
    pub fn of<P: Serialize>(&mut self, result: Result<(), Refused>, effects: &Effects<P>) -> [u8; 4] {
        self.scratch.clear();
        // Writing to memory does not fail; if it did, it would for whoever replays the step as well.
        let _ = postcard::to_io(&(result, effects), &mut self.scratch);
        crc32fast::hash(&self.scratch).to_le_bytes()
    }
}
