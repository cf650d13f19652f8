//! The thin second layer that keeps the deadlines: still sans-IO, but it knows how late it is.
//!
//! [`Raft`] says which timer to arm and is told which one ran out; [`Clocked`] turns that into instants of the host's own
//! monotonic clock. Every call brings `now`, and whatever is due by then fires *before* the input is looked at: a process
//! that was paused first finds out that it was away, and only then listens (openraft #1749 is what happens otherwise).

use std::ops::Add;
use std::time::Duration;

use crate::config::Config;
use crate::entry::Command;
use crate::error::{Refused, StartError};
use crate::io::{Effects, Input, Timer};
use crate::raft::Raft;
use crate::reads::LeaseClock;
use crate::recovery::Recovered;

/// An instant of the host's monotonic clock: nanoseconds since any fixed moment of its choosing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Moment(pub u64);

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// How long the timers run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timing {
    /// `t`: the same on all servers of a cluster. Elections start after `[t, 2t)` without a leader, and a leader without a quorum gives up after `t` to `2t`.
    pub election: Duration,
    /// Time between heartbeats. Well below `election`, or nothing will ever be stable.
    pub heartbeat: Duration,
}

/// The longest election timeout.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A [`Raft`] node and its deadlines.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Clocked<P> {
    raft: Raft<P>,
    timing: Timing,
    election: Option<Moment>,
    heartbeat: Option<Moment>,
    contact: Option<Moment>,
    lease: LeaseClock,
    jitter: u64,
}

impl<P: Command> Clocked<P> {
    /// Starts a node. `seed` decides the election timeouts, nothing else; servers of one cluster need different ones.
    ///
    /// # Errors
    /// As [`Raft::start`]; and a heartbeat interval that is zero or not shorter than the election timeout, or an election
    /// timeout of more than a day.
    pub fn start(
        config: Config,
        recovered: Recovered<P>,
        timing: Timing,
        seed: u64,
        now: Moment,
        effects: &mut Effects<P>,
    ) -> Result<Self, StartError> {
        if timing.heartbeat.is_zero() || timing.heartbeat >= timing.election || timing.election > LONGEST {
            return Err(StartError::Timing { election: timing.election, heartbeat: timing.heartbeat });
        }
        let raft = Raft::start(config, recovered, effects)?;
        let mut clocked = Clocked {
            raft,
            timing,
            election: None,
            heartbeat: None,
            contact: None,
            lease: LeaseClock::default(),
            jitter: seed,
        };
        clocked.arm(now, effects);
        Ok(clocked)
    }

    /// Fires every timer that is due at `now`, then hands in `input`, if there is one.
    ///
    /// `now` is to be read after the input has come in: an older one makes this server believe that it heard from its leader
    /// earlier than it did, and leases rest on that. One that lies before an earlier one is taken as it is: timers just run
    /// longer.
    ///
    /// # Errors
    /// As [`Raft::step`]; the effects of the timers stand nevertheless.
    pub fn step(
        &mut self,
        now: Moment,
        input: Option<Input<P>>,
        effects: &mut Effects<P>,
    ) -> Result<(), Refused> {
        self.fire_due(now, effects);
        let result = match input {
            Some(Input::Read(id)) if self.lease.holds(now) && self.raft.read_on_lease(id, effects) => Ok(()),
            Some(input) => self.raft.step(input, effects),
            None => return Ok(()),
        };
        self.arm(now, effects);
        self.watch_lease(now);
        result
    }

    /// Whether a read at `now` would be served without asking anybody.
    #[must_use]
    pub fn holds_lease(&self, now: Moment) -> bool {
        self.lease.holds(now)
    }

    fn watch_lease(&mut self, now: Moment) {
        if let Some(lease) = self.raft.config().lease {
            let mutant = self.raft.config().mutant;
            let length = lease.length(self.timing.election, mutant);
            self.lease.observe(now, length, self.raft.confirmation(), mutant);
        }
    }

    /// When the next timer runs out: call [`step`](Self::step) then at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        [Timer::Election, Timer::Heartbeat, Timer::Contact]
            .into_iter()
            .filter(|&timer| self.raft.listens_to(timer))
            .filter_map(|timer| self.at(timer))
            .min()
    }

    /// The node itself, to look at.
    #[must_use]
    pub fn raft(&self) -> &Raft<P> {
        &self.raft
    }

    /// The contact timer comes first: a leader that was away too long must find out before it speaks again.
    fn fire_due(&mut self, now: Moment, effects: &mut Effects<P>) {
        for timer in [Timer::Contact, Timer::Heartbeat, Timer::Election] {
            if self.at(timer).is_none_or(|at| at > now) {
                continue;
            }
            *self.slot(timer) = None;
            if self.raft.listens_to(timer) {
                // A timer is never refused.
                let _ = self.raft.step(Input::Timer(timer), effects);
            }
            self.arm(now, effects);
            self.watch_lease(now);
        }
    }

    fn arm(&mut self, now: Moment, effects: &mut Effects<P>) {
        for timer in effects.timers.drain(..) {
            let after = match timer {
                Timer::Election => self.timing.election + self.draw(),
                Timer::Heartbeat => self.timing.heartbeat,
                Timer::Contact => self.timing.election,
            };
            *self.slot(timer) = Some(now + after);
        }
    }

    /// Uniform in `[0, t)`. The generator is SplitMix64 (Steele, Lea, Flood 2014): eight bytes of state.
    fn draw(&mut self) -> Duration {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let random = z ^ (z >> 31);
        let scaled = (self.timing.election.as_nanos() * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    fn at(&self, timer: Timer) -> Option<Moment> {
        match timer {
            Timer::Election => self.election,
            Timer::Heartbeat => self.heartbeat,
            Timer::Contact => self.contact,
        }
    }

    fn slot(&mut self, timer: Timer) -> &mut Option<Moment> {
        match timer {
            Timer::Election => &mut self.election,
            Timer::Heartbeat => &mut self.heartbeat,
            Timer::Contact => &mut self.contact,
        }
    }
}
