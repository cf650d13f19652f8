//! One operation after the other, for who goes through millions of them: what they have in common is not made again.

use super::operations::{NEVER, Operations, Row};
use super::packed::Packed;
use super::{Mark, Operation, Outcome};
use crate::{Text, Value};

/// A mark without time and line.
const NOWHERE: Mark = Mark { position: 0, line: 0, time: None };

/// How many rows are looked up at a time, so that the memory is waited for once and not for each.
const BATCH: usize = 32;

/// Places for operations. Those of one name take the same place, since they have their name, and often more, in common.
#[derive(Default)]
pub(crate) struct Loaded {
    places: Vec<Place>,
}

/// An operation, without its times and lines.
pub(crate) struct Place {
    pub(crate) operation: Operation,
    /// The key, packed.
    pub(crate) key: Packed,
    name: Option<u32>,
}

impl Loaded {
    /// Names that have places of their own.
    const NAMES: usize = 16;

    fn place(&mut self, name: u32) -> Option<&mut Place> {
        let at = (name as usize).min(Self::NAMES);
        if self.places.len() <= at {
            self.places.resize_with(at + 1, Place::default);
        }
        self.places.get_mut(at)
    }
}

impl Default for Place {
    fn default() -> Self {
        let operation = Operation {
            process: 0,
            f: Text::from(""),
            key: None,
            input: Value::Nil,
            output: Value::Nil,
            outcome: Outcome::Info,
            invoked: NOWHERE,
            completed: None,
        };
        Self { operation, key: Packed::NONE, name: None }
    }
}

impl Operations {
    /// Has `each` look at the operation of each of these indices.
    pub(crate) fn each<'i, E>(
        &self,
        indices: impl Iterator<Item = u32> + 'i,
        mut each: impl FnMut(u32, &mut Place) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut loaded = Loaded::default();
        let mut batch: Vec<(u32, Row)> = Vec::with_capacity(BATCH);
        let mut indices = indices;
        loop {
            batch.clear();
            let next = indices.by_ref().take(BATCH);
            batch.extend(next.filter_map(|at| Some((at, *self.rows.get(at as usize)?))));
            if batch.is_empty() {
                return Ok(());
            }
            for (at, row) in &batch {
                let Some(place) = loaded.place(row.what.name()) else { continue };
                self.fill(row, place);
                each(*at, place)?;
            }
        }
    }

    #[inline]
    fn fill(&self, row: &Row, place: &mut Place) {
        let operation = &mut place.operation;
        if place.name != Some(row.what.name()) {
            place.name = Some(row.what.name());
            operation.f = self.name(row.what.name());
        }
        if place.key != row.key {
            place.key = row.key;
            operation.key = (row.key != Packed::NONE).then(|| self.pool.value(row.key));
        }
        let (input, output) = self.values(row);
        operation.process = self.process(row);
        // Nobody but the input may hold the old one, or it would have to be made anew.
        operation.output = Value::Nil;
        self.pool.replace(&mut operation.input, input);
        operation.output = if output == input { operation.input.clone() } else { self.pool.value(output) };
        operation.outcome = row.what.outcome();
        operation.invoked.position = row.invoked;
        operation.completed = (row.completed != NEVER).then_some(Mark { position: row.completed, ..NOWHERE });
    }
}
