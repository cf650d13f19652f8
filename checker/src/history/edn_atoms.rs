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

/// EDN's numbers, so that what Clojure calls equal is equal: `5N` is `5`, `4/2` is `2`, `1.50M` is `1.5M`. What does not fit
/// is kept exactly, as text.
pub(super) fn number(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    // Clojure reads `010` as eight: no integer begins with a zero, EDN says.
    let octal = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let whole = digits.strip_suffix('N').unwrap_or(digits);
    if is_digits(whole) {
        return (!octal).then(|| integer(negative, whole));
    }
    if let Some(decimal) = digits.strip_suffix('M') {
        return canonical_decimal(negative, decimal);
    }
    if let Some((above, below)) = digits.split_once('/') {
        return ratio(negative, above, below).filter(|_| !octal);
    }
    let number = text.parse::<f64>().ok()?;
    Some(if number.is_finite() { Value::float(number) } else { Value::Big(Text::from(text)) })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn sign(negative: bool) -> &'static str {
    if negative { "-" } else { "" }
}

fn integer(negative: bool, digits: &str) -> Value {
    let text = format!("{}{digits}", sign(negative));
    text.parse().map_or_else(|_| Value::Big(Text::from(text)), Value::Int)
}

/// In lowest terms, if its parts have 64 bits.
fn ratio(negative: bool, above: &str, below: &str) -> Option<Value> {
    if !is_digits(above) || !is_digits(below) || below.bytes().all(|digit| digit == b'0') {
        return None;
    }
    let (Ok(above), Ok(below)) = (above.parse::<u64>(), below.parse::<u64>()) else {
        return Some(Value::Big(Text::from(format!("{}{above}/{below}", sign(negative)))));
    };
    let (mut common, mut rest) = (above, below);
    while rest != 0 {
        (common, rest) = (rest, common % rest);
    }
    let (above, below) = (above.checked_div(common)?, below.checked_div(common)?);
    Some(match below {
        1 => integer(negative, &above.to_string()),
        _ => Value::Big(Text::from(format!("{}{above}/{below}", sign(negative)))),
    })
}

/// `1.50M` and `15e-1M` are `1.5M`: the digits that count, and a power of ten where that is shorter than zeros.
fn canonical_decimal(negative: bool, text: &str) -> Option<Value> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    let zeros = all.len() - all.trim_end_matches('0').len();
    // How many of the digits stand behind the point.
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?.checked_sub(zeros as i64)?;
    Some(Value::Big(Text::from(match (digits.len(), usize::try_from(scale)) {
        (0, _) => "0M".to_owned(),
        (_, Ok(0)) => format!("{}{digits}M", sign(negative)),
        (many, Ok(scale)) if scale < many => {
            let (above, below) = digits.split_at(many - scale);
            format!("{}{above}.{below}M", sign(negative))
        }
        _ => format!("{}{digits}e{}M", sign(negative), scale.checked_neg()?),
    })))
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
