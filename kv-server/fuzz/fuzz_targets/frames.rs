//! Whatever comes in over a connection, the decoder does not panic, takes no more memory than its limit allows, and says the
//! same however the stream falls into pieces; a frame in which up to three bits were flipped is refused as damaged.

#![no_main]

use bytes::BytesMut;
use kv_server::protocol::{Codec, FrameError, HEAD_BYTES, Hello, PeerMessage, Request, Response};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use tokio_util::codec::{Decoder, Encoder};

/// The longest frame that is allowed here.
const LIMIT: usize = 1 << 16;

// The first byte chooses what is spoken, the next four the pieces and the flips; the rest is what comes in.
fuzz_target!(|input: &[u8]| {
    let Some((&[kind, piece, a, b, c], bytes)) = input.split_first_chunk() else { return };
    match kind % 4 {
        0 => stream::<Hello>(bytes, piece, Codec::handshake),
        1 => frames::<PeerMessage>(bytes, piece, [a, b, c]),
        2 => frames::<Request>(bytes, piece, [a, b, c]),
        _ => frames::<Response>(bytes, piece, [a, b, c]),
    }
});

fn frames<T: DeserializeOwned + Serialize + Debug + PartialEq>(bytes: &[u8], piece: u8, flips: [u8; 3]) {
    stream::<T>(bytes, piece, || Codec::new(LIMIT));
    let frame = sealed(bytes);
    stream::<T>(&frame, piece, || Codec::new(LIMIT));
    damaged::<T>(frame, flips);
}

/// All that is decoded before the end, or before the error, in its words.
fn decoded<T: DeserializeOwned + Serialize>(
    pieces: impl Iterator<Item = impl AsRef<[u8]>>,
    codec: Codec<T, T>,
) -> (Vec<T>, Option<String>) {
    let (mut codec, mut buffer, mut values) = (codec, BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece.as_ref());
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(error) => return (values, Some(error.to_string())),
            }
        }
        assert!(buffer.capacity() <= 4 * (LIMIT + HEAD_BYTES), "{} bytes are held", buffer.capacity());
    }
    (values, None)
}

fn stream<T: DeserializeOwned + Serialize + Debug + PartialEq>(
    bytes: &[u8],
    piece: u8,
    codec: impl Fn() -> Codec<T, T>,
) {
    let whole = decoded(std::iter::once(bytes), codec());
    assert_eq!(decoded(bytes.chunks(usize::from(piece).max(1)), codec()), whole, "it depends on the pieces");
    // What was understood can be said, and is understood again.
    let mut said = BytesMut::new();
    let mut teller = codec();
    let can_say = whole.0.iter().all(|value| teller.encode(value, &mut said).is_ok());
    if can_say {
        assert_eq!(decoded(std::iter::once(&said), codec()), (whole.0, None));
    }
}

/// A frame with this content whose checksums are right.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut head = u32::try_from(content.len()).expect("a short input").to_be_bytes().to_vec();
    head.extend(crc32fast::hash(content).to_be_bytes());
    head.extend(crc32fast::hash(&head).to_be_bytes());
    [&head, content].concat()
}

/// Up to three bits of a frame are flipped, wherever.
fn damaged<T: DeserializeOwned + Serialize + Debug>(mut frame: Vec<u8>, flips: [u8; 3]) {
    let whole = frame.clone();
    for (number, flip) in flips.into_iter().enumerate() {
        let bit = (usize::from(flip) * 131 + number * 17) % (frame.len() * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
    }
    if frame != whole {
        let error = Codec::<T, T>::new(LIMIT).decode(&mut BytesMut::from(&frame[..]));
        assert!(matches!(error, Err(FrameError::Damaged { at: 0, .. })), "{error:?}");
    }
}
