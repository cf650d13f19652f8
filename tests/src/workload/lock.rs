//! Locks, one under each key, that give a fencing token to whoever takes them: a number that grows with every holder, so that
//! whatever the lock protects can tell an old holder from the present one.
//!
//! A lock is `free TOKEN` or `held TOKEN HOLD`, where `HOLD` names this very acquisition. A worker whose acquisition or release
//! was left without an answer finds out later by that name that the lock is its own, and lets go of it.

use std::time::Duration;

use checker::{History, ModelName, Operation, Outcome as End, Value};
use futures::future::BoxFuture;

use super::past::{began, by_key, done, line, number, only, shorten};
use super::update::{Change, foreign, update};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::recorder::Completion;
use crate::system::{Capability, Client};

#[derive(Debug)]
pub(super) struct Lock;

impl Workload for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Cas]
    }

    fn model(&self) -> Option<ModelName> {
        Some(ModelName::Mutex)
    }

    fn reads(&self) -> &'static [&'static str] {
        &[]
    }

    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor> {
        Box::new(Holder { stream: Stream::new(station), station, limit, taken: None, attempts: 0 })
    }

    /// At the end each lock is taken once more, or found held.
    fn last(&self, key: usize) -> Op {
        Op { f: "acquire", key, value: Value::Nil }
    }

    /// One that is held is held by somebody who may never know.
    fn is_last(&self, outcome: &Outcome) -> bool {
        outcome.completion != Completion::Info && outcome.error.is_none()
    }

    fn broken(&self, history: &History) -> Vec<String> {
        let keys = by_key(history);
        shorten(keys.iter().flat_map(|(key, operations)| broken(key, operations)).collect())
    }
}

/// A lock is held, for certain, from the end of its acquisition to the beginning of its release. No two such times overlap, and
/// tokens grow from each acquisition to every one that began after it.
fn broken(key: &str, operations: &[Operation]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut acquired: Vec<(u32, i64, &Operation)> = only(operations, "acquire")
        .into_iter()
        .filter_map(|acquire| Some((done(acquire)?, number(&acquire.output)?, acquire)))
        .collect();
    acquired.sort_unstable_by_key(|(from, ..)| *from);
    let released = |token: i64, from: u32| {
        // From its beginning on, it may have been released, also by one whose outcome nobody knows.
        let mine = only(operations, "release").into_iter();
        let mine = mine.filter(|release| began(release) > from && release.outcome != End::Fail);
        let of = |release: &&Operation| number(&release.output).is_none_or(|other| other == token);
        mine.filter(of).map(began).min().unwrap_or(u32::MAX)
    };
    let mut latest: Option<(i64, u32, &Operation)> = None;
    for &(from, token, acquire) in &acquired {
        let at = format!("{key}, line {}", line(acquire));
        if let Some((before, until, other)) = latest
            && from < until
        {
            breaches.push(format!(
                "{at}: taken with token {token} while it was held with token {before} since line {}",
                line(other)
            ));
        }
        latest = Some((token, released(token, from), acquire));
    }
    // The highest token that had been given out by each of these moments.
    let mut highest: Vec<(u32, i64)> = acquired.iter().map(|&(end, token, _)| (end, token)).collect();
    let mut most = i64::MIN;
    for (_, token) in &mut highest {
        most = most.max(*token);
        *token = most;
    }
    for &(_, token, acquire) in &acquired {
        let before = highest.partition_point(|(end, _)| *end < began(acquire));
        let Some(&(_, most)) = before.checked_sub(1).and_then(|last| highest.get(last)) else { continue };
        if token <= most {
            let at = format!("{key}, line {}", line(acquire));
            breaches.push(format!("{at}: token {token}, though token {most} had been given out before"));
        }
    }
    breaches
}

struct Holder {
    stream: Stream,
    station: Station,
    limit: Duration,
    /// The key of the last acquisition that was drawn, until its release is.
    taken: Option<usize>,
    attempts: i64,
}

/// What a lock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    token: i64,
    hold: Option<i64>,
}

impl State {
    fn parse(text: Option<&str>) -> Result<State, String> {
        let Some(text) = text else { return Ok(State { token: 0, hold: None }) };
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse().map_err(|_| foreign(text));
        match words.as_slice() {
            ["free", token] => Ok(State { token: number(token)?, hold: None }),
            ["held", token, hold] => Ok(State { token: number(token)?, hold: Some(number(hold)?) }),
            _ => Err(foreign(text)),
        }
    }

    fn text(self) -> String {
        match self.hold {
            None => format!("free {}", self.token),
            Some(hold) => format!("held {} {hold}", self.token),
        }
    }
}

impl Holder {
    /// A name for an acquisition that tells whose it is.
    fn name(&mut self) -> i64 {
        let (worker, workers) = (self.station.worker, self.station.workers.max(1));
        let number = self.attempts;
        self.attempts += 1;
        i64::try_from(workers).unwrap_or(i64::MAX).saturating_mul(number) + i64::try_from(worker).unwrap_or(0)
    }

    fn is_mine(&self, hold: i64) -> bool {
        u64::try_from(hold).is_ok_and(|hold| hold % self.station.workers.max(1) == self.station.worker)
    }
}

impl Actor for Holder {
    fn next(&mut self) -> (Op, f64) {
        let draw = self.stream.draw();
        let (f, key) = match self.taken.take() {
            Some(key) => ("release", key),
            None => {
                self.taken = Some(draw.key);
                ("acquire", draw.key)
            }
        };
        (Op { f, key, value: Value::Nil }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = key_name(op.key);
            let acquires = op.f == "acquire";
            let name = self.name();
            let changed = update(client, &key, self.limit, |found| {
                let State { token, hold } = State::parse(found)?;
                let (token, hold) = match hold {
                    None if acquires => (token.saturating_add(1), Some(name)),
                    Some(hold) if !acquires && self.is_mine(hold) => (token, None),
                    _ => return Ok(Change::Stays(None)),
                };
                Ok(Change::To(State { token, hold }.text(), Some(token)))
            });
            match changed.await {
                Ok(Some(token)) => Outcome::saw(Value::Int(token)),
                Ok(None) => Outcome::refused(),
                Err(failed) => failed.into(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::history;
    use super::*;

    fn broken(lines: &str) -> String {
        Lock.broken(&history(lines)).join("; ")
    }

    #[test]
    fn two_holders_at_a_time_are_refused() {
        let (take, leave) =
            ("0 invoke acquire null\n 0 ok acquire 1\n", "0 invoke release null\n 0 ok release 1\n");
        let other = "1 invoke acquire null\n 1 ok acquire 2\n";
        assert_eq!(broken(&format!("{take}{leave}{other}")), "");
        assert!(
            broken(&format!("{take}{other}{leave}")).contains("while it was held with token 1 since line 2")
        );
        let unsure = leave.replace("ok release 1", "info release null");
        assert_eq!(broken(&format!("{take}{unsure}{other}")), "", "it may have been released");
        let under_way = "1 invoke acquire null\n 0 invoke release null\n 1 ok acquire 2\n 0 ok release 1";
        assert_eq!(broken(&format!("{take}{under_way}")), "", "the release may have come first");
    }

    #[test]
    fn a_token_that_does_not_grow_is_refused() {
        let round = |process: u32, token: i64| {
            format!(
                "{process} invoke acquire null\n {process} ok acquire {token}\n
                 {process} invoke release null\n {process} ok release {token}\n"
            )
        };
        assert_eq!(broken(&[round(0, 1), round(1, 2), round(0, 5)].concat()), "");
        assert!(broken(&[round(0, 1), round(1, 1)].concat()).contains("token 1, though token 1"));
        assert!(broken(&[round(0, 7), round(1, 3)].concat()).contains("token 3, though token 7"));
    }

    #[test]
    fn what_a_lock_says_is_read_as_it_was_written() {
        for state in [State { token: 3, hold: None }, State { token: 4, hold: Some(17) }] {
            assert_eq!(State::parse(Some(&state.text())), Ok(state));
        }
        assert_eq!(State::parse(None), Ok(State { token: 0, hold: None }));
        assert!(State::parse(Some("held 3")).is_err() && State::parse(Some("free x")).is_err());
    }
}
