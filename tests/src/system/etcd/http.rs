//! As much HTTP/1.1 as a JSON gateway needs: a POST goes out, a body comes back, of known length or in chunks.

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

/// Reads an answer.
pub(super) async fn receive<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<Answer> {
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
    let mut body = Vec::new();
    match length {
        _ if chunked => {
            while let Some(bytes) = chunk(stream).await? {
                body.extend(bytes);
                if body.len() as u64 > MAX_BODY_BYTES {
                    return Err(strange("a body that is too long"));
                }
            }
        }
        Some(length) => body = exactly(stream, length).await?,
        None => return Err(strange("a body of unknown length")),
    }
    Ok(Answer { status, body })
}

/// The next chunk of a body; nothing after the last.
async fn chunk<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<Option<Vec<u8>>> {
    let size = line(stream).await?;
    let digits = size.split(';').next().unwrap_or_default().trim();
    let length = u64::from_str_radix(digits, 16).map_err(|_| strange(&size))?;
    let bytes = exactly(stream, length).await?;
    // After a chunk its line ends; after the last one the trailers do, of which there are none.
    if !line(stream).await?.is_empty() {
        return Err(strange("a chunk that does not end"));
    }
    Ok((length > 0).then_some(bytes))
}

async fn exactly<R: AsyncBufRead + Unpin>(stream: &mut R, length: u64) -> io::Result<Vec<u8>> {
    if length > MAX_BODY_BYTES {
        return Err(strange("a body that is too long"));
    }
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
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
