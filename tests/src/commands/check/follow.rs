//! `--follow`: judges a history while it is being written, and stops at the first violation.
//!
//! Linearizability is prefix-closed: what is wrong with a prefix is wrong with the whole, and an operation that has not
//! ended yet may still have happened or not. So the history so far is judged whenever an operation has ended, but never
//! for more than half of the time: after each look, as much time passes as it took. A look costs what is new
//! ([`checker::Online`]): what was judged is judged again only as far as what is new leaves no other way.
//!
//! ```text
//!   file ──► Tail (waits for more) ──► Stream ──► a bounded queue ──► Builder ──► Online: judges what is new
//!                     one thread                                                 the other
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use checker::history::{Builder, Stream};
use checker::{
    Event, Format, History, Kind, ModelName, Online, Problem, Process, ReadError, ReadOptions, Report,
    Standing,
};

use super::{CheckArgs, Checked, NotJudged, draw, judging, model_options, reading};

/// How often a file is looked at for more.
const LOOK: Duration = Duration::from_millis(20);
/// The most events that wait to be taken.
const QUEUE: usize = 1 << 14;

/// How it was followed.
pub(super) struct Followed {
    /// How often it was judged.
    pub(super) looks: u64,
    /// The last line taken.
    pub(super) line: u32,
    /// Why it ended.
    pub(super) end: End,
}

/// Why following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At a violation.
    Violation,
    /// With the history: its input ended, or nothing was added for as long as was asked for.
    History,
    /// At a signal.
    Told,
}

enum Message {
    Begun(Format),
    Event(Box<Event>, u32),
    Wrong(ReadError),
    Ended,
    Stop,
}

/// Follows a file.
pub(super) fn follow(args: &CheckArgs, path: &Path) -> Checked {
    let file = path.display().to_string();
    let mut followed = Followed { looks: 0, line: 0, end: End::History };
    let outcome = run(args, path, &mut followed);
    Checked { file, outcome, opinion: None, followed: Some(followed) }
}

fn run(args: &CheckArgs, path: &Path, followed: &mut Followed) -> Result<(History, Report), NotJudged> {
    let name = path.display().to_string();
    let (sender, messages) = sync_channel(QUEUE);
    let told = Arc::new(AtomicBool::new(false));
    stop_at_signals(sender.clone(), told.clone())?;
    let tail = Tail::open(path, args.until_idle, told);
    let tail = tail.map_err(|error| format!("{name}: cannot read: {error}"))?;
    let grows = tail.grows;
    let options = reading(args);
    let reads = name.clone();
    thread::spawn(move || read(tail, &reads, &options, &sender));
    let follower = Follower {
        args,
        name: &name,
        online: Online::new(args.model, &model_options(args), &judging(args)),
        tuples: None,
        builder: Builder::new(&name, None).within(Some(args.memory)),
        fresh: false,
        due: Instant::now(),
        grows,
        followed,
    };
    follower.run(&messages)
}

/// Reads until the end, the first fault, or nobody listens any more.
fn read(tail: Tail, name: &str, options: &ReadOptions, sender: &SyncSender<Message>) {
    let end = Stream::new(tail, name, options).and_then(|mut stream| {
        if sender.send(Message::Begun(stream.format())).is_err() {
            return Ok(());
        }
        while let Some((event, line)) = stream.next_event()? {
            if sender.send(Message::Event(Box::new(event), line)).is_err() {
                break;
            }
        }
        Ok(())
    });
    // If nobody listens the verdict is said already.
    let _ = sender.send(end.map_or_else(Message::Wrong, |()| Message::Ended));
}

struct Follower<'a> {
    args: &'a CheckArgs,
    name: &'a str,
    builder: Builder,
    online: Online,
    /// Whether values are tuples of a key and a value; the first operation tells.
    tuples: Option<bool>,
    /// Whether an operation has ended since the last look.
    fresh: bool,
    /// When to look next.
    due: Instant,
    /// Whether it is a file, all of which can be read before stopping.
    grows: bool,
    followed: &'a mut Followed,
}

impl Follower<'_> {
    fn run(mut self, messages: &Receiver<Message>) -> Result<(History, Report), NotJudged> {
        loop {
            let patience = if self.fresh { self.due.saturating_duration_since(Instant::now()) } else { IDLE };
            match messages.recv_timeout(patience) {
                Ok(Message::Begun(format)) => {
                    self.builder = Builder::new(self.name, Some(format)).within(Some(self.args.memory));
                }
                Ok(Message::Event(event, line)) => {
                    if let Err(wrong) = self.take(*event, line) {
                        return self.wrong(wrong);
                    }
                }
                // Told to stop in the middle of a line.
                Ok(Message::Wrong(_)) if self.followed.end == End::Told => return self.last(),
                Ok(Message::Wrong(wrong)) => return self.wrong(wrong),
                Ok(Message::Stop) => {
                    self.followed.end = End::Told;
                    if !self.grows {
                        return self.last();
                    }
                }
                Ok(Message::Ended) | Err(RecvTimeoutError::Disconnected) => return self.last(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.fresh
                && Instant::now() >= self.due
                && let Some(violation) = self.look()?
            {
                return Ok(violation);
            }
        }
    }

    fn take(&mut self, event: Event, line: u32) -> Result<(), ReadError> {
        // Nothing but an answer can contradict anything.
        self.fresh |= event.kind != Kind::Invoke && matches!(event.process, Process::Client(_));
        self.followed.line = line;
        let place = |problem: Problem| ReadError {
            file: self.name.to_owned(),
            line: u64::from(line),
            column: 1,
            problem,
        };
        if event.kind == Kind::Invoke && self.tuples.is_none() {
            let keyed = self.args.model == ModelName::KeyValue && event.has_key_tuple();
            self.tuples = Some(self.args.independent || keyed);
        }
        let event = if self.tuples == Some(true) { event.independent() } else { Ok(event) };
        event.and_then(|event| self.builder.push_line(event, line)).map_err(place)
    }

    /// Judges the history so far; says so if it is violated.
    fn look(&mut self) -> Result<Option<(History, Report)>, NotJudged> {
        let began = Instant::now();
        self.followed.looks += 1;
        self.fresh = false;
        let standing = self.online.look(self.builder.so_far()).map_err(|error| error.to_string())?;
        self.due = Instant::now() + began.elapsed();
        if standing != Standing::Violated {
            return Ok(None);
        }
        self.followed.end = End::Violation;
        self.report().map(Some)
    }

    /// Judges what there is for good.
    fn last(mut self) -> Result<(History, Report), NotJudged> {
        self.followed.looks += 1;
        self.report()
    }

    /// A violation before a fault in the file is still a violation; else the fault is what is to be said.
    fn wrong(mut self, wrong: ReadError) -> Result<(History, Report), NotJudged> {
        match self.look() {
            Ok(Some(violation)) => Ok(violation),
            Ok(None) | Err(_) => Err(wrong.into()),
        }
    }

    fn report(&mut self) -> Result<(History, Report), NotJudged> {
        let report = self.online.report(self.builder.so_far()).map_err(|error| error.to_string())?;
        let history = std::mem::take(&mut self.builder).finish();
        if let Some(model) = self.online.model() {
            draw(self.args, model, &history, &report)?;
        }
        Ok((history, report))
    }
}

/// How long to wait where there is nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// Sends [`Message::Stop`] at the first SIGINT or SIGTERM, and has the file read to where it ends now.
fn stop_at_signals(sender: SyncSender<Message>, told: Arc<AtomicBool>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot wait for signals: {error}"))?;
    let kind = tokio::signal::unix::SignalKind::terminate();
    let terminate = {
        let _inside = runtime.enter();
        tokio::signal::unix::signal(kind).map_err(|error| format!("cannot wait for signals: {error}"))?
    };
    let mut terminate = terminate;
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        // If nobody listens the verdict is said already.
        let _ = sender.send(Message::Stop);
        told.store(true, Ordering::Release);
    });
    Ok(())
}

/// A file that may grow: its end is waited for, if it is a plain file; that of a pipe is the end.
struct Tail {
    file: File,
    grows: bool,
    taken: u64,
    /// How long nothing may be added before that is taken for the end.
    until_idle: Option<Duration>,
    told: Arc<AtomicBool>,
}

impl Tail {
    fn open(path: &Path, until_idle: Option<Duration>, told: Arc<AtomicBool>) -> io::Result<Self> {
        let file = File::open(path)?;
        let grows = file.metadata()?.is_file();
        Ok(Self { file, grows, taken: 0, until_idle, told })
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        loop {
            let told = self.told.load(Ordering::Acquire);
            let read = self.file.read(buffer)?;
            self.taken += read as u64;
            if read > 0 || !self.grows || buffer.is_empty() {
                return Ok(read);
            }
            if self.file.metadata()?.len() < self.taken {
                return Err(io::Error::other("the file became shorter while it was followed"));
            }
            if told || self.until_idle.is_some_and(|limit| began.elapsed() >= limit) {
                return Ok(0);
            }
            thread::sleep(LOOK);
        }
    }
}
