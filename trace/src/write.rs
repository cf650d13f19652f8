//! Recording: everything passes through here on its way to the core.

use raft_core::{Clocked, Command, Config, Effects, Input, Moment, Recovered, Refused, StartError, Timing};
use serde::Serialize;

use crate::digest::Digester;
use crate::record::{Head, RecordRef};
use crate::scribe::Scribe;

/// Records one life of a server, in memory: [`flush`](Self::flush) hands out the bytes for the file. Sans-IO like the core.
#[derive(Clone, Debug)]
pub struct Recorder<P> {
    scribe: Scribe<P>,
    digester: Digester,
    /// The effects of one step alone; empty between steps.
    fresh: Effects<P>,
}

impl<P: Command + Serialize> Recorder<P> {
    /// Records a life at the end of a file of so many bytes.
    #[must_use]
    pub fn new(file_bytes: u64) -> Self {
        Recorder { scribe: Scribe::new(file_bytes), digester: Digester::default(), fresh: Effects::default() }
    }

    /// [`Clocked::start`], recorded. To be called once, first.
    ///
    /// # Errors
    /// As [`Clocked::start`].
    pub fn start(
        &mut self,
        config: Config,
        recovered: Recovered<P>,
        timing: Timing,
        seed: u64,
        now: Moment,
        effects: &mut Effects<P>,
    ) -> Result<Clocked<P>, StartError> {
        self.scribe.start(Head {
            core: crate::core_version().to_owned(),
            config: config.clone(),
            timing,
            seed,
            now,
            boot: recovered.boot,
            hard_state: recovered.hard_state,
            snapshot: recovered.snapshot.clone(),
            applied: recovered.applied,
            lost_tail: recovered.lost_tail,
            entries: recovered.entries.len() as u64,
        });
        self.scribe.entries(&recovered.entries);
        let clocked = Clocked::start(config, recovered, timing, seed, now, &mut self.fresh)?;
        self.scribe.put(&RecordRef::Started(self.digester.of(Ok(()), &self.fresh)));
        hand_over(&mut self.fresh, effects);
        Ok(clocked)
    }

    /// [`Clocked::step`], recorded.
    ///
    /// # Errors
    /// As [`Clocked::step`].
    pub fn step(
        &mut self,
        clocked: &mut Clocked<P>,
        now: Moment,
        input: Option<Input<P>>,
        effects: &mut Effects<P>,
    ) -> Result<(), Refused> {
        let after = self.scribe.since_last(now);
        self.scribe.put(&RecordRef::Step(after, input.as_ref()));
        let result = clocked.step(now, input, &mut self.fresh);
        self.scribe.finish(self.digester.of(result, &self.fresh));
        hand_over(&mut self.fresh, effects);
        result
    }

    /// The server was asked to stop: nothing is recorded after this.
    pub fn stop(&mut self) {
        self.scribe.put(&RecordRef::Stop);
    }

    /// Appends to `out` what is to be written to the file, before anything is carried out that came of it.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.scribe.flush(out);
    }
}

/// Moves the effects of one step to where the host collects them. (Timers have been taken by [`Clocked`].)
fn hand_over<P>(fresh: &mut Effects<P>, effects: &mut Effects<P>) {
    let Effects { send, writes, timers, apply, reads, proposed, forwarded, abandoned, snapshots, events } =
        fresh;
    effects.send.append(send);
    effects.writes.append(writes);
    effects.timers.append(timers);
    effects.apply.append(apply);
    effects.reads.append(reads);
    effects.proposed = proposed.take().or(effects.proposed);
    effects.forwarded.append(forwarded);
    effects.abandoned.append(abandoned);
    effects.snapshots.append(snapshots);
    effects.events.append(events);
}
