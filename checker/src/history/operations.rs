//! The operations of a history, kept small: 24 bytes for each, four for the time of each event, and every name, key and text once.

use std::fmt;
use std::slice;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::marks::{Lines, Times};
use super::packed::{Packed, Pool};
use super::room::Room;
use super::{Mark, Operation, Outcome};
use crate::{Text, Unfit, Value};

/// In place of the position of what has not come.
pub(super) const NEVER: u32 = u32::MAX;

/// The operations of a history, in the order of their invocations. An [`Operation`] is put together when it is asked for.
#[derive(Clone, Default)]
pub struct Operations {
    pub(super) rows: Vec<Row>,
    /// Inputs and outputs of those that have both, and different ones.
    pub(super) both: Vec<[Packed; 2]>,
    pub(super) processes: Vec<i64>,
    pub(super) names: IndexSet<Text, FxBuildHasher>,
    pub(super) pool: Pool,
    pub(super) times: Times,
    pub(super) lines: Lines,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Index of the process.
    pub(super) process: u32,
    /// [`Packed::NONE`] if there is none.
    pub(super) key: Packed,
    /// Index of the name, and how it ended.
    pub(super) what: What,
    /// Input, output or both, as `what` says.
    pub(super) value: Packed,
    pub(super) invoked: u32,
    /// [`NEVER`] if there is no completion.
    pub(super) completed: u32,
}

/// The index of a name, an outcome and an [`Answer`] in 32 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct What(u32);

/// What a row's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The input; the output is nil.
    Nothing,
    /// Both.
    Echo,
    /// The output; the input is nil.
    Output,
    /// The place of both in [`Operations::both`].
    Both,
}

impl What {
    /// The most names of operations.
    pub(super) const NAMES: usize = 1 << 28;

    #[inline]
    pub(super) fn new(name: u32, outcome: Outcome, answer: Answer) -> Self {
        Self(name << 4 | (outcome as u32) << 2 | answer as u32)
    }

    #[inline]
    pub(super) fn name(self) -> u32 {
        self.0 >> 4
    }

    #[inline]
    pub(super) fn outcome(self) -> Outcome {
        match self.0 >> 2 & 3 {
            0 => Outcome::Ok,
            1 => Outcome::Fail,
            _ => Outcome::Info,
        }
    }

    #[inline]
    fn answer(self) -> Answer {
        match self.0 & 3 {
            0 => Answer::Nothing,
            1 => Answer::Echo,
            2 => Answer::Output,
            _ => Answer::Both,
        }
    }
}

impl Operations {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The operation of that index.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Operation> {
        self.rows.get(at).map(|row| self.operation(row))
    }

    /// All of them.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { operations: self, rows: self.rows.iter() }
    }

    /// Those with one of these names. Where there is none, that is found out at once.
    pub fn named<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = Operation> + 'a {
        let mut found: Vec<u32> = Vec::new();
        for name in names {
            found.extend(self.names.get_index_of(*name).and_then(|at| u32::try_from(at).ok()));
        }
        let rows = if found.is_empty() { &[][..] } else { &self.rows };
        rows.iter().filter(move |row| found.contains(&row.what.name())).map(|row| self.operation(row))
    }

    /// Whether that operation has a completion.
    #[must_use]
    pub fn is_complete(&self, at: usize) -> bool {
        self.rows.get(at).is_some_and(|row| row.completed != NEVER)
    }

    /// Those with these indices alone, with the positions they have, but without times and lines.
    #[must_use]
    pub fn only(&self, indices: &[u32]) -> Self {
        let mut only = Self { names: self.names.clone(), ..Self::default() };
        let mut room = Room::endless();
        let rows = indices.iter().filter_map(|at| self.rows.get(*at as usize));
        for row in rows {
            let (input, output) = self.values(row);
            let key = (row.key != Packed::NONE).then(|| self.pool.value(row.key));
            let mut pack = |value| only.pool.pack(value, &mut room).unwrap_or(Packed::NIL);
            let key = key.map_or(Packed::NONE, &mut pack);
            let (input, output) = (pack(self.pool.value(input)), pack(self.pool.value(output)));
            // Fits: there are no more than before.
            let process = u32::try_from(only.processes.len()).unwrap_or(NEVER);
            only.processes.push(self.process(row));
            let what = What::new(row.what.name(), row.what.outcome(), Answer::Nothing);
            let mut row = Row { process, key, value: input, what, ..*row };
            row.answer(output, &mut only.pool, &mut only.both, &mut room);
            only.rows.push(row);
        }
        only.rows.sort_unstable_by_key(|row| row.invoked);
        only
    }

    /// Whether any was ok and answered nothing.
    pub(crate) fn silent(&self) -> bool {
        let silent = |row: &Row| row.what.outcome() == Outcome::Ok && self.values(row).1 == Packed::NIL;
        self.rows.iter().any(silent)
    }

    /// The different keys, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<Value> {
        let mut seen = std::collections::HashSet::with_hasher(FxBuildHasher);
        let keys = self.rows.iter().filter(|row| row.key != Packed::NONE && seen.insert(row.key));
        let mut keys: Vec<Value> = keys.map(|row| self.pool.value(row.key)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn operation(&self, row: &Row) -> Operation {
        let mark = |position| Mark { position, line: self.lines.at(position), time: self.times.at(position) };
        let (input, output) = self.values(row);
        Operation {
            process: self.process(row),
            f: self.name(row.what.name()),
            key: (row.key != Packed::NONE).then(|| self.pool.value(row.key)),
            input: self.pool.value(input),
            output: self.pool.value(output),
            outcome: row.what.outcome(),
            invoked: mark(row.invoked),
            completed: (row.completed != NEVER).then(|| mark(row.completed)),
        }
    }

    pub(super) fn name(&self, name: u32) -> Text {
        self.names.get_index(name as usize).cloned().unwrap_or_else(|| Text::from(""))
    }

    pub(super) fn process(&self, row: &Row) -> i64 {
        self.processes.get(row.process as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn values(&self, row: &Row) -> (Packed, Packed) {
        match row.what.answer() {
            Answer::Nothing => (row.value, Packed::NIL),
            Answer::Echo => (row.value, row.value),
            Answer::Output => (Packed::NIL, row.value),
            Answer::Both => {
                let both = self.both.get(row.value.place());
                both.map_or((Packed::NIL, Packed::NIL), |[input, output]| (*input, *output))
            }
        }
    }

    /// Every operation with its values replaced: key, input and output.
    pub(super) fn with_values(
        mut self,
        replace: impl Fn(&Operation) -> Result<(Value, Value, Value), Unfit>,
    ) -> Result<Self, Unfit> {
        let mut rows = Vec::with_capacity(self.rows.len());
        let (mut pool, mut both, mut room) = (Pool::default(), Vec::new(), Room::endless());
        for row in &self.rows {
            let operation = self.operation(row);
            let (key, input, output) = replace(&operation)?;
            let mut pack = |value| {
                pool.pack(value, &mut room).map_err(|problem| {
                    // As many values as there were.
                    Unfit::operation(&operation, problem.to_string())
                })
            };
            let (key, input, output) = (pack(key)?, pack(input)?, pack(output)?);
            let mut row = Row { key, value: input, ..*row };
            row.what = What::new(row.what.name(), row.what.outcome(), Answer::Nothing);
            row.answer(output, &mut pool, &mut both, &mut room);
            rows.push(row);
        }
        (self.rows, self.pool, self.both) = (rows, pool, both);
        Ok(self)
    }

    /// About how many bytes they hold.
    pub(super) fn memory(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len()).sum();
        self.rows.capacity() * size_of::<Row>()
            + self.both.capacity() * size_of::<[Packed; 2]>()
            + self.processes.capacity() * size_of::<i64>()
            + self.names.capacity() * NAME
            + names
            + self.pool.memory()
            + self.times.memory()
            + self.lines.memory()
    }
}

/// What a name takes beside its letters: itself, its hash, its place in the table, its counters.
pub(super) const NAME: usize = 16 + 2 * 9 + 56;

impl Row {
    /// Takes the answer of an operation that had none.
    #[inline]
    pub(super) fn answer(
        &mut self,
        output: Packed,
        pool: &mut Pool,
        both: &mut Vec<[Packed; 2]>,
        room: &mut Room,
    ) {
        let (name, outcome) = (self.what.name(), self.what.outcome());
        let answer = if output == Packed::NIL {
            Answer::Nothing
        } else if pool.same(output, self.value) {
            // Most completions repeat what was asked: one of the two is enough.
            pool.forget(output, room);
            Answer::Echo
        } else if self.value == Packed::NIL {
            self.value = output;
            Answer::Output
        } else if let Some(place) = Packed::of_place(both.len()) {
            both.push([self.value, output]);
            self.value = place;
            Answer::Both
        } else {
            return;
        };
        self.what = What::new(name, outcome, answer);
    }
}

/// An iterator over [`Operations`].
#[derive(Clone)]
pub struct Iter<'a> {
    operations: &'a Operations,
    rows: slice::Iter<'a, Row>,
}

impl Iterator for Iter<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        self.rows.next().map(|row| self.operations.operation(row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Operation> {
        self.rows.next_back().map(|row| self.operations.operation(row))
    }
}

impl<'a> IntoIterator for &'a Operations {
    type Item = Operation;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl PartialEq for Operations {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}
