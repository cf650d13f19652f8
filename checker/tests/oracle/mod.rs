//! The definition, word for word: is there an order of the operations that respects real time and that the sequential
//! object allows? Every order is tried. Nothing of the checker but its histories is used, neither its specifications.

use std::collections::BTreeMap;

use checker::generate::{Dice, Generated, Plan, Workload, generate};
use checker::{Event, History, Kind, Operation, Outcome, Value};

type State = BTreeMap<Value, Value>;

pub(crate) fn linearizable(workload: Workload, history: &History) -> bool {
    let operations: Vec<Operation> =
        history.operations.iter().filter(|op| op.outcome != Outcome::Fail).collect();
    let absent = if workload == Workload::Append { Value::string("") } else { Value::Nil };
    search(workload, &absent, &operations, &mut vec![false; operations.len()], &State::new())
}

fn search(
    workload: Workload,
    absent: &Value,
    operations: &[Operation],
    placed: &mut [bool],
    state: &State,
) -> bool {
    let open = |at: usize, placed: &[bool]| !placed[at];
    if (0..operations.len()).all(|at| placed[at] || operations[at].outcome == Outcome::Info) {
        return true;
    }
    for at in 0..operations.len() {
        let too_early = |other: usize| {
            let end = operations[other].completed.filter(|_| operations[other].outcome == Outcome::Ok);
            open(other, placed) && end.is_some_and(|end| end.position < operations[at].invoked.position)
        };
        if placed[at] || (0..operations.len()).any(too_early) {
            continue;
        }
        for next in step(workload, absent, state, &operations[at]) {
            placed[at] = true;
            let found = search(workload, absent, operations, placed, &next);
            placed[at] = false;
            if found {
                return true;
            }
        }
    }
    false
}

/// What may come of it: no state if it cannot be, several if it is not said which.
fn step(workload: Workload, absent: &Value, state: &State, op: &Operation) -> Vec<State> {
    let place = op.key.clone().unwrap_or_default();
    let present = state.get(&place).cloned();
    let values = |value: &Option<Value>| value.as_ref().and_then(Value::items).unwrap_or_default().to_vec();
    let known = op.outcome == Outcome::Ok;
    let becomes = |next: Value| {
        let mut state = state.clone();
        state.insert(place.clone(), next);
        vec![state]
    };
    let unchanged = |legal: bool| if legal { vec![state.clone()] } else { Vec::new() };
    match (workload, &*op.f) {
        (Workload::WriteOnce, "write") => {
            if present.is_none() {
                becomes(op.input.clone())
            } else {
                Vec::new()
            }
        }
        (Workload::AppendList, "read") => {
            unchanged(!known || *op.output.items().expect("a list") == values(&present))
        }
        (Workload::AppendList, "append") => {
            let mut list = values(&present);
            list.push(op.input.clone());
            becomes(Value::vector(list))
        }
        (Workload::Counter, f) => {
            let number = |value: &Value| if let Value::Int(number) = value { *number } else { 0 };
            let sum = number(&present.unwrap_or_default());
            if f == "read" {
                unchanged(!known || op.output == Value::Int(sum))
            } else {
                becomes(Value::Int(sum + number(&op.input)))
            }
        }
        (Workload::Set | Workload::Elements, f) => {
            let mut elements = values(&present);
            elements.sort();
            let there = elements.contains(&op.input);
            if f == "read" {
                return unchanged(!known || op.output == Value::set(elements));
            }
            let told = match op.output {
                Value::Bool(told) if known => told,
                _ => there != (f == "add"),
            };
            let right = if f == "contains" { there } else { there != (f == "add") };
            if known && told != right && !(f == "contains" && op.output.is_nil()) {
                return Vec::new();
            }
            match f {
                "add" if !there => elements.push(op.input.clone()),
                "remove" => elements.retain(|element| *element != op.input),
                _ => {}
            }
            becomes(Value::vector(elements))
        }
        (_, "enqueue" | "push") => {
            let mut held = values(&present);
            held.push(op.input.clone());
            becomes(Value::vector(held))
        }
        (_, "dequeue" | "pop") => {
            let held = values(&present);
            if held.is_empty() {
                return unchanged(!known || op.output.is_nil());
            }
            let places = match workload {
                Workload::FifoQueue => 0..1,
                Workload::PriorityQueue => {
                    let least = (0..held.len()).min_by_key(|at| &held[*at]).expect("not empty");
                    least..least + 1
                }
                Workload::Stack => held.len() - 1..held.len(),
                _ => 0..held.len(),
            };
            let fits = places.filter(|at| !known || held[*at] == op.output);
            let without = |at: usize| {
                let mut held = held.clone();
                held.remove(at);
                becomes(Value::vector(held)).remove(0)
            };
            fits.map(without).collect()
        }
        (Workload::ReentrantMutex, f) => {
            let mut holders = values(&present);
            if holders.iter().any(|holder| *holder != Value::Int(op.process)) {
                return Vec::new();
            }
            if f == "acquire" {
                holders.push(Value::Int(op.process));
            } else if holders.pop().is_none() {
                return Vec::new();
            }
            becomes(Value::vector(holders))
        }
        _ => step_register(workload, absent, state, op).into_iter().collect(),
    }
}

fn step_register(workload: Workload, absent: &Value, state: &State, op: &Operation) -> Option<State> {
    let mut next = state.clone();
    let place = op.key.clone().unwrap_or_default();
    let known = op.outcome == Outcome::Ok;
    if workload == Workload::MultiRegister {
        let steps = if known { &op.output } else { &op.input };
        for step in steps.items()? {
            let [f, register, value] = step.items()? else { return None };
            if f.text() == Some("write") {
                next.insert(register.clone(), value.clone());
            } else if known && next.get(register).unwrap_or(&Value::Int(0)) != value {
                return None;
            }
        }
        return Some(next);
    }
    let present = state.get(&place).cloned().unwrap_or_else(|| absent.clone());
    match &*op.f {
        "read" | "get" => return (!known || op.output == present).then_some(next),
        "write" | "put" => drop(next.insert(place, op.input.clone())),
        "delete" => drop(next.remove(&place)),
        "append" => {
            let text = format!("{}{}", present.text()?, op.input.text()?);
            next.insert(place, Value::string(&text));
        }
        "cas" => {
            let [from, to] = op.input.items()? else { return None };
            if *from != present {
                return None;
            }
            next.insert(place, to.clone());
        }
        "acquire" | "release" => {
            let held = present == Value::Bool(true);
            if held == (&*op.f == "acquire") {
                return None;
            }
            next.insert(place, Value::Bool(!held));
        }
        other => panic!("no such operation: {other}"),
    }
    Some(next)
}

/// Any history at all of a few operations: answers are made up, so about half of them are not linearizable.
pub(crate) fn small(seed: u64, workload: Workload, unique: bool) -> Vec<Event> {
    let mut shape = Dice::new(seed ^ 0xabcd);
    let plan = Plan {
        operations: 4 + shape.index(5),
        clients: 2 + shape.index(4),
        keys: 1,
        values: if unique { 0 } else { 2 + shape.below(2) },
        unknown: 50 * shape.below(5),
        ..Plan::new(workload, seed)
    };
    let Generated { mut events, .. } = generate(&plan);
    let mut dice = Dice::new(!seed);
    let is_read = |event: &Event| {
        let reads = ["read", "get", "contains", "dequeue", "pop"];
        event.kind == Kind::Ok && reads.contains(&&*event.f)
    };
    // Answers of others, arguments of others, and nothing.
    let mut answers: Vec<Value> =
        events.iter().filter(|event| is_read(event)).map(|event| event.value.clone()).collect();
    if !matches!(workload, Workload::AppendList | Workload::Set | Workload::Elements | Workload::Counter) {
        let written = ["write", "put", "append", "enqueue", "push"];
        let written = events.iter().filter(|event| written.contains(&&*event.f));
        answers.extend(written.map(|event| event.value.clone()));
        answers.push(if workload == Workload::Append { Value::string("") } else { Value::Nil });
    }
    for event in &mut events {
        if is_read(event) && dice.below(4) == 0 {
            event.value = answers[dice.index(answers.len())].clone();
        }
        // Contents that no growth could have led to.
        if is_read(event) && dice.below(8) == 0 {
            event.value = match &event.value {
                Value::Vector(items) => Value::vector(items.iter().rev().cloned().collect::<Vec<_>>()),
                Value::Set(items) => Value::set(items.iter().skip(1).cloned().collect()),
                other => other.clone(),
            };
        }
        // A refused operation that happened after all, or the reverse.
        if matches!(event.kind, Kind::Ok | Kind::Fail) && !is_read(event) {
            match dice.below(12) {
                0 => event.kind = Kind::Ok,
                1 => event.kind = Kind::Fail,
                _ => {}
            }
        }
    }
    events
}
