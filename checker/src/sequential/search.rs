//! All orders, a step of one process at a time, each configuration once: how far each process is, and the states.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Answer, Place, Programs, call};
use crate::Specification;
use crate::limits::Budget;
use crate::partition::Partition;

/// The most words that are remembered about configurations: 128 MiB.
const MOST_WORDS: usize = 1 << 25;

/// The most steps: well under a second. Most questions are answered in far fewer, or not in many more either.
const STEPS: u64 = 1 << 18;

/// How far each process is, then the number of each partition's state.
type Configuration = Box<[u32]>;

pub(super) fn decide<S: Specification>(
    spec: &S,
    partitions: &[Partition<S::Op>],
    programs: &Programs,
    budget: &Budget,
) -> Answer {
    let mut search = Search {
        spec,
        partitions,
        programs: &programs.programs,
        states: vec![spec.initial()],
        numbers: FxHashMap::from_iter([(spec.initial(), 0)]),
        order: Vec::new(),
    };
    search.run(budget)
}

struct Search<'a, S: Specification> {
    spec: &'a S,
    partitions: &'a [Partition<S::Op>],
    programs: &'a [Vec<Place>],
    states: Vec<S::State>,
    numbers: FxHashMap<S::State, u32>,
    /// What led to the present configuration.
    order: Vec<Place>,
}

/// A configuration that was reached, and the processes that are yet to be tried there.
struct Frame {
    configuration: Configuration,
    untried: Vec<usize>,
    /// Length of the order up to here.
    length: usize,
}

impl<S: Specification> Search<'_, S> {
    fn run(&mut self, budget: &Budget) -> Answer {
        let width = self.programs.len() + self.partitions.len();
        let mut start = vec![0; width].into_boxed_slice();
        self.observe(&mut start);
        if self.done(&start) {
            return Answer::Yes(std::mem::take(&mut self.order));
        }
        let mut known: FxHashSet<Configuration> = FxHashSet::from_iter([start.clone()]);
        let mut stack = vec![self.frame(start)];
        let mut steps = 0_u64;
        while let Some(frame) = stack.last_mut() {
            steps += 1;
            if steps > STEPS {
                return Answer::Unknown("too many interleavings");
            }
            if steps.is_multiple_of(256) && budget.check().is_err() {
                return Answer::Unknown("out of time");
            }
            self.order.truncate(frame.length);
            let Some(process) = frame.untried.pop() else {
                stack.pop();
                continue;
            };
            let mut next = frame.configuration.clone();
            if !self.step(&mut next, process, false) {
                continue;
            }
            self.observe(&mut next);
            if self.done(&next) {
                return Answer::Yes(std::mem::take(&mut self.order));
            }
            if !known.contains(&next) {
                if (known.len() + stack.len()) * width > MOST_WORDS {
                    return Answer::Unknown("out of memory");
                }
                known.insert(next.clone());
                stack.push(self.frame(next));
            }
        }
        Answer::No(Vec::new())
    }

    /// The processes that have something left, the one that began it first at the end.
    fn frame(&self, configuration: Configuration) -> Frame {
        let invoked = |process: usize| {
            let at = configuration.get(process).copied().unwrap_or(u32::MAX);
            let place = self.programs.get(process)?.get(at as usize)?;
            call(self.partitions, *place).map(|call| (call.optional, call.invoked))
        };
        let mut untried: Vec<usize> = (0..self.programs.len()).filter(|p| invoked(*p).is_some()).collect();
        untried.sort_by_key(|process| std::cmp::Reverse(invoked(*process)));
        Frame { configuration, untried, length: self.order.len() }
    }

    /// Nothing is left but what need not happen (which is always a process' last).
    fn done(&self, configuration: &[u32]) -> bool {
        self.programs.iter().zip(configuration).all(|(program, at)| {
            let left = program.get(*at as usize..).unwrap_or_default();
            left.iter().all(|place| call(self.partitions, *place).is_some_and(|call| call.optional))
        })
    }

    /// Takes every operation that is legal and changes nothing: it will not be easier later.
    fn observe(&mut self, configuration: &mut Configuration) {
        loop {
            let any =
                (0..self.programs.len()).filter(|process| self.step(configuration, *process, true)).count();
            if any == 0 {
                return;
            }
        }
    }

    /// The next operation of that process, if it is legal (and, if so asked, changes nothing).
    fn step(&mut self, configuration: &mut Configuration, process: usize, only_pure: bool) -> bool {
        let step = || {
            let at = configuration.get(process).copied()?;
            let place = *self.programs.get(process)?.get(at as usize)?;
            let kind = call(self.partitions, place)?.kind as usize;
            let op = self.partitions.get(place.0 as usize)?.kinds.get(kind)?;
            let state = *configuration.get(self.programs.len() + place.0 as usize)?;
            let next = self.spec.step(self.states.get(state as usize)?, op)?;
            Some((place, op, state, next))
        };
        let Some((place, op, state, next)) = step() else { return false };
        if only_pure && !self.spec.is_pure(op) {
            return false;
        }
        let fresh = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        let number = if self.states.get(state as usize) == Some(&next) {
            state
        } else {
            *self.numbers.entry(next).or_insert_with_key(|next| {
                self.states.push(next.clone());
                fresh
            })
        };
        if let Some(at) = configuration.get_mut(process) {
            *at += 1;
        }
        if let Some(state) = configuration.get_mut(self.programs.len() + place.0 as usize) {
            *state = number;
        }
        self.order.push(place);
        true
    }
}
