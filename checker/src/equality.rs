//! When two values are the same, and the order in which sets and maps keep them.
//!
//! EDN: "lists and vectors are equal if they have the same items in the same order", and Clojure, and so Knossos, goes by that. All
//! else is equal only to its own kind: `:a` is not `"a"`, `1` is not `1.0`.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::Value;

impl Value {
    /// The kind, as a number; lists and vectors are of one.
    fn rank(&self) -> u8 {
        match self {
            Self::Nil => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Big(_) => 4,
            Self::Char(_) => 5,
            Self::Str(_) => 6,
            Self::Keyword(_) => 7,
            Self::Symbol(_) => 8,
            Self::List(_) | Self::Vector(_) => 9,
            Self::Map(_) => 10,
            Self::Set(_) => 11,
            Self::Tagged(_) => 12,
        }
    }
}

impl PartialEq for Value {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Str(one), Self::Str(other))
            | (Self::Big(one), Self::Big(other))
            | (Self::Keyword(one), Self::Keyword(other))
            | (Self::Symbol(one), Self::Symbol(other)) => one == other,
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Char(one), Self::Char(other)) => one == other,
            (Self::List(one) | Self::Vector(one), Self::List(other) | Self::Vector(other))
            | (Self::Set(one), Self::Set(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => one == other,
            (Self::Tagged(one), Self::Tagged(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Nil => {}
            Self::Bool(flag) => flag.hash(state),
            Self::Int(number) => number.hash(state),
            Self::Float(bits) => bits.hash(state),
            Self::Char(letter) => letter.hash(state),
            Self::Big(text) | Self::Str(text) | Self::Keyword(text) | Self::Symbol(text) => text.hash(state),
            Self::List(items) | Self::Vector(items) | Self::Set(items) => items.hash(state),
            Self::Map(entries) => entries.hash(state),
            Self::Tagged(tagged) => tagged.hash(state),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one.cmp(other),
            (Self::Str(one), Self::Str(other))
            | (Self::Big(one), Self::Big(other))
            | (Self::Keyword(one), Self::Keyword(other))
            | (Self::Symbol(one), Self::Symbol(other)) => one.cmp(other),
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Float(one), Self::Float(other)) => one.cmp(other),
            (Self::Char(one), Self::Char(other)) => one.cmp(other),
            (Self::List(one) | Self::Vector(one), Self::List(other) | Self::Vector(other))
            | (Self::Set(one), Self::Set(other)) => one.cmp(other),
            (Self::Map(one), Self::Map(other)) => one.cmp(other),
            (Self::Tagged(one), Self::Tagged(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    fn edn(text: &str) -> Value {
        Value::from_edn(text).expect("a value")
    }

    #[test]
    fn what_clojure_calls_equal_is_equal() {
        let hasher = rustc_hash::FxBuildHasher;
        for (one, other) in [
            ("5N", "5"),
            ("-5N", "-5"),
            ("+5", "5"),
            ("0N", "-0"),
            ("9223372036854775807N", "9223372036854775807"),
            ("9223372036854775808N", "9223372036854775808"),
            ("+99999999999999999999", "99999999999999999999N"),
            ("4/2", "2"),
            ("2/4", "1/2"),
            ("-2/4", "-1/2"),
            ("1.50M", "1.5M"),
            ("15e-1M", "1.5M"),
            ("100M", "1e2M"),
            ("0.010M", "1e-2M"),
            ("-0.0", "0.0"),
            ("(1 2)", "[1 2]"),
            ("#{(1) 2}", "#{[1] 2}"),
            ("{[1] 5N}", "{(1) 5}"),
        ] {
            let (one, other) = (edn(one), edn(other));
            assert_eq!(one, other);
            assert_eq!(one.cmp(&other), Ordering::Equal);
            assert_eq!(hasher.hash_one(&one), hasher.hash_one(&other), "{one} {other}");
        }
    }

    #[test]
    fn what_clojure_calls_different_is_different() {
        let all = [
            "nil",
            "true",
            "false",
            "5",
            "5.0",
            "5M",
            "0.05M",
            "50M",
            "5.5M",
            "1/5",
            "-5",
            "\\5",
            "\"5\"",
            ":5",
            "x5",
            "[5]",
            "#{5}",
            "{5 5}",
            "#x 5",
            "[5 5]",
            "[]",
            "#{}",
            "{}",
            "9223372036854775807",
            "9223372036854775808",
            "9223372036854775809N",
            "-9223372036854775809",
            "12345678901234567890123",
        ]
        .map(edn);
        for (at, one) in all.iter().enumerate() {
            for other in all.iter().skip(at + 1) {
                assert_ne!(one, other);
                assert_eq!(one.cmp(other), other.cmp(one).reverse());
                assert_ne!(one.cmp(other), Ordering::Equal, "{one} {other}");
            }
        }
    }

    #[test]
    fn numbers_that_could_be_two_are_refused() {
        for text in ["010", "-010", "00", "08N", "1/0", "1/x", "1.2.3M", "1x"] {
            assert!(Value::from_edn(text).is_err(), "{text}");
        }
    }
}
