//! Frames: where they begin and end, whether they came through whole, and, by postcard, what they mean.

use std::io;
use std::marker::PhantomData;

use bytes::{Buf, BufMut, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, Encoder};

use super::head::{HEAD_BYTES, Head, LENGTH_BYTES};
use crate::limits::MAX_HELLO_FRAME_BYTES;
use crate::wal::mutant::{ServerMutant, ServerMutantSwitch};

/// Why a connection cannot be used any longer.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A frame, in or out, is longer than this connection allows.
    #[error("a frame of {length} bytes, where at most {limit} are allowed")]
    TooLong {
        /// Bytes of the frame, or at least so many.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A frame is not what was sent: something on the way has changed it. It was not looked into; the other side will
    /// connect and send again.
    #[error("the frame {at} bytes after the handshake is damaged: the checksum of its {part} is wrong")]
    Damaged {
        /// Where it begins: so many bytes have come in after the handshake.
        at: u64,
        /// What the checksum is of.
        part: Part,
    },
    /// A frame is not the encoding of what should be in it.
    #[error("a frame of {length} bytes is malformed: {reason}")]
    Malformed {
        /// Bytes of the frame.
        length: usize,
        /// What postcard says.
        reason: postcard::Error,
    },
    /// A frame is longer than what is in it.
    #[error("a frame of {length} bytes has {extra} bytes too many")]
    Trailing {
        /// Bytes of the frame.
        length: usize,
        /// Bytes that belong to nothing.
        extra: usize,
    },
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The part of a frame that a checksum is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Its length and the checksum of its content.
    Head,
    /// Its content, of so many bytes.
    Content(usize),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Part::Head => f.write_str("head"),
            Part::Content(length) => write!(f, "{length} bytes of content"),
        }
    }
}

/// How a frame begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// With its length: the handshake's, whose layout no version may change.
    Handshake,
    /// With a [`Head`]: all others.
    Checked,
}

impl Layout {
    fn bytes(self) -> usize {
        match self {
            Layout::Handshake => LENGTH_BYTES,
            Layout::Checked => HEAD_BYTES,
        }
    }
}

/// Decodes frames into `In`, encodes `Out` into frames.
#[derive(Debug)]
pub struct Codec<In, Out> {
    limit: usize,
    layout: Layout,
    /// Bytes of the frames that have come in so far.
    taken: u64,
    mutant: ServerMutantSwitch,
    types: PhantomData<fn(Out) -> In>,
}

impl<In, Out> Codec<In, Out> {
    /// A codec for what follows the handshake: checked frames with a content of up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Codec::of(limit, Layout::Checked)
    }

    /// A codec for the first frame of a connection and the answer to it.
    #[must_use]
    pub fn handshake() -> Self {
        Codec::of(MAX_HELLO_FRAME_BYTES, Layout::Handshake)
    }

    fn of(limit: usize, layout: Layout) -> Self {
        Codec { limit, layout, taken: 0, mutant: ServerMutantSwitch::default(), types: PhantomData }
    }

    /// The same codec with a seeded bug, if it is one of its own.
    #[must_use]
    pub fn with_mutant(self, mutant: ServerMutantSwitch) -> Self {
        Codec { mutant, ..self }
    }

    /// How long the content of the next frame is, once that is known for certain.
    fn announced(&self, source: &BytesMut) -> Result<Option<(usize, Option<Head>)>, FrameError> {
        let (length, head) = match self.layout {
            Layout::Handshake => {
                let Some(field) = source.first_chunk() else { return Ok(None) };
                (u32::from_be_bytes(*field) as usize, None)
            }
            Layout::Checked => {
                let Some(bytes) = source.first_chunk() else { return Ok(None) };
                let (head, is_whole) = Head::decode(*bytes);
                if !is_whole && !self.mutant.is(ServerMutant::FrameUnchecked) {
                    return Err(FrameError::Damaged { at: self.taken, part: Part::Head });
                }
                (head.length as usize, Some(head))
            }
        };
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        Ok(Some((length, head)))
    }
}

impl<In: DeserializeOwned, Out> Decoder for Codec<In, Out> {
    type Item = In;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<In>, FrameError> {
        let Some((length, head)) = self.announced(source)? else { return Ok(None) };
        let whole = self.layout.bytes() + length;
        if source.len() < whole {
            source.reserve(whole - source.len());
            return Ok(None);
        }
        let mut frame = source.split_to(whole);
        frame.advance(self.layout.bytes());
        let at = self.taken;
        self.taken += whole as u64;
        if head.is_some_and(|head| !head.is_of(&frame)) && !self.mutant.is(ServerMutant::FrameUnchecked) {
            return Err(FrameError::Damaged { at, part: Part::Content(length) });
        }
        match postcard::take_from_bytes(&frame) {
            Ok((value, [])) => Ok(Some(value)),
            Ok((_, rest)) => Err(FrameError::Trailing { length, extra: rest.len() }),
            Err(reason) => Err(FrameError::Malformed { length, reason }),
        }
    }
}

impl<In, Out: Serialize> Encoder<&Out> for Codec<In, Out> {
    type Error = FrameError;

    /// Encodes straight into the connection's buffer: what stands in front is filled in when it is known.
    fn encode(&mut self, value: &Out, target: &mut BytesMut) -> Result<(), FrameError> {
        let start = target.len();
        let body = start + self.layout.bytes();
        target.resize(body, 0);
        let written = postcard::serialize_with_flavor::<Out, Append<'_>, ()>(value, Append(target));
        let content = target.get(body..).unwrap_or_default();
        let length = content.len();
        let result = match (written, Head::of(content)) {
            (Err(reason), _) => Err(FrameError::Malformed { length, reason }),
            (Ok(()), Some(head)) if length <= self.limit => {
                let bytes = head.encode();
                if let (Some(slot), Some(front)) =
                    (target.get_mut(start..body), bytes.get(..self.layout.bytes()))
                {
                    slot.copy_from_slice(front);
                }
                Ok(())
            }
            (Ok(()), _) => Err(FrameError::TooLong { length, limit: self.limit }),
        };
        if result.is_err() {
            target.truncate(start);
        }
        result
    }
}

/// Postcard's way to write at the end of a buffer.
struct Append<'a>(&'a mut BytesMut);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.put_u8(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
