//! What the operations came to: how many, how fast, how they failed, and how long nothing got through.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::recorder::Completion;
use crate::units::millis;

/// Latencies are counted in microseconds, up to this one (an hour); longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;

/// How many operations ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Took effect.
    pub ok: u64,
    /// Did not.
    pub fail: u64,
    /// May have, or may yet.
    pub info: u64,
}

impl Counts {
    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ok + self.fail + self.info
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: Counts) -> Counts {
        Counts { ok: self.ok + other.ok, fail: self.fail + other.fail, info: self.info + other.info }
    }

    fn add(&mut self, completion: Completion) {
        match completion {
            Completion::Ok => self.ok += 1,
            Completion::Fail => self.fail += 1,
            Completion::Info => self.info += 1,
        }
    }
}

/// Latency quantiles of successful operations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Quantiles {
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

/// A summary of all operations of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// All operations.
    pub total: Counts,
    /// By `read`, `write`, `cas`.
    pub by_f: BTreeMap<&'static str, Counts>,
    /// Successful operations per second.
    pub ok_per_second: f64,
    /// Latency of successful operations, by `f`.
    pub latency: BTreeMap<&'static str, Quantiles>,
    /// The longest time in which no operation succeeded, in milliseconds.
    pub longest_silence_ms: u64,
    /// Why operations did not succeed, and how often.
    pub errors: BTreeMap<String, u64>,
}

/// Collects as operations complete.
#[derive(Debug, Default)]
pub struct Stats {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_f: BTreeMap<&'static str, (Counts, Option<Histogram<u64>>)>,
    errors: BTreeMap<String, u64>,
    last_ok: Duration,
    longest_silence: Duration,
}

/// How many different error texts are kept; further ones are counted together.
const MAX_ERRORS: usize = 40;

impl Stats {
    /// Notes an operation that was invoked at `from` and ended at `to`, counted from the start of the run.
    pub fn note(
        &self,
        f: &'static str,
        completion: Completion,
        from: Duration,
        to: Duration,
        error: Option<String>,
    ) {
        let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (counts, latency) = inner.by_f.entry(f).or_default();
        counts.add(completion);
        if matches!(completion, Completion::Ok) {
            if latency.is_none() {
                *latency = Histogram::new_with_bounds(1, LONGEST_US, 3).ok();
            }
            let micros = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(LONGEST_US);
            if let Some(latency) = latency {
                latency.saturating_record(micros);
            }
            inner.longest_silence = inner.longest_silence.max(to.saturating_sub(inner.last_ok));
            inner.last_ok = inner.last_ok.max(to);
        }
        if let Some(error) = error {
            let known = inner.errors.len() < MAX_ERRORS || inner.errors.contains_key(&error);
            *inner.errors.entry(if known { error } else { "(others)".to_owned() }).or_default() += 1;
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        total(inner.by_f.values().map(|(counts, _)| counts))
    }

    /// Everything, after `elapsed` of running.
    #[must_use]
    pub fn summary(&self, elapsed: Duration) -> Summary {
        let inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let total = total(inner.by_f.values().map(|(counts, _)| counts));
        let latency =
            inner.by_f.iter().filter_map(|(f, (_, latency))| Some((*f, quantiles(latency.as_ref()?))));
        let silence = inner.longest_silence.max(elapsed.saturating_sub(inner.last_ok));
        Summary {
            total,
            by_f: inner.by_f.iter().map(|(f, (counts, _))| (*f, *counts)).collect(),
            ok_per_second: if elapsed.is_zero() { 0.0 } else { total.ok as f64 / elapsed.as_secs_f64() },
            latency: latency.collect(),
            longest_silence_ms: millis(silence),
            errors: inner.errors.clone(),
        }
    }
}

fn total<'a>(counts: impl Iterator<Item = &'a Counts>) -> Counts {
    counts.fold(Counts::default(), |sum, counts| sum.plus(*counts))
}

/// The usual quantiles of a histogram of microseconds.
#[must_use]
pub fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    Quantiles {
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: histogram.max() as f64 / 1_000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_by_what_they_were_and_how_they_ended() {
        let stats = Stats::default();
        let at = Duration::from_millis;
        stats.note("read", Completion::Ok, at(0), at(10), None);
        stats.note("write", Completion::Info, at(5), at(2_005), Some("timed out".to_owned()));
        stats.note("write", Completion::Ok, at(2_000), at(3_010), None);
        let summary = stats.summary(at(4_000));
        assert_eq!(summary.total, Counts { ok: 2, fail: 0, info: 1 });
        assert_eq!(summary.by_f["write"], Counts { ok: 1, fail: 0, info: 1 });
        assert_eq!(summary.longest_silence_ms, 3_000);
        assert_eq!(summary.errors["timed out"], 1);
        assert!((summary.latency["write"].p50_ms - 1_010.0).abs() < 2.0);
    }
}
