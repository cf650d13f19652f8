//! What EDN's small pieces mean: numbers, names, processes.

use super::error::Misread;
use super::text::glance;
use super::{Kind, Problem, Process};
use crate::{Text, Value};

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b',' | 0x0b | 0x0c)
}

pub(super) fn is_symbolic(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b".*+!-_?$%&=<>/':#@".contains(&byte)
}

/// EDN's numbers; what does not fit keeps its text.
pub(super) fn number(text: &str) -> Option<Value> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::Int(number));
    }
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.is_empty()
        && digits.strip_suffix('N').unwrap_or(digits).bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(Value::Big(Text::from(text)));
    }
    if let Some(decimal) = text.strip_suffix('M') {
        return decimal.parse::<f64>().ok().map(|_| Value::Big(Text::from(text)));
    }
    if let Some((above, below)) = digits.split_once('/') {
        let whole = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        return (whole(above) && whole(below)).then(|| Value::Big(Text::from(text)));
    }
    let number = text.parse::<f64>().ok()?;
    Some(if number.is_finite() { Value::float(number) } else { Value::Big(Text::from(text)) })
}

pub(super) fn as_process(value: Value, line: u64, column: u64) -> Result<Process, Misread> {
    match value {
        Value::Int(number) => Ok(Process::Client(number)),
        Value::Keyword(name) | Value::Str(name) | Value::Symbol(name) => Ok(Process::Named(name)),
        other => {
            Err(Problem::syntax("a process: a number or :nemesis", glance(&other.to_string()))
                .at(line, column))
        }
    }
}

pub(super) fn as_kind(value: &Value, line: u64, column: u64) -> Result<Kind, Misread> {
    value.text().and_then(Kind::from_name).ok_or_else(|| {
        let found = glance(&value.to_string());
        Problem::syntax("a type: :invoke, :ok, :fail or :info", found).at(line, column)
    })
}

pub(super) fn as_name(value: &Value, line: u64, column: u64) -> Result<Text, Misread> {
    match value {
        Value::Keyword(name) | Value::Str(name) | Value::Symbol(name) => Ok(name.clone()),
        other => {
            Err(Problem::syntax("the name of an operation", glance(&other.to_string())).at(line, column))
        }
    }
}

pub(super) fn as_integer(value: &Value, line: u64, column: u64) -> Result<Option<i64>, Misread> {
    match value {
        Value::Int(number) => Ok(Some(*number)),
        Value::Nil => Ok(None),
        other => Err(Problem::syntax("a whole number", glance(&other.to_string())).at(line, column)),
    }
}
