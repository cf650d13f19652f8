//! Frames: tokio-util finds where they begin and end, postcard what they mean.

use std::io;
use std::marker::PhantomData;

use bytes::{BufMut, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// Bytes of the length in front of a frame.
const LENGTH_BYTES: usize = 4;

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

/// Decodes frames into `In`, encodes `Out` into frames.
#[derive(Debug)]
pub struct Codec<In, Out> {
    frames: LengthDelimitedCodec,
    types: PhantomData<fn(Out) -> In>,
}

impl<In, Out> Codec<In, Out> {
    /// A codec for frames of up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let frames = LengthDelimitedCodec::builder()
            .length_field_length(LENGTH_BYTES)
            .max_frame_length(limit)
            .new_codec();
        Codec { frames, types: PhantomData }
    }

    fn limit(&self) -> usize {
        self.frames.max_frame_length()
    }
}

impl<In: DeserializeOwned, Out> Decoder for Codec<In, Out> {
    type Item = In;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<In>, FrameError> {
        let announced = announced_length(source);
        let frame = match self.frames.decode(source) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            // The only error of the length-delimited codec is a length above its limit.
            Err(_) => return Err(FrameError::TooLong { length: announced, limit: self.limit() }),
        };
        let length = frame.len();
        match postcard::take_from_bytes(&frame) {
            Ok((value, [])) => Ok(Some(value)),
            Ok((_, rest)) => Err(FrameError::Trailing { length, extra: rest.len() }),
            Err(reason) => Err(FrameError::Malformed { length, reason }),
        }
    }
}

impl<In, Out: Serialize> Encoder<&Out> for Codec<In, Out> {
    type Error = FrameError;

    /// Encodes straight into the connection's buffer: the length is filled in when it is known.
    fn encode(&mut self, value: &Out, target: &mut BytesMut) -> Result<(), FrameError> {
        let start = target.len();
        target.put_u32(0);
        let body = start + LENGTH_BYTES;
        let written = postcard::serialize_with_flavor::<Out, Append<'_>, ()>(value, Append(target));
        let length = target.len().saturating_sub(body);
        let result = match (written, u32::try_from(length)) {
            (Err(reason), _) => Err(FrameError::Malformed { length, reason }),
            (Ok(()), Ok(field)) if length <= self.limit() => {
                if let Some(slot) = target.get_mut(start..body) {
                    slot.copy_from_slice(&field.to_be_bytes());
                }
                Ok(())
            }
            (Ok(()), _) => Err(FrameError::TooLong { length, limit: self.limit() }),
        };
        if result.is_err() {
            target.truncate(start);
        }
        result
    }
}

/// What the next frame says about its length, as far as that has come in.
fn announced_length(source: &BytesMut) -> usize {
    source.first_chunk::<LENGTH_BYTES>().map_or(0, |field| u32::from_be_bytes(*field) as usize)
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
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use raft_core::{Append as RaftAppend, Body, Entry, Index, Message, Payload, Position, Round, Term};

    use super::*;
    use crate::protocol::{Hello, PeerMessage, Request, RequestBody, Response};

    const LIMIT: usize = 1 << 16;

    fn encode<T: Serialize>(value: &T) -> BytesMut {
        let mut buffer = BytesMut::new();
        Codec::<T, T>::new(LIMIT).encode(value, &mut buffer).unwrap();
        buffer
    }

    /// Everything that decodes from `bytes` before the first error or the end.
    fn decode_all<T: DeserializeOwned>(bytes: &[u8]) -> (Vec<T>, Option<FrameError>) {
        let mut buffer = BytesMut::from(bytes);
        let mut codec = Codec::<T, T>::new(LIMIT);
        let mut values = Vec::new();
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return (values, None),
                Err(error) => return (values, Some(error)),
            }
        }
    }

    fn append() -> impl Strategy<Value = PeerMessage> {
        let entry =
            (any::<u64>(), any::<u64>(), proptest::option::of(prop::collection::vec(any::<u8>(), 0..64)));
        (any::<u64>(), prop::collection::vec(entry, 0..8)).prop_map(|(term, entries)| Message {
            term: Term(term),
            body: Body::Append(RaftAppend {
                prev: Position::default(),
                entries: entries
                    .into_iter()
                    .map(|(index, term, command)| Entry {
                        index: Index(index),
                        term: Term(term),
                        payload: command.map_or(Payload::Noop, |c| Payload::Command(Bytes::from(c))),
                    })
                    .collect(),
                commit: Index(3),
                round: Round(4),
            }),
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode_all::<PeerMessage>(&bytes);
            let _ = decode_all::<Request>(&bytes);
            let _ = decode_all::<Response>(&bytes);
            let _ = decode_all::<Hello>(&bytes);
        }

        #[test]
        fn a_frame_of_arbitrary_content_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            let _ = decode_all::<PeerMessage>(&framed);
            let _ = decode_all::<Request>(&framed);
            let _ = decode_all::<Response>(&framed);
        }

        #[test]
        fn what_is_encoded_is_decoded(messages in prop::collection::vec(append(), 0..5)) {
            let mut bytes = BytesMut::new();
            for message in &messages {
                bytes.extend_from_slice(&encode(message));
            }
            let (decoded, error) = decode_all::<PeerMessage>(&bytes);
            prop_assert!(error.is_none(), "{error:?}");
            prop_assert_eq!(decoded, messages);
        }

        #[test]
        fn one_flipped_bit_is_never_a_panic(message in append(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let mut bytes = encode(&message);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = decode_all::<PeerMessage>(&bytes);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_comes_in() {
        let (values, error) = decode_all::<Request>(&u32::MAX.to_be_bytes());
        assert!(values.is_empty());
        assert!(
            matches!(error, Some(FrameError::TooLong { length: 0xffff_ffff, limit: LIMIT })),
            "{error:?}"
        );
    }

    #[test]
    fn a_value_over_the_limit_is_not_sent_and_leaves_no_trace() {
        let body = RequestBody::Get { key: Bytes::from(vec![0; LIMIT]) };
        let mut buffer = BytesMut::from(&b"before"[..]);
        let result = Codec::<Request, Request>::new(LIMIT)
            .encode(&Request { id: 1, patience_ms: 0, body }, &mut buffer);
        assert!(matches!(result, Err(FrameError::TooLong { .. })), "{result:?}");
        assert_eq!(&buffer[..], b"before");
    }

    #[test]
    fn bytes_after_the_value_are_an_error() {
        let mut bytes = encode(&Request { id: 1, patience_ms: 0, body: RequestBody::Status });
        bytes.put_u8(7);
        let length = (bytes.len() - LENGTH_BYTES) as u32;
        bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let (_, error) = decode_all::<Request>(&bytes);
        assert!(matches!(error, Some(FrameError::Trailing { extra: 1, .. })), "{error:?}");
    }
}
