//! One server's trace, given to this build's core.

use std::fs::File;
use std::hash::Hash;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use raft_core::{Clocked, Command, Effects, Input, Moment};
use serde::Serialize;
use serde::de::DeserializeOwned;
use trace::{Digester, Item, Located, Reader, Start, Step};

use super::facts::{COMPLETE, Facts, SAME_EFFECTS};
use super::files::TraceError;
use super::watch::Watch;
use crate::property::Law;

/// How much of an input is quoted.
const QUOTED_CHARS: usize = 240;
const READ_BUFFER_BYTES: usize = 1 << 18;

/// Replays all traces, each in a thread of its own.
pub(super) fn all<P>(files: &[PathBuf]) -> Result<Vec<Facts>, TraceError>
where
    P: Command + Serialize + DeserializeOwned + Send + Sync,
{
    let results: Vec<Result<Facts, TraceError>> = thread::scope(|scope| {
        let replays: Vec<_> = files.iter().map(|file| scope.spawn(|| one::<P>(file))).collect();
        // A panic here is not the core's, which is caught: it goes on to whoever asked.
        replays
            .into_iter()
            .map(|replay| replay.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all: Vec<Facts> = Vec::new();
    for facts in results {
        let facts = facts?;
        if let Some(known) = all.iter().find(|known| facts.id.is_some() && known.id == facts.id) {
            let (id, one, other) = (facts.id.unwrap_or_default(), known.file.clone(), facts.file);
            return Err(TraceError::Twice { id, one, other });
        }
        all.push(facts);
    }
    all.sort_by_key(|facts| facts.id);
    Ok(all)
}

fn one<P>(path: &Path) -> Result<Facts, TraceError>
where
    P: Command + Serialize + DeserializeOwned,
{
    let unreadable = |source| TraceError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut reader = Reader::<_, P>::new(BufReader::with_capacity(READ_BUFFER_BYTES, file));
    let mut replay = Replay::new(path);
    loop {
        let core = &replay.watch.facts.core;
        let damaged = |error| TraceError::damaged(path, error, core);
        let Some(located) = reader.read().map_err(damaged)? else { break };
        // What comes after the replay had to end is still read: it may be damaged.
        replay.take(located);
    }
    let mut facts = replay.watch.finish();
    facts.bytes = reader.bytes();
    Ok(facts)
}

struct Replay<P> {
    watch: Watch,
    clocked: Option<Clocked<P>>,
    effects: Effects<P>,
    digester: Digester,
}

impl<P: Command + Serialize + Hash> Replay<P> {
    fn new(path: &Path) -> Self {
        Replay {
            watch: Watch::new(path.to_owned()),
            clocked: None,
            effects: Effects::default(),
            digester: Digester::default(),
        }
    }

    fn take(&mut self, Located { record, item }: Located<P>) {
        if self.watch.facts.is_partial {
            return;
        }
        match item {
            Item::Start(start) => self.start(record, *start),
            Item::Step(step) => self.step(record, step),
            Item::Stop => self.watch.facts.is_open = false,
            Item::Torn { .. } => self.watch.facts.torn += 1,
        }
    }

    fn start(&mut self, record: u64, start: Start<P>) {
        let Start { core, config, timing, seed, now, recovered, effects } = start;
        self.watch.begin(record, core, &config, &recovered);
        self.effects.clear();
        let started = catch_unwind(AssertUnwindSafe(|| {
            Clocked::start(config, recovered, timing, seed, now, &mut self.effects)
        }));
        match started {
            Err(_) => self.panicked(record),
            Ok(Err(error)) => {
                self.watch.facts.is_partial = true;
                self.watch.facts.breaks(Law::LegalRestart, record, error.to_string());
            }
            Ok(Ok(clocked)) => {
                let digest = self.digester.of(Ok(()), &self.effects);
                self.compare(record, digest, effects, || "its start".to_owned());
                self.watch.observe(record, &clocked, &self.effects);
                self.clocked = Some(clocked);
            }
        }
    }

    fn step(&mut self, record: u64, step: Step<P>) {
        let Some(mut clocked) = self.clocked.take() else { return };
        let Step { now, input, effects } = step;
        self.watch.facts.inputs += 1;
        self.watch.prepare(record, &clocked, input.as_ref());
        self.effects.clear();
        let quoted = input.clone();
        let stepped = catch_unwind(AssertUnwindSafe(|| clocked.step(now, input, &mut self.effects)));
        let Ok(result) = stepped else { return self.panicked(record) };
        let digest = self.digester.of(result, &self.effects);
        self.compare(record, digest, effects, || quote(now, quoted.as_ref()));
        self.watch.observe(record, &clocked, &self.effects);
        self.clocked = Some(clocked);
    }

    /// The same effects? If not, this is the place, and what the server did from here on is not known.
    fn compare(&mut self, record: u64, now: [u8; 4], then: [u8; 4], what: impl FnOnce() -> String) {
        if now == then {
            return;
        }
        let Effects { send, writes, apply, reads, events, .. } = &self.effects;
        let what = format!(
            "given {}, this core does otherwise than was recorded (checksum {:08x}, not {:08x}): it sends {}, writes {}, applies {}, decides {} reads, tells {events:?}",
            what(),
            u32::from_le_bytes(now),
            u32::from_le_bytes(then),
            send.len(),
            writes.len(),
            apply.len(),
            reads.len(),
        );
        let facts = &mut self.watch.facts;
        if facts.core == trace::core_version() {
            facts.breaks_rule(SAME_EFFECTS, record, what);
            facts.is_partial = true;
        } else {
            let (recorded, here) = (&facts.core, trace::core_version());
            let what =
                format!("recorded by core {recorded}, and this is core {here}, which is another one: {what}");
            facts.gives_up(COMPLETE, record, what);
        }
    }

    fn panicked(&mut self, record: u64) {
        self.watch.facts.is_partial = true;
        self.watch.facts.breaks(Law::NoPanic, record, "the core panics".to_owned());
    }
}

fn quote<P: Command>(now: Moment, input: Option<&Input<P>>) -> String {
    let text = input.map_or("nothing but the time".to_owned(), |input| format!("{input:?}"));
    let mut quoted: String = text.chars().take(QUOTED_CHARS).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    format!("{quoted} at {:.3} ms", now.0 as f64 / 1e6)
}
