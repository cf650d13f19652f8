//! Bytes as a small history: the first says of what, then each pair lets a process begin something or end what it began.

use checker::generate::Workload;
use checker::{Event, Kind, Value};

/// More than this takes the oracle too long: it tries every order.
const MOST: usize = 7;

pub(crate) fn events(bytes: &[u8]) -> Option<(Workload, Vec<Event>)> {
    let (first, rest) = bytes.split_first()?;
    let workload = *Workload::ALL.get(usize::from(*first) % Workload::ALL.len())?;
    let mut events: Vec<Event> = Vec::new();
    // What each of four processes has open. One whose operation was lost goes on under another number.
    let mut open: [Option<Event>; 4] = Default::default();
    let mut lives = [0_i64; 4];
    let mut begun = 0;
    for pair in rest.chunks_exact(2) {
        let [who, what] = *pair else { continue };
        let slot = usize::from(who & 3);
        let (Some(open), Some(life)) = (open.get_mut(slot), lives.get_mut(slot)) else { continue };
        match open.take() {
            None if begun < MOST => {
                begun += 1;
                let process = i64::try_from(slot).unwrap_or(0) + *life * 4;
                let (f, input) = begin(workload, what, i64::from(who >> 4));
                let event = Event::new(process, Kind::Invoke, f, input);
                // One key: the oracle knows many, but then there is less to find.
                let event = if workload.has_keys() { event.on_key(Value::Int(1)) } else { event };
                events.push(event.clone());
                *open = Some(event);
            }
            None => {}
            Some(begun) => {
                let kind =
                    [Kind::Ok, Kind::Ok, Kind::Ok, Kind::Ok, Kind::Ok, Kind::Ok, Kind::Fail, Kind::Info];
                let kind = kind[usize::from(who >> 2 & 7)];
                let value =
                    if kind == Kind::Ok { answer(workload, &begun, what) } else { begun.value.clone() };
                *life += i64::from(kind == Kind::Info);
                events.push(Event { kind, value, ..begun });
            }
        }
    }
    (!events.is_empty()).then_some((workload, events))
}

fn pick<'a>(names: &[&'a str], what: u8) -> &'a str {
    names.get(usize::from(what) % names.len()).copied().unwrap_or("read")
}

/// Few values, so that they meet.
fn value(what: u8) -> Value {
    Value::Int(i64::from(what >> 3 & 7))
}

fn text(what: u8) -> Value {
    Value::string(&format!("{} ", what >> 3 & 3))
}

fn begin(workload: Workload, what: u8, more: i64) -> (&'static str, Value) {
    let cas = || Value::vector([value(what), Value::Int(more & 7)]);
    let f = pick(
        match workload {
            Workload::Register | Workload::WriteOnce => &["read", "write"],
            Workload::CasRegister => &["read", "write", "cas"],
            Workload::KeyValue => &["get", "put", "delete", "cas"],
            Workload::Append => &["get", "append", "put"],
            Workload::MultiRegister => &["txn"],
            Workload::AppendList => &["read", "append"],
            Workload::Set => &["read", "add", "remove"],
            Workload::Elements => &["contains", "add", "remove"],
            Workload::Counter => &["read", "add"],
            Workload::Stack => &["pop", "push"],
            Workload::Mutex | Workload::ReentrantMutex => &["acquire", "release"],
            _ => &["dequeue", "enqueue"],
        },
        what & 7,
    );
    let input = match (workload, f) {
        (_, "read" | "get" | "delete" | "dequeue" | "pop" | "acquire" | "release") => Value::Nil,
        (_, "cas") => cas(),
        (Workload::Append, _) => text(what),
        (Workload::MultiRegister, _) => transaction(what),
        _ => value(what),
    };
    (f, input)
}

/// One or two steps over two registers.
fn transaction(what: u8) -> Value {
    let step = |f: u8, register: u8, number: u8| {
        let value = if f == 0 { Value::Nil } else { Value::Int(i64::from(number)) };
        Value::vector([
            Value::keyword(if f == 0 { "read" } else { "write" }),
            Value::keyword(if register == 0 { "x" } else { "y" }),
            value,
        ])
    };
    let mut steps = vec![step(what & 1, what >> 1 & 1, what >> 2 & 1)];
    if what & 8 != 0 {
        steps.push(step(what >> 4 & 1, what >> 5 & 1, what >> 6 & 1));
    }
    Value::vector(steps)
}

/// What an operation that happened says.
fn answer(workload: Workload, begun: &Event, what: u8) -> Value {
    let some = || if what & 7 == 0 { Value::Nil } else { value(what) };
    let several =
        || (0..4).filter(|bit| what >> bit & 1 == 1).map(|bit| Value::Int(i64::from(what >> 4) + bit));
    match (workload, &*begun.f) {
        (Workload::Append, "get") => {
            Value::string(&["", "0 ", "1 ", "0 1 ", "1 0 "][usize::from(what) % 5].replace('_', ""))
        }
        (Workload::AppendList, "read") => Value::vector(several().collect::<Vec<_>>()),
        (Workload::Set, "read") => Value::set(several().collect()),
        (Workload::Counter, "read") => value(what),
        (Workload::Elements, "contains") => Value::Bool(what & 1 == 1),
        (Workload::Elements, _) if what & 2 == 2 => Value::Bool(what & 1 == 1),
        (Workload::MultiRegister, _) => {
            let read = |step: &Value| match step.items() {
                Some([f, register, Value::Nil]) => {
                    Value::vector([f.clone(), register.clone(), Value::Int(i64::from(what & 1))])
                }
                _ => step.clone(),
            };
            Value::vector(begun.value.items().unwrap_or_default().iter().map(read).collect::<Vec<_>>())
        }
        (_, "read" | "get" | "dequeue" | "pop") => some(),
        _ => begun.value.clone(),
    }
}
