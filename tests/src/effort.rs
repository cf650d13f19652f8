//! What the harness itself takes while a run lasts: its share of the processors, and how late it is.
//!
//! Clients, links and recorder are this one process, on the machine that the servers run on. Whoever reads a latency must be
//! able to see that it is the servers' and not the harness': therefore the processor time of this process, next to that of the
//! whole machine, and the lateness of a timer, which is what a client that is due would have waited.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use crate::units::millis;

/// The pause between two looks at the timer's lateness.
const PULSE: Duration = Duration::from_millis(10);
/// A sample of the processors is taken at most so often.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(500);
/// About so many samples are kept of a run, however long it is.
const SAMPLES: u32 = 600;
/// Latenesses are counted in microseconds up to this one.
const LONGEST_US: u64 = 60_000_000;

/// The processors over one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// The end of the stretch, in milliseconds since the start.
    pub at_ms: u64,
    /// How many processors the harness kept busy.
    pub harness: f64,
    /// How many processors were busy with anything; nothing where the system does not say.
    pub machine: Option<f64>,
}

/// What the harness took.
#[derive(Clone, Debug, Serialize)]
pub struct Effort {
    /// When the history's times count from, in milliseconds of the Unix clock: to find a moment in the servers' logs.
    pub origin_unix_ms: u64,
    /// Processors of the machine.
    pub processors: usize,
    /// Processor time of the harness, in seconds.
    pub cpu_seconds: f64,
    /// The same as a share of all processors' time (0 to 1).
    pub cpu_share: f64,
    /// The share of all processors' time in which they were busy with anything.
    pub machine_share: Option<f64>,
    /// By how much timers of the harness were late: the median, in milliseconds.
    pub late_p50_ms: f64,
    /// Of a hundred timers one was later than this.
    pub late_p99_ms: f64,
    /// The latest.
    pub late_max_ms: f64,
    /// The processors over time.
    pub samples: Vec<Sample>,
}

/// Measures while a run lasts.
#[derive(Debug)]
pub struct Meter {
    origin: Instant,
    pause: Duration,
    began: Reading,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    late: Option<Histogram<u64>>,
    last: Reading,
    samples: Vec<Sample>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    own: Duration,
    machine: Option<Ticks>,
}

impl Meter {
    /// Starts measuring. Times count from `origin`; the run will take about `length`.
    #[must_use]
    pub fn start(origin: Instant, length: Duration) -> Meter {
        let began = Reading::now();
        let late = Histogram::new_with_bounds(1, LONGEST_US, 2).ok();
        let inner = Mutex::new(Inner { late, last: began, samples: Vec::new() });
        Meter { origin, pause: (length / SAMPLES).max(SHORTEST_SAMPLE), began, inner }
    }

    /// Measures for ever; to be aborted.
    pub async fn watch(&self) {
        let mut sample = Instant::now() + self.pause;
        loop {
            let due = tokio::time::Instant::now() + PULSE;
            tokio::time::sleep_until(due).await;
            let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(LONGEST_US);
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(histogram) = &mut inner.late {
                histogram.saturating_record(late.max(1));
            }
            if Instant::now() >= sample {
                inner.sample(self.origin);
                sample = Instant::now() + self.pause;
            }
        }
    }

    /// What it came to.
    #[must_use]
    pub fn finish(&self) -> Effort {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sample(self.origin);
        let processors = processors();
        let (own, machine) = inner.last.since(&self.began);
        let at = |quantile: f64| {
            inner.late.as_ref().map_or(0.0, |late| late.value_at_quantile(quantile) as f64 / 1_000.0)
        };
        let origin = SystemTime::now().checked_sub(self.origin.elapsed()).unwrap_or(UNIX_EPOCH);
        Effort {
            origin_unix_ms: millis(origin.duration_since(UNIX_EPOCH).unwrap_or_default()),
            processors,
            cpu_seconds: inner.last.own.saturating_sub(self.began.own).as_secs_f64(),
            cpu_share: own / processors as f64,
            machine_share: machine,
            late_p50_ms: at(0.5),
            late_p99_ms: at(0.99),
            late_max_ms: at(1.0),
            samples: inner.samples.clone(),
        }
    }
}

impl Effort {
    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let machine = self
            .machine_share
            .map_or(String::new(), |share| format!(", everything together {:.0} %", share * 100.0));
        format!(
            "{:.1} % of {} processors{machine}; timers late by {:.1} ms at p50, {:.1} ms at p99",
            self.cpu_share * 100.0,
            self.processors,
            self.late_p50_ms,
            self.late_p99_ms,
        )
    }
}

impl Inner {
    fn sample(&mut self, origin: Instant) {
        let now = Reading::now();
        if now.at.duration_since(self.last.at) < Duration::from_millis(1) {
            return;
        }
        let (harness, machine) = now.since(&self.last);
        let machine = machine.map(|share| share * processors() as f64);
        self.samples.push(Sample { at_ms: millis(now.at.duration_since(origin)), harness, machine });
        self.last = now;
    }
}

impl Reading {
    fn now() -> Reading {
        Reading { at: Instant::now(), own: own_time(), machine: machine() }
    }

    /// Since `earlier`: how many processors this process kept busy, and the share of all that were busy.
    fn since(&self, earlier: &Reading) -> (f64, Option<f64>) {
        let wall = self.at.duration_since(earlier.at).as_secs_f64().max(1e-9);
        let own = self.own.saturating_sub(earlier.own).as_secs_f64() / wall;
        let share = self.machine.zip(earlier.machine).and_then(|(now, then)| now.share_since(&then));
        (own, share)
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Processor time of this process so far, its own and the kernel's for it.
fn own_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let of = |value: nix::sys::time::TimeVal| {
        let micros = value.tv_sec().saturating_mul(1_000_000).saturating_add(value.tv_usec());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// What the processors of this machine have done, if there is `/proc`.
fn machine() -> Option<Ticks> {
    Ticks::parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The time of all processors, in the kernel's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// The first line of `/proc/stat`. Neither idle time nor waiting for disks is work; guests are counted among the users
    /// already.
    fn parse(stat: &str) -> Option<Ticks> {
        let mut columns = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let mut ticks = Ticks { busy: 0, all: 0 };
        for name in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] {
            let more: u64 = columns.next().map_or(Some(0), |column| column.parse().ok())?;
            ticks.all = ticks.all.saturating_add(more);
            if !matches!(name, "idle" | "iowait") {
                ticks.busy = ticks.busy.saturating_add(more);
            }
        }
        Some(ticks)
    }

    /// The share of the time since `earlier` that was work; nothing where the kernel's clock has not ticked since.
    fn share_since(&self, earlier: &Ticks) -> Option<f64> {
        let all = self.all.checked_sub(earlier.all).filter(|all| *all > 0)?;
        Some(self.busy.saturating_sub(earlier.busy) as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_work() {
        let stat = "cpu  100 1 20 9000 500 3 4 5 77 8\ncpu0 1 2 3 4\n";
        let ticks = Ticks::parse(stat).unwrap();
        assert_eq!(ticks, Ticks { busy: 100 + 1 + 20 + 3 + 4 + 5, all: 9_633 });
        assert_eq!(Ticks { busy: 150, all: 9_733 }.share_since(&ticks), Some(0.17));
        assert_eq!(ticks.share_since(&ticks), None);
        assert_eq!(Ticks::parse("intr 1"), None);
    }

    #[tokio::test]
    async fn work_and_lateness_of_this_process_are_seen() {
        let meter = Meter::start(Instant::now(), Duration::from_secs(1));
        // A single thread runs both: while it works, no timer fires.
        let work = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let until = Instant::now() + Duration::from_millis(200);
            while Instant::now() < until {
                std::hint::black_box(own_time());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        tokio::select! {
            () = meter.watch() => {}
            () = work => {}
        }
        let effort = meter.finish();
        assert!(effort.cpu_seconds > 0.02, "{effort:?}");
        assert!(effort.cpu_share > 0.0 && effort.cpu_share <= 1.01, "{effort:?}");
        assert!(effort.late_max_ms > 100.0 && effort.late_p50_ms < 100.0, "{effort:?}");
        assert!(!effort.samples.is_empty());
    }
}
