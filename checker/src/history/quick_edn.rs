//! EDN as Jepsen, our recorder and Porcupine's tests write it: one map on a line, plain members, no surprises. It is most of a
//! file, and read at nearly the speed of its bytes.
//!
//! What is not exactly so is left alone, for [`super::edn`] to read or to refuse: nothing is refused here.

use super::build::{Builder, Packet};
use super::packed::Packed;
use super::quick_lines::{Left, Scan};
use super::{Kind, Problem};

/// The event on the first line of `bytes`, and how many bytes that line has with its end; `None` if it is for others to read, or not
/// all of it is there.
#[inline]
pub(super) fn event(bytes: &[u8], builder: &mut Builder) -> Result<Option<(Packet, usize)>, Problem> {
    let mut scan = Scan::new(bytes);
    match scan.edn_event(builder) {
        Ok(packet) => Ok(Some((packet, scan.at()))),
        Err(Left::Alone) => Ok(None),
        Err(Left::Wrong(problem)) => Err(problem),
    }
}

/// A member's name; each may come once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Process,
    Type,
    F,
    Index,
    Time,
    Key,
    Value,
}

impl Scan<'_> {
    fn edn_event(&mut self, builder: &mut Builder) -> Result<Packet, Left> {
        // What Jepsen's records are called says nothing new.
        let _ = self.tag(b"#jepsen.history.Op");
        self.tag(b"{:").ok_or(Left::Alone)?;
        let (mut process, mut kind, mut f) = (None, None, None);
        let (mut index, mut time) = (None, None);
        let (mut key, mut value) = (Packed::NONE, Packed::NIL);
        let mut said = 0_u32;
        loop {
            let member = self.member().ok_or(Left::Alone)?;
            let bit = 1 << member as u32;
            if said & bit != 0 {
                return Err(Left::Alone);
            }
            said |= bit;
            match member {
                Member::Process => process = Some(self.integer().ok_or(Left::Alone)?),
                Member::Type => kind = Some(self.edn_kind().ok_or(Left::Alone)?),
                Member::F => {
                    self.tag(b":").ok_or(Left::Alone)?;
                    let name = self.word().ok_or(Left::Alone)?;
                    f = Some(builder.name(name).ok_or(Left::Alone)?);
                }
                Member::Index => index = Some(self.integer().ok_or(Left::Alone)?),
                Member::Time => time = Some(self.integer().ok_or(Left::Alone)?),
                Member::Key => key = self.edn_simple(builder)?,
                Member::Value => value = self.edn_value(builder)?,
            }
            if self.tag(b"}\n").is_some() {
                break;
            }
            if self.tag(b", :").is_none() {
                self.tag(b" :").ok_or(Left::Alone)?;
            }
        }
        match (process, kind, f) {
            // A key that is nil is none.
            _ if said & 1 << Member::Key as u32 != 0 && key == Packed::NIL => Err(Left::Alone),
            (Some(process), Some(kind), Some(f)) => Ok(Packet { index, time, process, kind, f, key, value }),
            _ => Err(Left::Alone),
        }
    }

    /// The name of a member, and the blank after it.
    #[inline]
    fn member(&mut self) -> Option<Member> {
        match self.rest().first()? {
            b'p' => self.tag(b"process ").map(|()| Member::Process),
            b't' => match self.tag(b"type ") {
                Some(()) => Some(Member::Type),
                None => self.tag(b"time ").map(|()| Member::Time),
            },
            b'f' => self.tag(b"f ").map(|()| Member::F),
            b'v' => self.tag(b"value ").map(|()| Member::Value),
            b'k' => self.tag(b"key ").map(|()| Member::Key),
            b'i' => self.tag(b"index ").map(|()| Member::Index),
            _ => None,
        }
    }

    #[inline]
    fn edn_kind(&mut self) -> Option<Kind> {
        let found = match self.rest().get(1)? {
            b'o' => self.tag(b":ok").map(|()| Kind::Ok),
            b'f' => self.tag(b":fail").map(|()| Kind::Fail),
            _ => match self.tag(b":invoke") {
                Some(()) => Some(Kind::Invoke),
                None => self.tag(b":info").map(|()| Kind::Info),
            },
        };
        found.filter(|_| self.is_at_end_of_token())
    }

    /// Letters, digits and dashes: the rest of a keyword.
    #[inline]
    fn word(&mut self) -> Option<&[u8]> {
        let rest = self.rest();
        let length =
            rest.iter().position(|byte| !(byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_')))?;
        self.step(length);
        let word = rest.get(..length).filter(|word| !word.is_empty())?;
        self.is_at_end_of_token().then_some(word)
    }

    /// A small whole number, nil, or a plain string.
    #[inline]
    fn edn_simple(&mut self, builder: &mut Builder) -> Result<Packed, Left> {
        let found = match self.rest().first() {
            Some(b'0'..=b'9' | b'-') => self.integer().and_then(Packed::number),
            Some(b'n') => self.tag(b"nil").map(|()| Packed::NIL),
            Some(b'"') => {
                self.step(1);
                return self.plain_text(builder);
            }
            _ => None,
        };
        found.filter(|_| self.is_at_end_of_token()).ok_or(Left::Alone)
    }

    /// One of these, or two in brackets, of which the second may be two in brackets.
    fn edn_value(&mut self, builder: &mut Builder) -> Result<Packed, Left> {
        if self.tag(b"[").is_none() {
            return self.edn_simple(builder);
        }
        let one = self.edn_simple(builder)?;
        self.tag(b" ").ok_or(Left::Alone)?;
        if self.tag(b"[").is_none() {
            let other = self.edn_simple(builder)?;
            self.tag(b"]").ok_or(Left::Alone)?;
            return Ok(builder.pair([one, other])?);
        }
        let first = self.edn_simple(builder)?;
        self.tag(b" ").ok_or(Left::Alone)?;
        let second = self.edn_simple(builder)?;
        self.tag(b"]]").ok_or(Left::Alone)?;
        Ok(builder.nested(one, [first, second])?)
    }

    /// Whether what comes next cannot belong to the token that was just read.
    #[inline]
    fn is_at_end_of_token(&self) -> bool {
        matches!(self.rest().first(), Some(b' ' | b',' | b']' | b'}'))
    }
}

#[cfg(test)]
mod tests {
    use super::super::edn::Edn;
    use super::*;

    fn begun() -> Builder {
        let mut builder = Builder::new("h", None);
        let mut edn = Edn::new(&b"{:process 7, :type :invoke, :f :read}"[..]);
        let (event, ..) = edn.next(usize::MAX).ok().flatten().expect("an event");
        builder.push(event).expect("it fits");
        builder
    }

    #[test]
    fn plain_lines_are_taken_and_others_left() {
        let is_taken = |line: &str| {
            // Numbers are read eight bytes at a time: the very last ones of a buffer are left.
            let more = format!("{line}and so on");
            let taken = event(more.as_bytes(), &mut begun());
            taken.is_ok_and(|taken| taken.is_some_and(|(_, length)| length == line.len()))
        };
        for line in [
            "{:process 0, :type :invoke, :f :read, :key \"0\", :value \"x 0 0 y\"}\n",
            "{:index 0, :time 12, :type :ok, :process 3, :f :read, :value [\"k4\" nil]}\n",
            "{:index 0, :time 12, :type :ok, :process 3, :f :read, :value [\"k4\" [1 2]]}\n",
            "#jepsen.history.Op{:type :fail, :f :read, :value -3, :time 12, :process 3, :index 4}\n",
        ] {
            assert!(is_taken(line), "{line}");
        }
        for line in [
            "{:process 0, :type :invoke, :f :read} ",
            "{:process 0, :type :invoke, :f :never-said}\n",
            "{:process 0, :type :invoke, :f :read, :error 1}\n",
            "{:process 0, :type :invokes, :f :read}\n",
            "{:process :nemesis, :type :info, :f :read}\n",
            "{:process 0, :type :invoke, :f :read, :value 1N}\n",
            "{:process 0, :type :invoke, :f :read, :value 1, :value 1}\n",
            "{:process 0, :type :invoke, :f :read, :key nil}\n",
        ] {
            assert!(!is_taken(line), "{line}");
        }
    }

    #[test]
    fn the_rest_is_quick_after_one_line_that_is_not() {
        let text = "{:process 0, :type :info, :f :write}\n".replace("info", "invoke")
            + &"{:process 0, :type :ok, :f :write}\n{:process 0, :type :invoke, :f :write}\n".repeat(5);
        let mut edn = Edn::new(text.as_bytes());
        let mut builder = begun();
        assert!(!edn.quickly(&mut builder).expect("no error"), "its name is not known yet");
        let (event, ..) = edn.next(usize::MAX).ok().flatten().expect("an event");
        builder.push(event).expect("it fits");
        assert!(edn.quickly(&mut builder).expect("no error"));
        assert!(edn.next(usize::MAX).expect("no error").is_none(), "nothing is left");
    }
}
