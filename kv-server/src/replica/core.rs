//! The core, and the recorder that may stand before it.

use bytes::Bytes;
use raft_core::{Clocked, Config, Effects, Input, Moment, Raft, Recovered, Refused, StartError, Timing};
use trace::Recorder;

/// [`Clocked`], of which everything it is given may be recorded on the way.
#[derive(Debug)]
pub(super) struct Core {
    clocked: Clocked<Bytes>,
    recorder: Option<Recorder<Bytes>>,
}

impl Core {
    pub(super) fn start(
        mut recorder: Option<Recorder<Bytes>>,
        config: Config,
        recovered: Recovered<Bytes>,
        timing: Timing,
        seed: u64,
        now: Moment,
        effects: &mut Effects<Bytes>,
    ) -> Result<Core, StartError> {
        let clocked = match &mut recorder {
            Some(recorder) => recorder.start(config, recovered, timing, seed, now, effects)?,
            None => Clocked::start(config, recovered, timing, seed, now, effects)?,
        };
        Ok(Core { clocked, recorder })
    }

    pub(super) fn step(
        &mut self,
        now: Moment,
        input: Option<Input<Bytes>>,
        effects: &mut Effects<Bytes>,
    ) -> Result<(), Refused> {
        match &mut self.recorder {
            Some(recorder) => recorder.step(&mut self.clocked, now, input, effects),
            None => self.clocked.step(now, input, effects),
        }
    }

    /// Nothing is given to the core after this.
    pub(super) fn stop(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.stop();
        }
    }

    /// What was recorded since the last call.
    pub(super) fn flush(&mut self, trace: &mut Vec<u8>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush(trace);
        }
    }

    pub(super) fn raft(&self) -> &Raft<Bytes> {
        self.clocked.raft()
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.clocked.deadline()
    }
}
