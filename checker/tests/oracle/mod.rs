//! The definition, word for word: is there an order of the operations that respects real time and that the sequential
//! object allows? Every order is tried. Nothing of the checker but its histories is used, neither its specifications.

use std::collections::BTreeMap;

use checker::generate::Workload;
use checker::{History, Operation, Outcome, Value};

type State = BTreeMap<Value, Value>;

pub(crate) fn linearizable(workload: Workload, history: &History) -> bool {
    let operations: Vec<&Operation> =
        history.operations.iter().filter(|op| op.outcome != Outcome::Fail).collect();
    let absent = if workload == Workload::Append { Value::string("") } else { Value::Nil };
    search(workload, &absent, &operations, &mut vec![false; operations.len()], &State::new())
}

fn search(
    workload: Workload,
    absent: &Value,
    operations: &[&Operation],
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
        if let Some(next) = step(workload, absent, state, operations[at]) {
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

fn step(workload: Workload, absent: &Value, state: &State, op: &Operation) -> Option<State> {
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
