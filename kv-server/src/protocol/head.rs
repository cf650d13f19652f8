//! What stands in front of a frame's content: how long it is, and what both must add up to.
//!
//! ```text
//!   │ length u32 │ content: crc32 u32 │ head: crc32 u32 │ length bytes │      all numbers big endian
//!                  over the content      over the 8 bytes before it
//! ```
//!
//! The head has a checksum of its own, so that a damaged length is seen at once: the receiver would otherwise wait for
//! bytes that nobody sends, or take the middle of a frame for the beginning of one.

/// Bytes in front of a frame's content.
pub const HEAD_BYTES: usize = 12;

/// Bytes of the length in front of a frame of any kind.
pub const LENGTH_BYTES: usize = 4;

/// What a head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// Bytes of the content.
    pub(super) length: u32,
    /// Its checksum.
    content: u32,
}

impl Head {
    /// The head of this content; `None` if it is longer than a length can say.
    pub(super) fn of(content: &[u8]) -> Option<Head> {
        let length = u32::try_from(content.len()).ok()?;
        Some(Head { length, content: crc32fast::hash(content) })
    }

    pub(super) fn encode(self) -> [u8; HEAD_BYTES] {
        let [a, b, c, d] = self.length.to_be_bytes();
        let [e, f, g, h] = self.content.to_be_bytes();
        let [i, j, k, l] = crc32fast::hash(&[a, b, c, d, e, f, g, h]).to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// What the bytes say, and whether their own checksum agrees.
    pub(super) fn decode(bytes: [u8; HEAD_BYTES]) -> (Head, bool) {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        let said = [a, b, c, d, e, f, g, h];
        let head =
            Head { length: u32::from_be_bytes([a, b, c, d]), content: u32::from_be_bytes([e, f, g, h]) };
        (head, crc32fast::hash(&said) == u32::from_be_bytes([i, j, k, l]))
    }

    /// Whether this is the content that was meant.
    pub(super) fn is_of(self, content: &[u8]) -> bool {
        Head::of(content) == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_few_flipped_bits_of_a_head_are_seen() {
        let head = Head::of(b"content").unwrap();
        let bytes = head.encode();
        assert_eq!(Head::decode(bytes), (head, true));
        let flipped = |bits: &[usize]| {
            let mut bytes = bytes;
            bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
            bytes
        };
        for a in 0..HEAD_BYTES * 8 {
            assert!(!Head::decode(flipped(&[a])).1, "bit {a}");
            for b in 0..a {
                assert!(!Head::decode(flipped(&[a, b])).1, "bits {a} and {b}");
            }
        }
    }

    #[test]
    fn a_head_knows_its_content() {
        let head = Head::of(b"content").unwrap();
        assert!(head.is_of(b"content"));
        assert!(!head.is_of(b"contemt") && !head.is_of(b"conten") && !head.is_of(b""));
    }
}
