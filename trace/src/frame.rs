//! Lives and frames: what stands in the file, whatever it means.

/// The version of the format.
pub const VERSION: u32 = 1;
/// The most that one frame may hold. A longer length in a file is not believed.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// A frame that has grown past this is closed; only a single record may make one much longer.
pub(crate) const FULL_FRAME_BYTES: usize = 1 << 20;
/// len 4, head 4, content 4.
pub(crate) const HEAD_BYTES: usize = 12;
/// magic 8, version 4, check 4.
pub(crate) const LIFE_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"PLMTRACE";

/// Begins a life at this offset of the file.
pub(crate) fn begin_life(buffer: &mut Vec<u8>, offset: u64) {
    buffer.extend(MAGIC);
    buffer.extend(VERSION.to_le_bytes());
    buffer.extend(life_checksum(offset, VERSION).to_le_bytes());
}

fn life_checksum(offset: u64, version: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&MAGIC);
    hasher.update(&version.to_le_bytes());
    hasher.finalize()
}

/// The version of the life that begins with these bytes, if one does.
pub(crate) fn life_at(bytes: &[u8], offset: u64) -> Option<u32> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (version, rest) = number(rest)?;
    let (check, _) = number(rest)?;
    (check == life_checksum(offset, version)).then_some(version)
}

/// Whether a write that was cut short can have left just these bytes, of the beginning of a life.
pub(crate) fn is_torn_life(bytes: &[u8]) -> bool {
    bytes.len() < LIFE_BYTES && bytes.iter().zip(&MAGIC).all(|(a, b)| a == b)
}

/// What a frame's first bytes say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) len: usize,
    pub(crate) content: u32,
}

impl Head {
    /// The head in these bytes, if it was written like this, at this offset.
    pub(crate) fn genuine(bytes: &[u8], offset: u64) -> Option<Head> {
        let (len, rest) = number(bytes)?;
        let (head, rest) = number(rest)?;
        let (content, _) = number(rest)?;
        let is_genuine = len as usize <= MAX_FRAME_BYTES && head == head_checksum(offset, len);
        is_genuine.then_some(Head { len: len as usize, content })
    }
}

fn head_checksum(offset: u64, len: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&len.to_le_bytes());
    hasher.finalize()
}

/// Completes a frame at this offset of the file: room for the head, and the content.
pub(crate) fn seal(frame: &mut [u8], offset: u64) {
    let Some((head, content)) = frame.split_at_mut_checked(HEAD_BYTES) else { return };
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let numbers = [len, head_checksum(offset, len), crc32fast::hash(content)];
    head.iter_mut().zip(numbers.iter().flat_map(|n| n.to_le_bytes())).for_each(|(to, from)| *to = from);
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}
