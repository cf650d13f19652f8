//! A history an event at a time, while it is being written: nothing is read ahead of what there is.

use std::io::{self, BufReader, Chain, Cursor, Read};

use super::format::{Events, HEAD, detect};
use super::{Event, Format, Problem, ReadError, ReadOptions};

/// The events of a history as they come. The reader may block until there is more; the end of its input is the end of the
/// history.
pub struct Stream<R> {
    events: Events<BufReader<Chain<Cursor<Vec<u8>>, R>>>,
    format: Format,
    name: String,
    /// How many bytes one event may take.
    room: usize,
}

impl<R: Read> Stream<R> {
    /// The events that `reader` gives, of the history of that name. Where the format is not given, this waits for the first
    /// line that is neither blank nor a comment.
    ///
    /// # Errors
    /// A [`ReadError`] that names the place, also for a history without events.
    pub fn new(mut reader: R, name: &str, options: &ReadOptions) -> Result<Self, ReadError> {
        let (head, format) = match options.format {
            Some(format) => (Vec::new(), format),
            None => {
                let head = head(&mut reader).map_err(|error| Problem::Io(error).at(1, 1).in_file(name))?;
                let format = detect(&head).map_err(|misread| misread.in_file(name))?;
                (head, format)
            }
        };
        let input = BufReader::with_capacity(1 << 17, Cursor::new(head).chain(reader));
        let room =
            options.memory_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(Self { events: Events::new(format, input), format, name: name.to_owned(), room })
    }

    /// How the history is written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next event and its line, or `None` at the end.
    ///
    /// # Errors
    /// A [`ReadError`] that names the place.
    pub fn next_event(&mut self) -> Result<Option<(Event, u32)>, ReadError> {
        let next = self.events.next(self.room).map_err(|misread| misread.in_file(&self.name))?;
        Ok(next.map(|(event, line, _)| (event, u32::try_from(line).unwrap_or(u32::MAX))))
    }
}

/// Reads until there is a line that tells the format.
fn head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while (head.len() as u64) < HEAD {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        // A whole line, so that what is told by its second byte has that byte; a brace alone on its line tells nothing yet.
        if head.ends_with(b"\n") && !head.trim_ascii_end().ends_with(b"{") && detect(&head).is_ok() {
            break;
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Gives its pieces one at a time, and counts what was asked for beyond them.
    struct Pieces(VecDeque<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.pop_front() {
                Some(piece) => {
                    buffer[..piece.len()].copy_from_slice(piece);
                    Ok(piece.len())
                }
                None => Err(io::Error::other("asked for more than there is")),
            }
        }
    }

    fn lines(pieces: &[&'static str]) -> (Vec<u32>, String) {
        let reader = Pieces(pieces.iter().map(|piece| piece.as_bytes()).collect());
        let mut stream = Stream::new(reader, "h", &ReadOptions::default()).expect("a format");
        let mut lines = Vec::new();
        loop {
            match stream.next_event() {
                Ok(Some((_, line))) => lines.push(line),
                Ok(None) => panic!("the pieces do not end"),
                Err(error) => return (lines, error.to_string()),
            }
        }
    }

    #[test]
    fn every_event_is_there_as_soon_as_its_line_is() {
        let json = [
            "\n",
            "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}\n",
            "{\"process\":0,",
            "\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n",
        ];
        let edn = [
            "; a comment\n",
            "{:process 0, :type :invoke, :f :read, :value nil}\n",
            "{:process 0, :type",
            " :ok, :f :read, :value 1}\n",
        ];
        let vector = [
            "[",
            "\n{:process 0, :type :invoke, :f :read, :value nil}\n",
            "{:process 0, :type",
            " :ok, :f :read, :value 1}\n",
        ];
        let log = ["\n", "0\t:invoke\t:read\tnil\n", "0\t:ok", "\t:read\t1\n"];
        for pieces in [json, edn, vector, log] {
            let (lines, end) = lines(&pieces);
            assert_eq!(lines, [2, 3], "{pieces:?}: {end}");
            assert!(end.contains("asked for more"), "{end}");
        }
    }

    /// EDN that begins with a brace on a line of its own was once taken for JSON lines.
    #[test]
    fn a_brace_alone_does_not_tell_the_format() {
        let (lines, end) = lines(&["{\n", ":process 0, :type :invoke, :f :read, :value nil}\n"]);
        assert_eq!(lines, [1], "{end}");
    }

    #[test]
    fn an_end_without_events_is_an_error() {
        assert!(Stream::new(&b"  \n"[..], "h", &ReadOptions::default()).is_err());
    }
}
