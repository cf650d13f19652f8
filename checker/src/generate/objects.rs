//! The objects themselves: what a client would do next, and what comes of it.

use std::collections::BTreeMap;

use super::{Dice, Plan, Workload};
use crate::Value;
use crate::history::Kind;

/// An operation and its argument.
pub(super) struct Chosen {
    pub(super) f: &'static str,
    pub(super) value: Value,
}

/// A value that is written: the next one, or one of a few.
fn value(plan: &Plan, dice: &mut Dice, fresh: &mut u64) -> Value {
    let number = match plan.values {
        0 => {
            *fresh += 1;
            match plan.workload {
                // Each once, but in no order: else it would be a queue.
                Workload::PriorityQueue => fresh.wrapping_mul(0x9e37_79b1) & 0xffff_ffff,
                _ => *fresh,
            }
        }
        few => dice.below(few),
    };
    Value::Int(i64::try_from(number).unwrap_or(0))
}

/// What a client does next; `present` is the state of the object at that moment.
pub(super) fn choose(plan: &Plan, dice: &mut Dice, fresh: &mut u64, present: &Value) -> Chosen {
    let choice = dice.below(10);
    let mut value = |dice: &mut Dice| value(plan, dice, fresh);
    let (f, value) = match plan.workload {
        Workload::Register if choice < 5 => ("read", Value::Nil),
        Workload::Register => ("write", value(dice)),
        Workload::CasRegister => match choice {
            0..4 => ("read", Value::Nil),
            4..7 => ("write", value(dice)),
            _ => ("cas", cas(dice, present, value)),
        },
        Workload::WriteOnce if choice < 6 => ("read", Value::Nil),
        Workload::WriteOnce => ("write", value(dice)),
        Workload::KeyValue => match choice {
            0..4 => ("get", Value::Nil),
            4..7 => ("put", value(dice)),
            7 => ("delete", Value::Nil),
            _ => ("cas", cas(dice, present, value)),
        },
        Workload::Append if choice < 5 => ("get", Value::Nil),
        Workload::Append => {
            let text = Value::string(&format!("{} ", value(dice)));
            (if choice == 5 { "put" } else { "append" }, text)
        }
        Workload::MultiRegister => {
            let mut steps = Vec::new();
            for register in ["x", "y"] {
                let (f, value) = match dice.below(3) {
                    0 => continue,
                    1 => ("read", Value::Nil),
                    _ => ("write", value(dice)),
                };
                let step = [Value::keyword(f), Value::keyword(register), value];
                steps.push(Value::vector(step));
            }
            ("txn", Value::vector(steps))
        }
        Workload::AppendList if choice < 5 => ("read", Value::Nil),
        Workload::AppendList => ("append", value(dice)),
        Workload::Set => match choice {
            0..3 => ("read", Value::Nil),
            3 => ("remove", Value::Int(i64::try_from(dice.below(8)).unwrap_or(0))),
            _ => ("add", value(dice)),
        },
        Workload::Elements => {
            let element = if plan.values == 0 { 12 } else { plan.values };
            let element = Value::Int(i64::try_from(dice.below(element)).unwrap_or(0));
            let f = match choice {
                0..4 => "contains",
                4..8 => "add",
                _ => "remove",
            };
            (f, element)
        }
        Workload::Counter if choice < 5 => ("read", Value::Nil),
        Workload::Counter => ("add", Value::Int(1 + i64::try_from(dice.below(3)).unwrap_or(0))),
        Workload::FifoQueue | Workload::UnorderedQueue | Workload::PriorityQueue if choice < 5 => {
            ("dequeue", Value::Nil)
        }
        Workload::FifoQueue | Workload::UnorderedQueue | Workload::PriorityQueue => ("enqueue", value(dice)),
        Workload::Stack if choice < 5 => ("pop", Value::Nil),
        Workload::Stack => ("push", value(dice)),
        Workload::Mutex | Workload::ReentrantMutex if choice < 5 => ("acquire", Value::Nil),
        Workload::Mutex | Workload::ReentrantMutex => ("release", Value::Nil),
    };
    Chosen { f, value }
}

/// A compare-and-set that has a chance: from the present value, mostly.
fn cas(dice: &mut Dice, present: &Value, mut value: impl FnMut(&mut Dice) -> Value) -> Value {
    let from = if dice.below(3) == 0 { value(dice) } else { present.clone() };
    let to = value(dice);
    Value::vector([from, to])
}

/// An operation takes effect: how it ends, what it answers, and what it leaves behind.
pub(super) fn apply(
    workload: Workload,
    dice: &mut Dice,
    (f, process, value): (&str, i64, &Value),
    present: Value,
) -> (Kind, Value, Value) {
    let items = || present.items().unwrap_or_default().to_vec();
    let element = || match &present {
        Value::Set(elements) => elements.to_vec(),
        _ => Vec::new(),
    };
    match (f, value.items()) {
        ("read" | "get", _) => {
            let empty = match workload {
                Workload::Append => Value::string(""),
                Workload::AppendList => Value::vector([]),
                Workload::Set => Value::set(Vec::new()),
                Workload::Counter => Value::Int(0),
                _ => Value::Nil,
            };
            let seen = if present.is_nil() { empty } else { present.clone() };
            (Kind::Ok, seen, present)
        }
        ("delete", _) => (Kind::Ok, Value::Nil, Value::Nil),
        ("append", _) if workload == Workload::AppendList => {
            let mut items = items();
            items.push(value.clone());
            (Kind::Ok, value.clone(), Value::vector(items))
        }
        ("append", _) => {
            let text = format!("{}{}", present.text().unwrap_or_default(), value.text().unwrap_or_default());
            (Kind::Ok, value.clone(), Value::string(&text))
        }
        ("cas", Some([from, to])) if *from == present => (Kind::Ok, value.clone(), to.clone()),
        ("cas", _) => (Kind::Fail, value.clone(), present),
        ("write", _) if workload == Workload::WriteOnce && !present.is_nil() => {
            (Kind::Fail, value.clone(), present)
        }
        ("txn", Some(steps)) => transaction(steps, &present),
        ("add", _) if workload == Workload::Counter => {
            let sum = |value: &Value| if let Value::Int(number) = value { *number } else { 0 };
            (Kind::Ok, value.clone(), Value::Int(sum(&present) + sum(value)))
        }
        ("add" | "remove" | "contains", _) => {
            let mut elements = element();
            let there = elements.contains(value);
            if f != "contains" {
                elements.retain(|element| element != value);
            }
            if f == "add" {
                elements.push(value.clone());
            }
            // An echo of the element, or what is known of it now.
            let answer = match f {
                "contains" => Value::Bool(there),
                _ if workload == Workload::Elements && dice.below(2) == 0 => {
                    Value::Bool(there != (f == "add"))
                }
                _ => value.clone(),
            };
            (Kind::Ok, answer, Value::set(elements))
        }
        ("enqueue" | "push", _) => {
            let mut items = items();
            items.push(value.clone());
            (Kind::Ok, value.clone(), Value::vector(items))
        }
        ("dequeue" | "pop", _) => {
            let mut items = items();
            if items.is_empty() {
                return (Kind::Ok, Value::Nil, present);
            }
            let which = match workload {
                Workload::FifoQueue => 0,
                Workload::Stack => items.len() - 1,
                Workload::PriorityQueue => items.iter().zip(0..).min().map_or(0, |(_, at)| at),
                _ => dice.index(items.len()),
            };
            let taken = items.remove(which);
            (Kind::Ok, taken, Value::vector(items))
        }
        ("acquire" | "release", _) => lock(workload, f == "acquire", process, present),
        _ => (Kind::Ok, value.clone(), value.clone()),
    }
}

/// The lock's state: nil, or who has it, as often as it is held.
fn lock(workload: Workload, acquire: bool, process: i64, present: Value) -> (Kind, Value, Value) {
    let mut holders = present.items().unwrap_or_default().to_vec();
    let reentrant = workload == Workload::ReentrantMutex;
    let mine = !reentrant || holders.iter().all(|holder| *holder == Value::Int(process));
    let most = if reentrant { 2 } else { 1 };
    if !mine || acquire && holders.len() == most || !acquire && holders.is_empty() {
        return (Kind::Fail, Value::Nil, present);
    }
    if acquire {
        holders.push(Value::Int(process));
    } else {
        holders.pop();
    }
    (Kind::Ok, Value::Nil, Value::vector(holders))
}

fn transaction(steps: &[Value], present: &Value) -> (Kind, Value, Value) {
    let mut registers: BTreeMap<Value, Value> = match present {
        Value::Map(entries) => entries.iter().cloned().collect(),
        _ => BTreeMap::new(),
    };
    let mut done = Vec::with_capacity(steps.len());
    for step in steps {
        if let Some([f, register, value]) = step.items() {
            let value = if f.text() == Some("write") {
                registers.insert(register.clone(), value.clone());
                value.clone()
            } else {
                registers.get(register).cloned().unwrap_or(Value::Int(0))
            };
            done.push(Value::vector([f.clone(), register.clone(), value]));
        }
    }
    (Kind::Ok, Value::vector(done), Value::map(registers.into_iter().collect()))
}
