//! Short cuts for collections ([`Discipline`]): no search is needed where every value that was taken or seen was put in once.
//!
//! # Values as intervals
//!
//! A value is *put* in by one call and perhaps *taken* out by another. What was never taken is thought of as taken after
//! everything else, all of it at once. The put must happen before the take returns, and the take after the put is invoked,
//! so each of the two spans is cut to what is possible. Between the return of the put and the invocation of the take the value
//! is in there for sure:
//!
//! ```text
//!        put              for sure              take
//!    ├─────────┤·································├──────┤
//! ```
//!
//! # Why a value can be left out
//!
//! If an order of all calls is legal, it stays legal without the put and the take of one value: queues, stacks and bags
//! never look at what else is in them, but to see that nothing is. From this follows everything here:
//!
//! - A put of unknown outcome whose value nobody took need not have happened.
//! - **Cuts.** At a moment at which no value is in there for sure, the collection may be empty: take any order, leave out the
//!   values that were put by then, and put the order of those (without the others) in front of it. All calls in the first part were
//!   invoked before that moment, all in the second returned after it, so real time agrees. So the two sides can be judged
//!   alone. Whoever found the collection empty must have done so at such a moment, and any within its span will do.
//! - What is left between cuts is up to the discipline: [`fifo`], [`lifo`], [`priority`], or for an unordered queue nothing at all.
//!
//! Lists and sets that only grow are [`growing`].
//!
//! Sources: Henzinger, Sezgin & Vafeiadis 2013 and Bouajjani, Emmi, Enea & Hamza 2015 (violations of queues and stacks have a
//! few shapes), Lee & Mathur 2025 (log-linear algorithms); the arguments here are our own, and checked against `wgl`
//! exhaustively on small histories (`tests/unique.rs`).

mod fifo;
mod growing;
mod lifo;
mod priority;

use rustc_hash::FxHashMap;

use crate::limits::Budget;
use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::spec::{Discipline, Handling};
use crate::unique::Answer;
use crate::{Specification, Value};

/// When what was never taken is taken.
const LATE: u32 = FOREVER - 1;
/// In place of a take that never was. After the first of them come only takes that need not have happened.
const NEVER: u32 = FOREVER;

/// The calls as what they do to the collection.
pub(crate) struct Collection<'a> {
    discipline: Discipline,
    handlings: Vec<Handling<'a>>,
}

/// A stretch of real time.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u32,
    to: u32,
}

/// One value, from its put to its take.
#[derive(Clone, Copy, Debug)]
struct Item {
    /// Where that is the discipline; the least goes first.
    priority: i64,
    put: Span,
    take: Span,
    put_call: u32,
    take_call: Option<u32>,
}

/// Somebody who found nothing.
struct Empty {
    span: Span,
    call: u32,
}

/// What there is to order.
struct Contents {
    items: Vec<Item>,
    empties: Vec<Empty>,
    /// A "no" means nothing: somebody may have taken a value that nobody else did, unseen.
    lost: bool,
    /// A "yes" means nothing: a take is allowed more time than it has.
    lenient: bool,
}

/// Who took a value, and who put it in.
#[derive(Default)]
struct Takers {
    required: Option<u32>,
    /// The first of those that may have.
    optional: Option<u32>,
    /// Whether one of those must do it by its return.
    lapses: bool,
    twice: bool,
    put: Option<u32>,
}

impl<'a> Collection<'a> {
    /// `None` if the object is no collection.
    pub(crate) fn new<S: Specification>(spec: &'a S, kinds: &'a [S::Op]) -> Option<Self> {
        let discipline = spec.discipline()?;
        let handlings = kinds.iter().map(|op| spec.handling(op)).collect::<Option<Vec<_>>>()?;
        Some(Self { discipline, handlings })
    }

    /// An order of the calls.
    pub(crate) fn order(&self, calls: &[Call], budget: &Budget) -> Answer {
        let handled = calls.iter().zip(0_u32..).filter_map(|(call, id)| {
            let handling = self.handlings.get(call.kind as usize)?;
            Some((id, *call, *handling))
        });
        if matches!(self.discipline, Discipline::List | Discipline::Set) {
            return growing::order(self.discipline, handled);
        }
        let contents = match contents(calls, handled) {
            Ok(contents) => contents,
            Err(answer) => return answer,
        };
        match self.arrange(&contents, budget) {
            Answer::Impossible if contents.lost => Answer::Silent,
            Answer::Order(_) if contents.lenient => Answer::Silent,
            answer => answer,
        }
    }

    fn arrange(&self, contents: &Contents, budget: &Budget) -> Answer {
        let impossible = |item: &Item| item.take.to < item.put.from;
        if contents.items.iter().any(impossible) {
            return Answer::Impossible;
        }
        let Some(empty_at) = cuts(&contents.items, &contents.empties) else { return Answer::Impossible };
        let mut cuts: Vec<u32> = empty_at.iter().map(|(cut, _)| *cut).collect();
        cuts.dedup();
        let mut segments: Vec<Vec<Item>> = vec![Vec::new(); cuts.len() + 1];
        for item in &contents.items {
            let segment = cuts.partition_point(|cut| *cut < item.put.to);
            if let Some(segment) = segments.get_mut(segment) {
                segment.push(*item);
            }
        }
        let mut order = Vec::new();
        let mut empties = empty_at.iter().peekable();
        for (at, segment) in segments.into_iter().enumerate() {
            let arranged = match self.discipline {
                Discipline::Fifo => fifo::arrange(&segment),
                Discipline::Priority => priority::arrange(&segment),
                Discipline::Lifo => match lifo::arrange(&segment, budget) {
                    Ok(order) => order,
                    Err(stopped) => return Answer::Stopped(stopped),
                },
                _ => Some(in_time(segment.iter().map(|item| (item, item.put.from, item.take.from)))),
            };
            let Some(arranged) = arranged else { return Answer::Impossible };
            order.extend(arranged);
            while let Some((_, call)) = empties.next_if(|(cut, _)| Some(cut) == cuts.get(at)) {
                order.push(*call);
            }
        }
        if let Some(end) = order.iter().position(|call| *call == NEVER) {
            order.truncate(end);
        }
        Answer::Order(order)
    }
}

/// Matches puts with takes.
fn contents<'a>(
    calls: &[Call],
    handled: impl Iterator<Item = (u32, Call, Handling<'a>)>,
) -> Result<Contents, Answer> {
    let mut takers: FxHashMap<&Value, Takers> = FxHashMap::default();
    let mut puts = Vec::new();
    let mut empties = Vec::new();
    let mut lost = false;
    for (id, call, handling) in handled {
        match handling {
            Handling::Insert(value) => puts.push((id, call, value)),
            Handling::Remove(value) => {
                let takers = takers.entry(value).or_default();
                if call.required() {
                    takers.twice |= takers.required.replace(id).is_some();
                } else {
                    // Calls come by invocation: whatever a later one could do, this one can.
                    takers.optional.get_or_insert(id);
                    takers.lapses |= call.returned != FOREVER;
                }
            }
            Handling::RemoveUnknown if call.required() => return Err(Answer::Silent),
            Handling::RemoveUnknown => lost = true,
            Handling::Empty if call.required() => {
                empties.push(Empty { span: Span { from: call.invoked, to: call.returned }, call: id });
            }
            // Whoever may not have looked has seen nothing.
            Handling::Empty => {}
            Handling::Contents(_) => return Err(Answer::Silent),
        }
    }
    for (id, _, value) in &puts {
        if let Some(takers) = takers.get_mut(value)
            && takers.put.replace(*id).is_some()
        {
            return Err(Answer::Silent);
        }
    }
    let impossible = |takers: &Takers| takers.twice || takers.put.is_none() && takers.required.is_some();
    if takers.values().any(impossible) {
        return Err(Answer::Impossible);
    }
    let mut contents =
        Contents { items: Vec::with_capacity(puts.len()), empties, lost: false, lenient: false };
    for (id, put, value) in puts {
        let takers = takers.get(value);
        let required = takers.and_then(|takers| takers.required);
        let taker = required.or(takers.and_then(|takers| takers.optional));
        if required.is_none() {
            if put.optional {
                continue;
            }
            contents.lost |= lost;
            contents.lenient |= takers.is_some_and(|takers| takers.lapses);
        }
        let take = match taker.and_then(|taker| calls.get(taker as usize)) {
            Some(call) if call.optional => Span { from: call.invoked, to: FOREVER },
            Some(call) => Span { from: call.invoked, to: call.returned },
            None => Span { from: LATE, to: FOREVER },
        };
        contents.items.push(Item {
            priority: if let Value::Int(number) = value { *number } else { 0 },
            put: Span { from: put.invoked, to: put.returned.min(take.to) },
            take: Span { from: take.from.max(put.invoked), to: take.to },
            put_call: id,
            take_call: taker,
        });
    }
    Ok(contents)
}

/// For everyone who found nothing the first moment in its span at which no value is in there for sure; sorted. A moment is
/// named by the event just before it.
fn cuts(items: &[Item], empties: &[Empty]) -> Option<Vec<(u32, u32)>> {
    let sure = items.iter().filter(|item| item.put.to < item.take.from);
    let mut covered: Vec<(u32, u32)> = sure.map(|item| (item.put.to, item.take.from)).collect();
    covered.sort_unstable();
    covered.dedup_by(|next, last| {
        let joined = next.0 <= last.1;
        if joined {
            last.1 = last.1.max(next.1);
        }
        joined
    });
    let cut = |empty: &Empty| {
        let span = empty.span;
        let before = covered.partition_point(|(from, _)| *from <= span.from);
        let inside = before.checked_sub(1).and_then(|at| covered.get(at)).filter(|(_, to)| *to > span.from);
        let cut = inside.map_or(span.from, |(_, to)| *to);
        (cut < span.to || on(Mutant::EmptyBelieved)).then_some((cut, empty.call))
    };
    let mut cuts = empties.iter().map(cut).collect::<Option<Vec<_>>>()?;
    cuts.sort_unstable();
    Some(cuts)
}

/// The calls by the points given for the put and the take of each item; at the same point puts come first, and otherwise the
/// order of the items is kept.
fn in_time<'a>(items: impl Iterator<Item = (&'a Item, u32, u32)>) -> Vec<u32> {
    let mut points = Vec::new();
    for (rank, (item, put, take)) in items.enumerate() {
        points.push((put, false, rank, item.put_call));
        points.push((take, true, rank, item.take_call.unwrap_or(NEVER)));
    }
    points.sort_unstable();
    points.into_iter().map(|(.., call)| call).collect()
}
