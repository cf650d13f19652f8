//! Frames that come back as they were sent, or are refused with their place.

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
    let entry = (any::<u64>(), any::<u64>(), proptest::option::of(prop::collection::vec(any::<u8>(), 0..64)));
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
    let result =
        Codec::<Request, Request>::new(LIMIT).encode(&Request { id: 1, patience_ms: 0, body }, &mut buffer);
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
    let request = |key| Request { id: 1, patience_ms: 0, body: RequestBody::Get { key: Bytes::from(key) } };
    let mut bytes = encode(&request("abc"));
    *bytes.last_mut().unwrap() ^= 1;
    let (values, error) = decode_all::<Request>(&bytes);
    assert!(values.is_empty() && matches!(error, Some(FrameError::Damaged { .. })), "{error:?}");
    let mutant = ServerMutantSwitch::on(ServerMutant::FrameUnchecked);
    let mut codec = Codec::<Request, ()>::new(LIMIT).with_mutant(mutant);
    assert_eq!(codec.decode(&mut bytes).unwrap(), Some(request("abb")));
}
