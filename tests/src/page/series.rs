//! What a history says over time: rates, latencies, when nothing got through, and how soon after a fault it did again.

use std::collections::BTreeMap;

use checker::history::Outcome;
use checker::{History, Operation};

use crate::report::stored::StoredFault;

/// Windows in which availability is counted, in seconds: the shortest in which ten operations are to be expected.
const WINDOWS: [f64; 8] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];
const EXPECTED: f64 = 10.0;

/// One operation on the clock, in seconds since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Index into [`Series::names`].
    pub(crate) f: usize,
    pub(crate) from: f64,
    /// When its client heard of it, or gave it up.
    pub(crate) to: Option<f64>,
    pub(crate) outcome: Outcome,
}

impl Point {
    /// How long a success took, in milliseconds.
    pub(crate) fn latency_ms(&self) -> Option<f64> {
        (self.outcome == Outcome::Ok).then_some(())?;
        Some(((self.to? - self.from) * 1_000.0).max(0.001))
    }
}

/// All operations of a run that say when they were, in the order of their beginnings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// Kinds of operations, in the order of the alphabet.
    pub(crate) names: Vec<String>,
    pub(crate) points: Vec<Point>,
    /// When the last thing happened.
    pub(crate) end: f64,
    /// Moments at which an operation succeeded, in order.
    successes: Vec<f64>,
}

/// What happened in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Its middle.
    pub(crate) at: f64,
    /// Successes by kind.
    pub(crate) ok: Vec<u64>,
    pub(crate) fail: u64,
    pub(crate) info: u64,
    /// Latencies of the successes in milliseconds: median, 95 of 100, 99 of 100, the longest.
    pub(crate) quantiles: Option<[f64; 4]>,
}

/// When things went on after a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Recovery {
    /// The longest time without a success that began while the fault lasted, in seconds.
    pub(crate) silence: f64,
    /// How long after its injection an operation that began since then succeeded.
    pub(crate) after_injection: Option<f64>,
    /// How long after its healing an operation that began since then succeeded.
    pub(crate) after_healing: Option<f64>,
}

/// How available the system was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Availability {
    /// The share of windows in which something succeeded, of those in which something was asked.
    pub(crate) share: f64,
    /// A window's length in seconds.
    pub(crate) window: f64,
    /// The longest time without a success, in seconds, and when it began.
    pub(crate) silence: f64,
    pub(crate) silent_from: f64,
}

impl Series {
    pub(crate) fn of(history: &History) -> Series {
        let mut names: Vec<String> = history.operations.iter().map(|op| op.f.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        let seconds = |nanos: i64| nanos as f64 / 1e9;
        let point = |op: &Operation| {
            let f = names.binary_search_by(|name| name.as_str().cmp(&op.f)).ok()?;
            let to = op.completed.and_then(|mark| mark.time).map(seconds);
            Some(Point { f, from: seconds(op.invoked.time?), to, outcome: op.outcome })
        };
        let points: Vec<Point> = history.operations.iter().filter_map(|op| point(&op)).collect();
        let end = points.iter().map(|point| point.to.unwrap_or(point.from)).fold(0.0, f64::max);
        let mut successes: Vec<f64> =
            points.iter().filter(|point| point.outcome == Outcome::Ok).filter_map(|point| point.to).collect();
        successes.sort_by(f64::total_cmp);
        Series { names, points, end, successes }
    }

    /// The run in this many stretches of equal length. Successes and failures count where they ended.
    pub(crate) fn windows(&self, count: usize) -> Vec<Window> {
        let length = self.end / count.max(1) as f64;
        let kinds = self.names.len();
        let mut latencies: Vec<Vec<f64>> = vec![Vec::new(); count];
        let mut windows: Vec<Window> = (0..count)
            .map(|at| Window { at: (at as f64 + 0.5) * length, ok: vec![0; kinds], ..Window::default() })
            .collect();
        for point in &self.points {
            let at =
                ((point.to.unwrap_or(point.from) / length.max(1e-9)) as usize).min(count.saturating_sub(1));
            let Some(window) = windows.get_mut(at) else { continue };
            match point.outcome {
                Outcome::Ok => {
                    if let Some(ok) = window.ok.get_mut(point.f) {
                        *ok += 1;
                    }
                    if let (Some(list), Some(ms)) = (latencies.get_mut(at), point.latency_ms()) {
                        list.push(ms);
                    }
                }
                Outcome::Fail => window.fail += 1,
                Outcome::Info => window.info += 1,
            }
        }
        for (window, latencies) in windows.iter_mut().zip(&mut latencies) {
            window.quantiles = quantiles(latencies);
        }
        windows
    }

    /// Latencies of the successes of one kind, or of all.
    pub(crate) fn latencies(&self, f: Option<usize>) -> Vec<f64> {
        let wanted = |point: &&Point| f.is_none_or(|f| f == point.f);
        self.points.iter().filter(wanted).filter_map(Point::latency_ms).collect()
    }

    /// How many of a kind, or of all, ended in which way: ok, fail, info.
    pub(crate) fn counts(&self, f: Option<usize>) -> [u64; 3] {
        let mut counts = [0; 3];
        for point in self.points.iter().filter(|point| f.is_none_or(|f| f == point.f)) {
            let [ok, fail, info] = &mut counts;
            *match point.outcome {
                Outcome::Ok => ok,
                Outcome::Fail => fail,
                Outcome::Info => info,
            } += 1;
        }
        counts
    }

    pub(crate) fn availability(&self) -> Option<Availability> {
        let (first, last) =
            (self.points.first()?.from, self.points.iter().map(|point| point.from).fold(0.0, f64::max));
        let rate = self.points.len() as f64 / (last - first).max(1e-9);
        let window = WINDOWS.into_iter().find(|window| window * rate >= EXPECTED).unwrap_or(60.0);
        let mut asked: BTreeMap<u64, bool> = BTreeMap::new();
        let number = |at: f64| (at / window) as u64;
        for point in &self.points {
            // An operation asks from its beginning to its end.
            for at in number(point.from)..=number(point.to.unwrap_or(point.from)) {
                asked.entry(at).or_default();
            }
        }
        for at in &self.successes {
            asked.insert(number(*at), true);
        }
        let up = asked.values().filter(|up| **up).count();
        let (silent_from, silence) = self.silence(first, last);
        Some(Availability { share: up as f64 / asked.len().max(1) as f64, window, silence, silent_from })
    }

    /// The longest time without a success that begins between these moments: its beginning and length.
    fn silence(&self, from: f64, to: f64) -> (f64, f64) {
        let start = self.successes.partition_point(|at| *at <= from);
        let mut last = from;
        let mut longest = (from, 0.0);
        let ends = self.successes.iter().skip(start).copied().chain([self.end.max(from)]);
        for at in ends {
            if last > to {
                break;
            }
            if at - last > longest.1 {
                longest = (last, at - last);
            }
            last = at;
        }
        longest
    }

    /// When things went on after this fault.
    pub(crate) fn recovery(&self, fault: &StoredFault) -> Recovery {
        let (_, silence) = self.silence(fault.from, fault.to.unwrap_or(self.end));
        Recovery {
            silence,
            after_injection: self.first_success_since(fault.from),
            after_healing: fault.to.and_then(|to| self.first_success_since(to)),
        }
    }

    /// How long after this moment an operation that began since then first succeeded.
    fn first_success_since(&self, moment: f64) -> Option<f64> {
        let start = self.points.partition_point(|point| point.from < moment);
        let mut first = f64::MAX;
        for point in self.points.iter().skip(start) {
            // Whoever begins later than that cannot have ended earlier.
            if point.from >= first {
                break;
            }
            if let (Outcome::Ok, Some(to)) = (point.outcome, point.to) {
                first = first.min(to);
            }
        }
        (first < f64::MAX).then_some(first - moment)
    }
}

/// Median, 95 of 100, 99 of 100, the longest: exact, of all values.
pub(crate) fn quantiles(values: &mut [f64]) -> Option<[f64; 4]> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * values.len() as f64).ceil() as usize;
        values.get(rank.max(1) - 1).copied()
    };
    Some([at(0.5)?, at(0.95)?, at(0.99)?, at(1.0)?])
}

/// The mean of these values.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::{Event, Format, Kind, Value, Writer};

    /// A history of reads: begin, end in milliseconds, and whether it succeeded.
    pub(crate) fn reads(of: &[(i64, i64, bool)]) -> Series {
        let mut events = Vec::new();
        for (process, (from, to, ok)) in of.iter().enumerate() {
            let process = i64::try_from(process).unwrap();
            let kind = if *ok { Kind::Ok } else { Kind::Fail };
            for (kind, at) in [(Kind::Invoke, from), (kind, to)] {
                events.push((*at, Event::new(process, kind, "read", Value::Nil).at_time(at * 1_000_000)));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = Writer::new(std::fs::File::create(file.path()).unwrap(), Format::JsonLines);
        events.iter().for_each(|(_, event)| writer.write(event).unwrap());
        Series::of(&History::open(file.path(), &checker::ReadOptions::default()).unwrap())
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn quantiles_are_those_of_the_values_themselves() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantiles(&mut values), Some([50.0, 95.0, 99.0, 100.0]));
        assert_eq!(quantiles(&mut [7.0]), Some([7.0; 4]));
        assert_eq!(quantiles(&mut []), None);
    }

    #[test]
    fn windows_count_operations_where_they_ended() {
        let series = reads(&[(0, 10, true), (20, 40, true), (100, 1_900, false), (1_990, 2_000, true)]);
        let windows = series.windows(2);
        assert_eq!((&windows[0].ok, windows[0].fail), (&vec![2], 0));
        assert_eq!((&windows[1].ok, windows[1].fail), (&vec![1], 1));
        assert_eq!(windows[0].quantiles, Some([10.0, 20.0, 20.0, 20.0]));
        assert_eq!(series.counts(None), [3, 1, 0]);
    }

    #[test]
    fn recovery_counts_from_injection_and_from_healing_by_what_began_since() {
        // One success that began before the fault ends during it: that is no recovery.
        let series = reads(&[
            (0, 100, true),
            (900, 1_100, true),
            (1_200, 3_000, false),
            (2_500, 2_700, true),
            (4_000, 4_100, true),
        ]);
        let fault = StoredFault {
            kind: "kill".to_owned(),
            what: String::new(),
            from: 1.0,
            to: Some(3.0),
            effective: true,
            nodes: vec![1],
        };
        let recovery = series.recovery(&fault);
        assert!(near(recovery.after_injection.unwrap(), 1.7), "{recovery:?}");
        assert!(near(recovery.after_healing.unwrap(), 1.1), "{recovery:?}");
        assert!(near(recovery.silence, 1.6), "{recovery:?}");
        let never = series.recovery(&StoredFault { from: 5.0, to: None, ..fault });
        assert_eq!((never.after_injection, never.after_healing), (None, None));
    }

    #[test]
    fn availability_is_the_share_of_windows_with_a_success_among_those_with_a_request() {
        // Ten operations in each tenth of a second; in the third second nothing succeeds.
        let every: Vec<(i64, i64, bool)> =
            (0..500).map(|at| (at * 10, at * 10 + 5, !(200..300).contains(&at))).collect();
        let availability = reads(&every).availability().unwrap();
        assert!(near(availability.window, 0.1), "{availability:?}");
        assert!(near(availability.share, 0.8), "{availability:?}");
        assert!(
            near(availability.silence, 1.01) && near(availability.silent_from, 1.995),
            "{availability:?}"
        );
        assert_eq!(Series::default().availability(), None);
    }
}
