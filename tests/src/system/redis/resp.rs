//! The protocol of Redis, RESP2: an array of strings goes out, a value comes back.

use std::io;

use futures::future::BoxFuture;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest string and the longest array that are taken.
const MAX_BYTES: usize = 64 << 20;
const MAX_ITEMS: usize = 1 << 20;
/// Arrays in arrays in arrays.
const MAX_DEPTH: u32 = 8;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `+OK`
    Status(String),
    /// `-ERR …`: refused.
    Error(String),
    /// `:1`
    Number(i64),
    /// A string, or none.
    Text(Option<String>),
    /// Several.
    Array(Vec<Reply>),
}

/// Sends a command.
pub(super) async fn send<W: AsyncWrite + Unpin>(stream: &mut W, words: &[&str]) -> io::Result<()> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(bytes.as_bytes()).await
}

/// Reads one value.
pub(super) async fn receive<R: AsyncBufRead + Unpin + Send>(stream: &mut R) -> io::Result<Reply> {
    value(stream, MAX_DEPTH).await
}

fn value<R: AsyncBufRead + Unpin + Send>(stream: &mut R, depth: u32) -> BoxFuture<'_, io::Result<Reply>> {
    Box::pin(async move {
        let line = line(stream).await?;
        let (Some(sort), rest) = (line.chars().next(), line.get(1..).unwrap_or_default()) else {
            return Err(strange("an empty line"));
        };
        let length = |most: usize| match rest.parse::<i64>() {
            Ok(-1) => Ok(None),
            Ok(length) => match usize::try_from(length).ok().filter(|length| *length <= most) {
                Some(length) => Ok(Some(length)),
                None => Err(strange(rest)),
            },
            Err(_) => Err(strange(rest)),
        };
        Ok(match sort {
            '+' => Reply::Status(rest.to_owned()),
            '-' => Reply::Error(rest.to_owned()),
            ':' => Reply::Number(rest.parse().map_err(|_| strange(rest))?),
            '$' => match length(MAX_BYTES)? {
                None => Reply::Text(None),
                Some(length) => {
                    let mut bytes = vec![0; length + 2];
                    stream.read_exact(&mut bytes).await?;
                    bytes.truncate(length);
                    Reply::Text(Some(String::from_utf8_lossy(&bytes).into_owned()))
                }
            },
            '*' if depth == 0 => return Err(strange("arrays in arrays in arrays")),
            '*' => {
                let mut items = Vec::new();
                for _ in 0..length(MAX_ITEMS)?.unwrap_or(0) {
                    items.push(value(stream, depth - 1).await?);
                }
                Reply::Array(items)
            }
            _ => return Err(strange(&line)),
        })
    })
}

async fn line<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.take(MAX_BYTES as u64).read_until(b'\n', &mut bytes).await?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn strange(what: &str) -> io::Error {
    let what: String = what.chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("this is not RESP: {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &str) -> io::Result<Reply> {
        receive(&mut bytes.as_bytes()).await
    }

    #[tokio::test]
    async fn every_sort_of_value_is_read_and_nonsense_refused() {
        let text = |text: &str| Reply::Text(Some(text.to_owned()));
        assert_eq!(read("+OK\r\n").await.unwrap(), Reply::Status("OK".to_owned()));
        assert_eq!(read("-READONLY no\r\n").await.unwrap(), Reply::Error("READONLY no".to_owned()));
        assert_eq!(read(":-7\r\n").await.unwrap(), Reply::Number(-7));
        assert_eq!(read("$5\r\na\r\nbc\r\n").await.unwrap(), text("a\r\nbc"));
        assert_eq!(read("$-1\r\n").await.unwrap(), Reply::Text(None));
        let array = read("*2\r\n$1\r\na\r\n*1\r\n:1\r\n").await.unwrap();
        assert_eq!(array, Reply::Array(vec![text("a"), Reply::Array(vec![Reply::Number(1)])]));
        for nonsense in ["", "\r\n", "hello\r\n", "$9999999999\r\n", "$-2\r\n", ":x\r\n", "$5\r\nab", "+OK"] {
            assert!(read(nonsense).await.is_err(), "{nonsense:?}");
        }
        assert!(read(&"*1\r\n".repeat(50)).await.is_err(), "too deep");
    }

    #[tokio::test]
    async fn a_command_is_an_array_of_strings() {
        let mut sent = Vec::new();
        send(&mut sent, &["SET", "k", "a b"]).await.unwrap();
        assert_eq!(sent, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na b\r\n");
    }
}
