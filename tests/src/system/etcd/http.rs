//! As much HTTP/1.1 as a JSON gateway needs: a POST goes out, a body comes back, of known length or in chunks; all of it at the
//! end, or bit by bit.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that a head or a body may have.
const MAX_HEAD_BYTES: u64 = 64 << 10;
const MAX_BODY_BYTES: u64 = 64 << 20;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Sends a request with a body of JSON.
pub(super) async fn post<W: AsyncWrite + Unpin>(stream: &mut W, path: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await
}

/// The beginning of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) body: Body,
}

/// What is still to come of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes.
    Rest(u64),
    /// Chunk after chunk.
    Chunks(Chunked),
}

impl Body {
    /// Reads what has arrived to the end of `into`; false at the body's end. If it is dropped while it waits, nothing is lost.
    pub(super) async fn more<R: AsyncBufRead + Unpin>(
        &mut self,
        stream: &mut R,
        into: &mut Vec<u8>,
    ) -> io::Result<bool> {
        match self {
            Body::Rest(0) => Ok(false),
            Body::Rest(left) => {
                *left -= some(stream, *left, into).await?;
                Ok(true)
            }
            Body::Chunks(chunks) => chunks.more(stream, into).await,
        }
    }
}

/// A body in chunks: where one stands in it.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    /// What is left of this chunk.
    left: u64,
    /// What has been read of the line between two of them.
    line: Vec<u8>,
    /// Whether a chunk was read whose line has not ended yet.
    within: bool,
    /// Whether that was the last one.
    is_last: bool,
    is_over: bool,
}

impl Chunked {
    async fn more<R: AsyncBufRead + Unpin>(
        &mut self,
        stream: &mut R,
        into: &mut Vec<u8>,
    ) -> io::Result<bool> {
        while self.left == 0 {
            if self.is_over {
                return Ok(false);
            }
            self.between(stream).await?;
        }
        self.left -= some(stream, self.left, into).await?;
        Ok(true)
    }

    /// Reads one of the lines between chunks: the empty one after a chunk (after the last one the trailers, of which there are
    /// none), or the one that says how long the next is.
    async fn between<R: AsyncBufRead + Unpin>(&mut self, stream: &mut R) -> io::Result<()> {
        let room = MAX_HEAD_BYTES.saturating_sub(self.line.len() as u64);
        // What was read of it before stays in the buffer of the line.
        stream.take(room).read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let line = String::from_utf8_lossy(line);
        if self.within {
            if !line.is_empty() {
                return Err(strange("a chunk that does not end"));
            }
            (self.within, self.is_over) = (false, self.is_last);
            return Ok(());
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(digits, 16).map_err(|_| strange(&line))?;
        if length > MAX_BODY_BYTES {
            return Err(strange("a body that is too long"));
        }
        (self.left, self.within, self.is_last) = (length, true, length == 0);
        Ok(())
    }
}

/// Reads what has arrived, at most `most` bytes, and waits only if that is nothing.
async fn some<R: AsyncBufRead + Unpin>(stream: &mut R, most: u64, into: &mut Vec<u8>) -> io::Result<u64> {
    let arrived = stream.fill_buf().await?;
    let size = arrived.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    let Some(bytes) = arrived.get(..size).filter(|bytes| !bytes.is_empty()) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    into.extend_from_slice(bytes);
    stream.consume(size);
    Ok(size as u64)
}

/// Reads the beginning of an answer.
pub(super) async fn head<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<Head> {
    let first = line(stream).await?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| strange(&first))?;
    let (mut length, mut chunked) = (None, false);
    loop {
        let header = line(stream).await?;
        let Some((name, value)) = header.split_once(':') else {
            if header.is_empty() {
                break;
            }
            return Err(strange(&header));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| strange(&header))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let body = match length {
        _ if chunked => Body::Chunks(Chunked::default()),
        Some(length) if length > MAX_BODY_BYTES => return Err(strange("a body that is too long")),
        Some(length) => Body::Rest(length),
        None => return Err(strange("a body of unknown length")),
    };
    Ok(Head { status, body })
}

/// Reads an answer.
pub(super) async fn receive<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<Answer> {
    let Head { status, body: mut rest } = head(stream).await?;
    let mut body = Vec::new();
    while rest.more(stream, &mut body).await? {
        if body.len() as u64 > MAX_BODY_BYTES {
            return Err(strange("a body that is too long"));
        }
    }
    Ok(Answer { status, body })
}

async fn line<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.take(MAX_HEAD_BYTES).read_until(b'\n', &mut bytes).await?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn strange(what: &str) -> io::Error {
    let what: String = what.chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("this is not HTTP as it was expected: {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &str) -> io::Result<Answer> {
        receive(&mut bytes.as_bytes()).await
    }

    #[tokio::test]
    async fn bodies_of_both_sorts_are_read_and_nonsense_refused() {
        let known = read("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\n{}rest").await.unwrap();
        assert_eq!(known, Answer { status: 200, body: b"{}".to_vec() });
        let chunks = "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n";
        assert_eq!(read(chunks).await.unwrap(), Answer { status: 503, body: b"{}".to_vec() });
        for nonsense in [
            "",
            "hello\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        ] {
            assert!(read(nonsense).await.is_err(), "{nonsense:?}");
        }
    }
}
