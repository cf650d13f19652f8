//! Values in 32 bits: a history has millions of them, most are small numbers, and texts are said over and over.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::Problem;
use super::room::Room;
use super::text::slot;
use crate::{Text, Value};

/// A value of a [`Pool`]. Small whole numbers are in it; all else has a place in the pool.
///
/// ```text
///   nnnn…nnn0   a whole number of 31 bits
///   iiii…i001   place i among the simple values
///   iiii…i101   place i among the compound values
///   iiii…ii11   place i among the pairs
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Packed(u32);

/// The most values of one kind that are not small numbers.
const MOST: usize = 1 << 29;

impl Packed {
    pub(crate) const NIL: Self = Self(1);
    /// No value at all; no place is so high.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// A place in a table of another's.
    pub(super) fn of_place(place: usize) -> Option<Self> {
        u32::try_from(place).ok().map(Self)
    }

    /// That place again.
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }

    /// A whole number, if it is small.
    #[inline]
    pub(crate) fn number(number: i64) -> Option<Self> {
        let small = i32::try_from(number).ok().filter(|small| (small << 1) >> 1 == *small)?;
        Some(Self((small << 1).cast_unsigned()))
    }

    fn is_number(self) -> bool {
        self.0 & 1 == 0
    }
}

/// Where the values are that are no small numbers.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// Each once.
    simple: IndexSet<Value, FxBuildHasher>,
    /// As they were written: a list that equals a vector is still shown as a list.
    compound: Vec<Value>,
    /// Vectors of two simple values: what a compare-and-set has.
    pairs: Vec<[Packed; 2]>,
    /// A direct-mapped cache of texts, to find them by their bytes.
    texts: Vec<Packed>,
    /// Bytes that the values hold beyond their own size.
    beyond: usize,
}

impl Default for Pool {
    fn default() -> Self {
        // In the order of their places: `Packed::NIL` is the first.
        let simple = IndexSet::from_iter([Value::Nil, Value::Bool(false), Value::Bool(true)]);
        Self { simple, compound: Vec::new(), pairs: Vec::new(), texts: Vec::new(), beyond: 0 }
    }
}

impl Pool {
    /// Places in the cache of texts.
    const TEXTS: usize = 1 << 10;
    /// Longer ones are not looked for by their bytes.
    const LONGEST: usize = 64;
    /// What a simple value takes: itself, its hash, and its place in the table, which is at least half full.
    const SIMPLE: usize = size_of::<Value>() + 8 + 2 * 9;

    /// Takes a value in.
    pub(crate) fn pack(&mut self, value: Value, room: &mut Room) -> Result<Packed, Problem> {
        match &value {
            Value::Nil => return Ok(Packed::NIL),
            Value::Int(number) => {
                if let Some(packed) = Packed::number(*number) {
                    return Ok(packed);
                }
            }
            Value::Vector(items) => {
                if let [one, other] = &**items
                    && is_simple(one)
                    && is_simple(other)
                {
                    let pair = [self.pack(one.clone(), room)?, self.pack(other.clone(), room)?];
                    return self.pair(pair, room);
                }
            }
            _ => {}
        }
        if is_simple(&value) { self.simple(value, room) } else { self.compound(value, room) }
    }

    /// Takes a pair of simple values in.
    #[inline]
    pub(crate) fn pair(&mut self, pair: [Packed; 2], room: &mut Room) -> Result<Packed, Problem> {
        room.lengthen(&mut self.pairs, 1)?;
        self.pairs.push(pair);
        Ok(Packed(place(self.pairs.len() - 1)? << 2 | 0b11))
    }

    fn compound(&mut self, value: Value, room: &mut Room) -> Result<Packed, Problem> {
        let beyond = value.memory();
        room.take(beyond)?;
        self.beyond += beyond;
        room.lengthen(&mut self.compound, 1)?;
        self.compound.push(value);
        Ok(Packed(place(self.compound.len() - 1)? << 3 | 0b101))
    }

    fn simple(&mut self, value: Value, room: &mut Room) -> Result<Packed, Problem> {
        let at = match self.simple.get_index_of(&value) {
            Some(at) => at,
            None => {
                let beyond = value.memory();
                room.take(beyond)?;
                self.beyond += beyond;
                let capacity = self.simple.capacity();
                if self.simple.len() == capacity {
                    // Both tables are there while it moves.
                    room.fits(2 * capacity * Self::SIMPLE)?;
                    self.simple.reserve(1);
                    room.take((self.simple.capacity() - capacity) * Self::SIMPLE)?;
                }
                self.simple.insert_full(value).0
            }
        };
        Ok(Packed(place(at)? << 3 | 0b001))
    }

    /// The text of those bytes; `None` if they are no UTF-8.
    #[inline]
    pub(crate) fn text(&mut self, bytes: &[u8], room: &mut Room) -> Result<Option<Packed>, Problem> {
        let slot = slot(bytes) % Self::TEXTS;
        if let Some(known) = self.texts.get(slot)
            && let Some(Value::Str(text)) = self.simple.get_index(known.0 as usize >> 3)
            && text.as_bytes() == bytes
        {
            return Ok(Some(*known));
        }
        let Ok(text) = str::from_utf8(bytes) else { return Ok(None) };
        let packed = self.simple(Value::Str(Text::from(text)), room)?;
        if self.texts.is_empty() {
            self.texts = vec![Packed::NIL; Self::TEXTS];
        }
        if let Some(place) = self.texts.get_mut(slot).filter(|_| bytes.len() <= Self::LONGEST) {
            *place = packed;
        }
        Ok(Some(packed))
    }

    /// The value again.
    #[inline]
    pub(crate) fn value(&self, packed: Packed) -> Value {
        match packed {
            Packed(number) if packed.is_number() => Value::Int(i64::from(number.cast_signed() >> 1)),
            Packed::NIL => Value::Nil,
            _ => self.placed(packed),
        }
    }

    /// The same, in place of another value. Of two pairs, the second takes the memory of the first.
    #[inline]
    pub(crate) fn replace(&self, value: &mut Value, packed: Packed) {
        if packed.0 & 0b11 == 0b11
            && let Value::Vector(items) = value
            && let Some([one, other]) = items.get_mut()
            && let Some(pair) = self.pairs.get((packed.0 >> 2) as usize)
        {
            (*one, *other) = (self.value(pair[0]), self.value(pair[1]));
        } else {
            *value = self.value(packed);
        }
    }

    fn placed(&self, packed: Packed) -> Value {
        let place = (packed.0 >> 3) as usize;
        let known = match packed.0 & 0b111 {
            0b001 => self.simple.get_index(place).cloned(),
            0b101 => self.compound.get(place).cloned(),
            _ => self
                .pairs
                .get((packed.0 >> 2) as usize)
                .map(|[one, other]| Value::vector([self.value(*one), self.value(*other)])),
        };
        known.unwrap_or_default()
    }

    /// Whether both are equal.
    #[inline]
    pub(crate) fn same(&self, one: Packed, other: Packed) -> bool {
        one == other || !one.is_number() && !other.is_number() && self.equal(one, other)
    }

    fn equal(&self, one: Packed, other: Packed) -> bool {
        let pair = |packed: Packed| match packed.0 & 0b11 {
            0b11 => self.pairs.get((packed.0 >> 2) as usize),
            _ => None,
        };
        match (pair(one), pair(other)) {
            // Their items are simple, and each of those is there once.
            (Some(one), Some(other)) => one == other,
            _ => self.value(one) == self.value(other),
        }
    }

    /// Lets go of a value that was just taken in and is wanted no more, if that is easy.
    #[inline]
    pub(crate) fn forget(&mut self, packed: Packed, room: &mut Room) {
        if packed.0 & 0b11 == 0b11 && (packed.0 >> 2) as usize + 1 == self.pairs.len() {
            self.pairs.pop();
        } else if packed.0 & 0b111 == 0b101 && (packed.0 >> 3) as usize + 1 == self.compound.len() {
            let beyond = self.compound.pop().map_or(0, |value| value.memory());
            self.beyond -= beyond;
            room.give(beyond);
        }
    }

    /// Bytes that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.simple.capacity() * Self::SIMPLE
            + self.compound.capacity() * size_of::<Value>()
            + self.pairs.capacity() * size_of::<[Packed; 2]>()
            + self.texts.capacity() * size_of::<Packed>()
            + self.beyond
    }
}

/// Whether it has no parts.
fn is_simple(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Vector(_) | Value::Map(_) | Value::Set(_) | Value::Tagged(_))
}

fn place(at: usize) -> Result<u32, Problem> {
    let limit = Problem::Limit { what: "different values in one history", limit: MOST as u64 };
    u32::try_from(at).ok().filter(|_| at < MOST).ok_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let (mut pool, mut room) = (Pool::default(), Room::endless());
        let values = [
            "nil",
            "true",
            "false",
            "0",
            "-1",
            "1073741823",
            "1073741824",
            "-1073741824",
            "-1073741825",
            "9223372036854775807",
            "1.5",
            "\"a\"",
            ":a",
            "a",
            "\\a",
            "[]",
            "[1]",
            "[1 nil]",
            "[1 [2 3]]",
            "(1 2)",
            "[1 2 3]",
            "{:a 1}",
            "#{1}",
            "#t 1",
            "[\"a\" :a]",
            "12345678901234567890",
        ];
        let values = values.map(|text| Value::from_edn(text).expect("a value"));
        let packed = values.clone().map(|value| pool.pack(value, &mut room).expect("room"));
        for (value, one) in values.iter().zip(packed) {
            assert_eq!(pool.value(one).to_string(), value.to_string());
            let again = pool.pack(value.clone(), &mut room).expect("room");
            assert!(pool.same(one, again));
            for (other, two) in values.iter().zip(packed) {
                assert_eq!(pool.same(one, two), value == other, "{value} {other}");
            }
            pool.forget(again, &mut room);
            assert_eq!(pool.value(one).to_string(), value.to_string());
        }
        assert!(room.held() <= pool.memory() && pool.memory() < 1 << 14);
    }

    #[test]
    fn a_text_is_found_by_its_bytes() {
        let (mut pool, mut room) = (Pool::default(), Room::endless());
        for round in 0..2 {
            for number in 0..5000 {
                let text = format!("{number:>width$}", width = number % 80);
                let one = pool.text(text.as_bytes(), &mut room).expect("room").expect("UTF-8");
                assert_eq!(pool.value(one), Value::string(&text), "{round}");
                assert_eq!(pool.pack(Value::string(&text), &mut room).expect("room"), one);
            }
        }
        assert_eq!(pool.text(&[0xff], &mut room).expect("room"), None);
        assert_eq!(
            pool.text(b"", &mut room).expect("room").map(|one| pool.value(one)),
            Some(Value::string(""))
        );
    }
}
