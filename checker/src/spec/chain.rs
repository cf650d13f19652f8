//! A list that shares its beginning with the lists it was made from.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;

use crate::Value;

/// A list of values. To lengthen it, to shorten it, to copy it takes constant time and one link of memory, so that all the
/// states of a long stack or list fit.
#[derive(Clone, Default)]
pub struct Chain(Option<Arc<Link>>);

struct Link {
    value: Value,
    before: Chain,
    length: u32,
    /// Of the whole chain up to here.
    hash: u64,
}

impl Chain {
    /// Bytes of one more link.
    pub(super) const LINK: usize = size_of::<Link>() + 2 * size_of::<usize>();

    /// This list with one more value at its end.
    #[must_use]
    pub fn then(&self, value: Value) -> Self {
        let mut hasher = FxHasher::default();
        self.hash(&mut hasher);
        value.hash(&mut hasher);
        // Fits: histories have fewer operations.
        let length = u32::try_from(self.len() + 1).unwrap_or(u32::MAX);
        Self(Some(Arc::new(Link { value, before: self.clone(), length, hash: hasher.finish() })))
    }

    /// The last value and the list before it.
    #[must_use]
    pub fn last(&self) -> Option<(&Value, &Self)> {
        self.0.as_deref().map(|link| (&link.value, &link.before))
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |link| link.length as usize)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The values from the last to the first.
    pub fn backwards(&self) -> impl Iterator<Item = &Value> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let (value, before) = rest.last()?;
            rest = before;
            Some(value)
        })
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self, other);
        loop {
            match (&one.0, &other.0) {
                (None, None) => return true,
                (Some(a), Some(b)) if Arc::ptr_eq(a, b) => return true,
                // The hashes only ever say that two lists differ.
                (Some(a), Some(b)) if a.hash == b.hash && a.length == b.length && a.value == b.value => {
                    (one, other) = (&a.before, &b.before);
                }
                _ => return false,
            }
        }
    }
}

impl Eq for Chain {}

impl Hash for Chain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.as_ref().map_or(0, |link| link.hash));
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values: Vec<&Value> = self.backwards().collect();
        values.reverse();
        f.debug_list().entries(values).finish()
    }
}

/// Link by link: the compiler's way would need a stack as deep as the list is long.
impl Drop for Link {
    fn drop(&mut self) {
        let mut next = self.before.0.take();
        while let Some(link) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.before.0.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(values: impl IntoIterator<Item = i64>) -> Chain {
        values.into_iter().fold(Chain::default(), |chain, value| chain.then(Value::Int(value)))
    }

    #[test]
    fn chains_are_equal_if_their_values_are() {
        assert_eq!(chain([1, 2, 3]), chain([1, 2, 3]));
        assert_ne!(chain([1, 2, 3]), chain([1, 2]));
        assert_ne!(chain([1, 2, 3]), chain([1, 3, 2]));
        assert_ne!(chain([1, 2, 3]), chain([3, 2, 3]));
        let long = chain(0..5);
        assert_eq!(long.last().map(|(value, before)| (value.clone(), before.len())), Some((4.into(), 4)));
        assert_eq!(format!("{:?}", chain([1, 2])), "[Int(1), Int(2)]");
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let long = chain(0..1_000_000);
        assert_eq!(long.backwards().count(), 1_000_000);
        assert_eq!(long, chain(0..1_000_000));
    }
}
