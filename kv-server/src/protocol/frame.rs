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
            let mut framed = Head::of(&bytes).unwrap().encode().to_vec();
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
        /// At whatever place up to three bits are flipped: the frames before it are read, it is refused with its
        /// place, and nothing after it is read.
        #[test]
        fn a_damaged_frame_is_refused_and_none_after_it_is_read(
            messages in prop::collection::vec(append(), 1..5),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u32), 1..4),
            which in any::<prop::sample::Index>(),
        ) {
            let frames: Vec<BytesMut> = messages.iter().map(encode).collect();
            let which = which.index(frames.len());
            let mut damaged = frames[which].clone();
            for (at, bit) in flips {
                let at = at.index(damaged.len());
                damaged[at] ^= 1 << bit;
            }
            prop_assume!(damaged != frames[which]);
            let before = frames[..which].concat();
            let bytes = [&before[..], &damaged[..], &frames[which + 1..].concat()[..]].concat();
            let (decoded, error) = decode_all::<PeerMessage>(&bytes);
            prop_assert_eq!(&decoded[..], &messages[..which]);
            let place = match error {
                Some(FrameError::Damaged { at, .. }) => at,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(place, before.len() as u64);
        }

        /// Frames arrive in pieces of any size, and are the same.
        #[test]
        fn how_a_stream_falls_into_pieces_does_not_matter(
            messages in prop::collection::vec(append(), 1..5),
            piece in 1..40usize,
        ) {
            let bytes = messages.iter().map(encode).collect::<Vec<_>>().concat();
            let mut codec = Codec::<PeerMessage, ()>::new(LIMIT);
            let mut buffer = BytesMut::new();
            let mut decoded = Vec::new();
            for piece in bytes.chunks(piece) {
                buffer.extend_from_slice(piece);
                while let Some(message) = codec.decode(&mut buffer).unwrap() {
                    decoded.push(message);
                }
            }
            prop_assert_eq!(decoded, messages);
            prop_assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_comes_in() {
        let mut buffer = BytesMut::new();
        let value = Request { id: 1, patience_ms: 0, body: RequestBody::Get { key: vec![0; LIMIT].into() } };
        Codec::<(), Request>::new(2 * LIMIT).encode(&value, &mut buffer).unwrap();
        let (values, error) = decode_all::<Request>(&buffer[..HEAD_BYTES]);
        assert!(values.is_empty());
        let over = matches!(error, Some(FrameError::TooLong { length, limit: LIMIT }) if length > LIMIT);
        assert!(over, "{error:?}");
    }

    #[test]
    fn the_handshake_s_frames_have_a_length_and_nothing_else() {
        let hello = Hello::of_client();
        let mut buffer = BytesMut::new();
        Codec::<Hello, Hello>::handshake().encode(&hello, &mut buffer).unwrap();
        assert_eq!(&buffer[..LENGTH_BYTES], (buffer.len() as u32 - 4).to_be_bytes());
        assert_eq!(Codec::<Hello, Hello>::handshake().decode(&mut buffer).unwrap(), Some(hello));
        let mut long = BytesMut::from(&u32::MAX.to_be_bytes()[..]);
        let error = Codec::<Hello, Hello>::handshake().decode(&mut long);
        assert!(matches!(error, Err(FrameError::TooLong { length: 0xffff_ffff, .. })), "{error:?}");
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
        let bytes = encode(&Request { id: 1, patience_ms: 0, body: RequestBody::Status });
        let content = [&bytes[HEAD_BYTES..], &[7][..]].concat();
        let bytes = [&Head::of(&content).unwrap().encode()[..], &content].concat();
        let (_, error) = decode_all::<Request>(&bytes);
        assert!(matches!(error, Some(FrameError::Trailing { extra: 1, .. })), "{error:?}");
    }

    /// What the seeded bug lets in is what the checksum keeps out.
    #[cfg(feature = "mutants")]
    #[test]
    fn without_the_check_a_changed_value_is_believed() {
        let request =
            |key| Request { id: 1, patience_ms: 0, body: RequestBody::Get { key: Bytes::from(key) } };
        let mut bytes = encode(&request("abc"));
        *bytes.last_mut().unwrap() ^= 1;
        let (values, error) = decode_all::<Request>(&bytes);
        assert!(values.is_empty() && matches!(error, Some(FrameError::Damaged { .. })), "{error:?}");
        let mutant = ServerMutantSwitch::on(ServerMutant::FrameUnchecked);
        let mut codec = Codec::<Request, ()>::new(LIMIT).with_mutant(mutant);
        assert_eq!(codec.decode(&mut bytes).unwrap(), Some(request("abb")));
    }
}
