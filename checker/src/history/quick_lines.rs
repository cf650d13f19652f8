//! JSON lines as our recorder writes them, without blanks, escapes and surprises: most of a file, read at the speed of its bytes.
//!
//! What is not exactly so is left alone, for [`super::json_lines`] to read or to refuse: nothing is refused here.

use super::build::{Builder, Packet};
use super::packed::Packed;
use super::{Kind, Problem};

/// The event on the first line of `bytes`, and how many bytes that line has with its end; `None` if it is for others to read, or not
/// all of it is there.
#[inline]
pub(super) fn event(bytes: &[u8], builder: &mut Builder) -> Result<Option<(Packet, usize)>, Problem> {
    let mut scan = Scan::new(bytes);
    match scan.event(builder) {
        Ok(packet) => Ok(Some((packet, scan.at))),
        Err(Left::Alone) => Ok(None),
        Err(Left::Wrong(problem)) => Err(problem),
    }
}

/// Why there is no event.
pub(super) enum Left {
    /// It is not so simple.
    Alone,
    /// It does not fit.
    Wrong(Problem),
}

impl From<Problem> for Left {
    fn from(problem: Problem) -> Self {
        Self::Wrong(problem)
    }
}

/// Where one is in a line.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What is still to be read.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Steps over so many bytes, which are there.
    #[inline]
    pub(super) fn step(&mut self, bytes: usize) {
        self.at += bytes;
    }

    #[inline]
    fn event(&mut self, builder: &mut Builder) -> Result<Packet, Left> {
        self.tag(b"{\"").ok_or(Left::Alone)?;
        let index = self.optional(b"index\":")?;
        let time = self.optional(b"time\":")?;
        self.tag(b"process\":").ok_or(Left::Alone)?;
        let process = self.integer().ok_or(Left::Alone)?;
        let kind = self.kind().ok_or(Left::Alone)?;
        let name = self.plain().ok_or(Left::Alone)?;
        let f = builder.name(name).ok_or(Left::Alone)?;
        let mut key = Packed::NONE;
        if self.tag(b",\"key\":\"").is_some() {
            key = self.plain_text(builder)?;
        }
        let mut value = Packed::NIL;
        if self.tag(b",\"value\":").is_some() {
            value = self.value(builder)?;
        }
        self.tag(b"}\n").ok_or(Left::Alone)?;
        Ok(Packet { index, time, process, kind, f, key, value })
    }

    /// Steps over those bytes, if they come next.
    #[inline]
    pub(super) fn tag<const N: usize>(&mut self, tag: &[u8; N]) -> Option<()> {
        let next = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        (next == tag).then(|| self.at += N)
    }

    /// The number of a member that may be missing, and what is before the name of the next.
    #[inline]
    fn optional<const N: usize>(&mut self, name: &[u8; N]) -> Result<Option<i64>, Left> {
        if self.tag(name).is_none() {
            return Ok(None);
        }
        let number = self.integer().ok_or(Left::Alone)?;
        self.tag(b",\"").ok_or(Left::Alone)?;
        Ok(Some(number))
    }

    /// The type, and what is between it and the name of the operation.
    #[inline]
    fn kind(&mut self) -> Option<Kind> {
        self.tag(b",\"type\":\"")?;
        if self.tag(b"ok\",\"f\":\"").is_some() {
            return Some(Kind::Ok);
        }
        if self.tag(b"invoke\",\"f\":\"").is_some() {
            return Some(Kind::Invoke);
        }
        if self.tag(b"fail\",\"f\":\"").is_some() {
            return Some(Kind::Fail);
        }
        self.tag(b"info\",\"f\":\"").map(|()| Kind::Info)
    }

    /// The rest of a string up to its quote, and the quote; `None` if anything in it needs a closer look.
    #[inline]
    fn plain(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = super::json_lines::plain_length(rest);
        if rest.get(end) != Some(&b'"') {
            return None;
        }
        self.at += end + 1;
        rest.get(..end)
    }

    #[inline]
    pub(super) fn plain_text(&mut self, builder: &mut Builder) -> Result<Packed, Left> {
        let bytes = self.plain().ok_or(Left::Alone)?;
        builder.text(bytes)?.ok_or(Left::Alone)
    }

    #[inline]
    fn value(&mut self, builder: &mut Builder) -> Result<Packed, Left> {
        match self.bytes.get(self.at) {
            Some(b'0'..=b'9' | b'-' | b'n') => self.number().ok_or(Left::Alone),
            Some(b'"') => {
                self.at += 1;
                self.plain_text(builder)
            }
            Some(b'[') => {
                self.at += 1;
                let one = self.number().ok_or(Left::Alone)?;
                self.tag(b",").ok_or(Left::Alone)?;
                let other = self.number().ok_or(Left::Alone)?;
                self.tag(b"]").ok_or(Left::Alone)?;
                Ok(builder.pair([one, other])?)
            }
            _ => Err(Left::Alone),
        }
    }

    /// A small whole number, or null.
    #[inline]
    fn number(&mut self) -> Option<Packed> {
        if self.tag(b"null").is_some() {
            return Some(Packed::NIL);
        }
        Packed::number(self.integer()?)
    }

    /// A whole number of at most 16 digits.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<i64> {
        let rest = self.bytes.get(self.at..)?;
        let negative = rest.first() == Some(&b'-');
        let digits = if negative { rest.get(1..)? } else { rest };
        let (first, many) = number(digits.first_chunk()?);
        let (mut number_of_all, mut length) = (first, many);
        if many == 8 {
            let (second, more) = number(digits.get(8..)?.first_chunk()?);
            number_of_all = first * *POWERS.get(more)? + second;
            length += more;
        }
        let leading_zero = length > 1 && digits.first() == Some(&b'0');
        // A digit more, and it is for others to read.
        if length == 0 || leading_zero || length == 16 && digits.get(16).is_none_or(u8::is_ascii_digit) {
            return None;
        }
        self.at += length + usize::from(negative);
        let number = number_of_all.cast_signed();
        Some(if negative { -number } else { number })
    }
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that the digits at the beginning of those bytes make, and how many there are.
#[inline]
fn number(bytes: &[u8; 8]) -> (u64, usize) {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let word = u64::from_le_bytes(*bytes) ^ ZEROS;
    // A digit is less than ten now. The lowest mark is right: what is carried goes upwards, out of a byte that is marked itself.
    let marks = (word.wrapping_add(ONES * 0x76) | word) & (ONES * 0x80);
    let digits = if marks == 0 { 8 } else { marks.trailing_zeros() / 8 };
    if digits == 0 {
        return (0, 0);
    }
    // Zeros in front, which is where the lowest byte is.
    let word = word << (64 - 8 * digits);
    // Neighbours become one number: of one digit, of two, of four.
    let word = word.wrapping_mul(10).wrapping_add(word >> 8);
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    const FIRST: u64 = 100 + (1_000_000 << 32);
    const SECOND: u64 = 1 + (10_000 << 32);
    let first = (word & PAIRS).wrapping_mul(FIRST);
    let second = (word >> 16 & PAIRS).wrapping_mul(SECOND);
    (first.wrapping_add(second) >> 32, digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<i64> {
        let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
        scan.integer().filter(|_| text.as_bytes()[scan.at] == b',')
    }

    #[test]
    fn a_number_is_what_its_digits_say() {
        for number in (0..2000).chain((0..53).flat_map(|bit| [(1_i64 << bit) - 1, 1 << bit])) {
            for number in [number, -number] {
                if number.abs() < 10_i64.pow(16) {
                    assert_eq!(read(&format!("{number},\"and so on")), Some(number));
                }
            }
        }
        assert_eq!(read("9999999999999999,\"and so on"), Some(9_999_999_999_999_999));
        for text in
            ["", ",,,,,,,,,", "-,,,,,,,,,", "00,,,,,,,,", "01,,,,,,,,", "10000000000000000,,,,,,,,,", "1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        // Whatever follows the digits.
        for byte in 0..=u8::MAX {
            for digits in 0..8 {
                let mut bytes = [byte; 8];
                bytes[..digits].fill(b'7');
                let expected = if byte.is_ascii_digit() { 8 } else { digits };
                let (value, length) = number(&bytes);
                assert_eq!(length, expected);
                let text = str::from_utf8(&bytes[..length]).expect("digits");
                assert_eq!(value, text.parse().unwrap_or(0));
            }
        }
    }
}
