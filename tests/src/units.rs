//! Durations as people write them on a command line: `60s`, `500ms`, `2m`, `1h`.

use std::time::Duration;

/// Reads a duration such as `500ms`, `60s`, `2m` or `1h`; a number alone means seconds.
///
/// # Errors
/// A sentence that says what was expected, fit for a usage error.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a duration: expected for example 500ms, 60s or 2m"))?;
    let millis = match unit.trim() {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        other => return Err(format!("unknown unit {other:?} in {text:?}: expected ms, s, m or h")),
    };
    millis.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long a duration"))
}

/// Like [`parse_duration`], and refuses what is outside `low..=high`.
///
/// # Errors
/// A sentence that names the allowed range.
pub fn parse_duration_within(text: &str, low: Duration, high: Duration) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration < low || duration > high {
        return Err(format!("{text} is not in {}..={}", show_duration(low), show_duration(high)));
    }
    Ok(duration)
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest unit that loses nothing.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// Whole milliseconds, saturating: schedules and reports count in these.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole nanoseconds, saturating: histories count in these (584 years fit).
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, ms) in [("500ms", 500), ("60s", 60_000), ("7", 7_000), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(show_duration(Duration::from_secs(60)), "1m");
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_a_reason() {
        for text in ["", "s", "-5s", "5 parsecs", "99999999999999999999s", "18446744073709551615h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        let low = Duration::from_secs(1);
        let high = Duration::from_secs(3_600);
        assert_eq!(parse_duration_within("2h", low, high), Err("2h is not in 1s..=1h".to_owned()));
    }
}
