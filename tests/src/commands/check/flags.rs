//! The values of the command line's flags.

use std::time::Duration;

use checker::{FailedCas, NilReads, Value};

use super::FormatChoice;

/// JSON where it is JSON, else EDN.
pub(super) fn value(text: &str) -> Result<Value, String> {
    Value::from_json(text).or_else(|_| Value::from_edn(text)).map_err(|error| error.to_string())
}

pub(super) fn format(name: &str) -> Result<FormatChoice, String> {
    if name == "auto" {
        Ok(FormatChoice(None))
    } else {
        name.parse().map(|format| FormatChoice(Some(format)))
    }
}

pub(super) fn nil_reads(name: &str) -> Result<NilReads, String> {
    match name {
        "auto" => Ok(NilReads::Auto),
        "any" => Ok(NilReads::Any),
        "value" => Ok(NilReads::Value),
        _ => Err("expected auto, any or value".to_owned()),
    }
}

pub(super) fn failed_cas(name: &str) -> Result<FailedCas, String> {
    match name {
        "auto" => Ok(FailedCas::Auto),
        "drop" => Ok(FailedCas::Drop),
        "observe" => Ok(FailedCas::Observe),
        _ => Err("expected auto, drop or observe".to_owned()),
    }
}

/// Splits `12MiB` into its number and its unit.
fn quantity(text: &str) -> (&str, &str) {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(digits)
}

pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    match quantity(text) {
        ("0", "" | "s" | "ms") => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a time such as 500ms, 60s or 2m";
    let (number, unit) = quantity(text);
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let milliseconds = match unit.trim() {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(EXPECTED.to_owned()),
    };
    match milliseconds {
        Some(0) => Err("the time must be more than zero".to_owned()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err("too long".to_owned()),
    }
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a size such as 65536, 512MiB or 4GiB";
    const LEAST: u64 = 1 << 20;
    let (number, unit) = quantity(text);
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(EXPECTED.to_owned()),
    };
    match number.checked_mul(factor) {
        Some(bytes) if bytes >= LEAST => Ok(bytes),
        Some(_) => Err("the search needs at least 1MiB".to_owned()),
        None => Err("too much".to_owned()),
    }
}
