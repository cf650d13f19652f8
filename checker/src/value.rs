//! Values as histories carry them: anything EDN can write, of which JSON is a part.
//!
//! Equality is structural and floats compare by their bits, so that a value can be a key of a hash table: the checker
//! only ever asks "is this the very value that was written?". As in EDN, a list equals the vector of the same items.

use crate::{Shared, Text};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// One value of a history: an operation's argument, its result, a key.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `nil` in EDN, `null` in JSON: nothing, absent.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A float, kept as its bits (see [`Value::float`]).
    Float(u64),
    /// A number that is not one of these: a whole one beyond 64 bits, an EDN `1.5M` or `1/3`; exact. The readers write equal ones
    /// alike (`1.50M` is `1.5M`).
    Big(Text),
    /// A character, `\a`.
    Char(char),
    /// A string.
    Str(Text),
    /// `:keyword`, without its colon.
    Keyword(Text),
    /// `symbol`.
    Symbol(Text),
    /// `(1 2)`.
    List(Shared<[Value]>),
    /// `[1 2]`; a JSON array.
    Vector(Shared<[Value]>),
    /// `{:a 1}`, sorted by key; a JSON object (its keys are strings).
    Map(Shared<[(Value, Value)]>),
    /// `#{1 2}`, sorted.
    Set(Shared<[Value]>),
    /// `#tag value`.
    Tagged(Arc<(Box<str>, Value)>),
}

impl Value {
    /// A string value.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::Str(Text::from(text))
    }

    /// A keyword value (the text without its colon).
    #[must_use]
    pub fn keyword(text: &str) -> Self {
        Self::Keyword(Text::from(text))
    }

    /// A float value. Minus zero is zero.
    #[must_use]
    pub fn float(number: f64) -> Self {
        Self::Float((number + 0.0).to_bits())
    }

    /// A vector value.
    #[must_use]
    pub fn vector(items: impl Into<Shared<[Value]>>) -> Self {
        Self::Vector(items.into())
    }

    /// A map value; its entries are sorted by key.
    #[must_use]
    pub fn map(mut entries: Vec<(Value, Value)>) -> Self {
        entries.sort();
        Self::Map(entries.into())
    }

    /// A set value; its items are sorted and said once.
    #[must_use]
    pub fn set(mut items: Vec<Value>) -> Self {
        items.sort();
        items.dedup();
        Self::Set(items.into())
    }

    /// Whether this is [`Value::Nil`].
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The items of a list or a vector.
    #[must_use]
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Vector(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a string, keyword or symbol: EDN writes `:read` where JSON writes `"read"`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Keyword(text) | Self::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes that it holds beyond its own size.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Char(_) => 0,
            shared => shared.shared_memory(),
        }
    }

    fn shared_memory(&self) -> usize {
        /// Counts of references, and the allocator's own.
        const SHARED: usize = 56;
        let of = |items: &[Self]| size_of_val(items) + items.iter().map(Self::memory).sum::<usize>();
        SHARED
            + match self {
                Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Char(_) => 0,
                Self::Big(text) | Self::Str(text) | Self::Keyword(text) | Self::Symbol(text) => text.len(),
                Self::List(items) | Self::Vector(items) | Self::Set(items) => of(items),
                Self::Map(entries) => {
                    let entry = |(key, value): &(Self, Self)| key.memory() + value.memory();
                    size_of_val(&**entries) + entries.iter().map(entry).sum::<usize>()
                }
                Self::Tagged(tagged) => size_of_val(&**tagged) + tagged.0.len() + tagged.1.memory(),
            }
    }

    /// The value as JSON. Keywords, symbols, characters and numbers that JSON cannot write (`1/2`, `5N`) become strings, sets become arrays, and a key that
    /// is not a string becomes its EDN text: JSON has no other way.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// Appends the value as JSON to `out`.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) => push_display(out, number),
            Self::Float(bits) => match f64::from_bits(*bits) {
                number if number.is_finite() => push_display(out, &format_args!("{number:?}")),
                number => push_json_string(out, &number.to_string()),
            },
            Self::Char(letter) => push_json_string(out, letter.encode_utf8(&mut [0; 4])),
            Self::Big(text) if is_json_number(text) => out.push_str(text),
            Self::Big(text) | Self::Str(text) | Self::Keyword(text) | Self::Symbol(text) => {
                push_json_string(out, text);
            }
            Self::List(items) | Self::Vector(items) | Self::Set(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    match key.text() {
                        Some(text) => push_json_string(out, text),
                        None => push_json_string(out, &key.to_string()),
                    }
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
            Self::Tagged(tagged) => tagged.1.write_json(out),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

/// EDN, as Clojure would print it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(bits) => match f64::from_bits(*bits) {
                number if number.is_nan() => f.write_str("##NaN"),
                number if number.is_infinite() && number > 0.0 => f.write_str("##Inf"),
                number if number.is_infinite() => f.write_str("##-Inf"),
                number => write!(f, "{number:?}"),
            },
            Self::Big(text) | Self::Symbol(text) => f.write_str(text),
            Self::Char(letter) => match letter {
                '\n' => f.write_str("\\newline"),
                '\r' => f.write_str("\\return"),
                '\t' => f.write_str("\\tab"),
                ' ' => f.write_str("\\space"),
                letter => write!(f, "\\{letter}"),
            },
            Self::Str(text) => write_edn_string(f, text),
            Self::Keyword(text) => write!(f, ":{text}"),
            Self::List(items) => write_items(f, "(", items, ")"),
            Self::Vector(items) => write_items(f, "[", items, "]"),
            Self::Set(items) => write_items(f, "#{", items, "}"),
            Self::Map(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key} {value}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
            Self::Tagged(tagged) => write!(f, "#{} {}", tagged.0, tagged.1),
        }
    }
}

fn write_items(f: &mut fmt::Formatter<'_>, open: &str, items: &[Value], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at > 0 { " " } else { "" })?;
    }
    f.write_str(close)
}

fn write_edn_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            letter if letter.is_control() => write!(f, "\\u{:04x}", u32::from(letter))?,
            letter => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}

fn push_display(out: &mut String, number: &dyn fmt::Display) {
    // Writing into a String cannot fail.
    let _ = write!(out, "{number}");
}

/// Whether this is a number as JSON writes them.
pub(crate) fn is_json_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if u32::from(letter) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}
