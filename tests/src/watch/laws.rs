//! What watches promise, each law by itself. They are etcd's guarantees for its watch API: ordered, unique, reliable, atomic,
//! resumable.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::Fate;
use crate::schedule::NodeId;

/// One watch from its opening to its end, as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) watcher: String,
    pub(super) server: NodeId,
    pub(super) from: u64,
    pub(super) told: Vec<Item>,
    /// The oldest revision that could be had, if what would have come next was gone.
    pub(super) oldest: Option<u64>,
}

/// One thing that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A change (its number among the [`Changes`]).
    Event { at_ms: u64, revision: u64, change: usize },
    /// All is told up to here.
    Progress { at_ms: u64, revision: u64 },
}

impl Stream {
    fn name(&self) -> String {
        format!("{} (watching n{} from revision {} on)", self.watcher, self.server, self.from)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = (u64, usize)> {
        self.told.iter().filter_map(|item| match item {
            Item::Event { revision, change, .. } => Some((*revision, *change)),
            Item::Progress { .. } => None,
        })
    }

    /// What it told at this place, and shortly before and after.
    fn around(&self, index: usize, changes: &Changes) -> Vec<Around> {
        let first = index.saturating_sub(AROUND);
        let items = self.told.iter().enumerate().skip(first).take(index - first + AROUND + 1);
        items
            .map(|(at, item)| {
                let (at_ms, revision, what) = match *item {
                    Item::Event { at_ms, revision, change } => (at_ms, revision, changes.words(change)),
                    Item::Progress { at_ms, revision } => {
                        (at_ms, revision, "all is told up to here".to_owned())
                    }
                };
                Around { at_ms, revision, what, broken: at == index }
            })
            .collect()
    }

    /// The last revision of which it knows all.
    pub(super) fn last(&self) -> Option<u64> {
        let revision = |item: &Item| match item {
            Item::Event { revision, .. } | Item::Progress { revision, .. } => *revision,
        };
        self.told.iter().map(revision).max()
    }
}

/// Every change that anybody was told: a key and its new value, each once, so that a stream holds numbers only.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    numbers: HashMap<(String, Option<String>), usize>,
    all: Vec<(String, Option<String>)>,
}

impl Changes {
    pub(super) fn number(&mut self, key: String, value: Option<String>) -> usize {
        let change = (key, value);
        if let Some(number) = self.numbers.get(&change) {
            return *number;
        }
        self.all.push(change.clone());
        self.numbers.insert(change, self.all.len() - 1);
        self.all.len() - 1
    }

    pub(super) fn key(&self, change: usize) -> &str {
        self.all.get(change).map_or("", |(key, _)| key)
    }

    fn words(&self, change: usize) -> String {
        match self.all.get(change) {
            Some((key, Some(value))) => format!("{key} = {value:?}"),
            Some((key, None)) => format!("{key} deleted"),
            None => String::new(),
        }
    }
}

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub law: &'static str,
    /// How.
    pub what: String,
    /// What that watch told shortly before and after, where it is about one moment.
    pub around: Vec<Around>,
}

impl Broken {
    fn new(law: &'static str, what: String) -> Broken {
        Broken { law, what, around: Vec::new() }
    }
}

/// One thing that a watch told, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Around {
    /// When, in milliseconds since the clients started.
    pub at_ms: u64,
    /// The revision.
    pub revision: u64,
    /// The change, or that everything up to here is told.
    pub what: String,
    /// Whether this is what must not be.
    pub broken: bool,
}

/// How much is shown before and after a breach.
const AROUND: usize = 4;

pub(super) const BACK_IN_TIME: &str = "a watch went back in time";
pub(super) const TWICE: &str = "a watch told a change twice";
pub(super) const DIFFERENT: &str = "watches told different changes";
pub(super) const LEFT_OUT: &str = "a watch left a change out";
pub(super) const NEVER_TOLD: &str = "an acknowledged write was never told";
pub(super) const NEVER_WRITTEN: &str = "a watch told what nobody wrote";

/// Ordered, unique, resumable: within one stream revisions only grow, from the one that was asked for. (What follows the first
/// breach is not judged: it would be one after the other.)
pub(super) fn in_order(stream: &Stream, changes: &Changes) -> Option<Broken> {
    let broken = |index, law, what: String| {
        let around = stream.around(index, changes);
        Some(Broken { law, what: format!("{}: {what}", stream.name()), around })
    };
    let mut last = 0;
    // The keys that changed with it, as far as told; and whether that was said to be all.
    let (mut keys, mut is_whole): (HashSet<&str>, bool) = (HashSet::new(), false);
    for (index, item) in stream.told.iter().enumerate() {
        match *item {
            Item::Progress { at_ms, revision } => {
                if revision < last {
                    let what = format!(
                        "at {at_ms} ms all was said to be told up to revision {revision}, after revision {last} was"
                    );
                    return broken(index, BACK_IN_TIME, what);
                }
                (last, is_whole) = (revision, true);
            }
            Item::Event { at_ms, revision, change } => {
                let words = changes.words(change);
                if revision < stream.from {
                    let what = format!("at {at_ms} ms revision {revision} was told ({words})");
                    return broken(index, BACK_IN_TIME, what);
                }
                if revision < last || (revision == last && is_whole) {
                    let what = format!(
                        "at {at_ms} ms revision {revision} was told ({words}), after revision {last}"
                    );
                    return broken(index, BACK_IN_TIME, what);
                }
                if revision > last {
                    keys.clear();
                    (last, is_whole) = (revision, false);
                }
                if !keys.insert(changes.key(change)) {
                    let what = format!("at {at_ms} ms revision {revision} again ({words})");
                    return broken(index, TWICE, what);
                }
            }
        }
    }
    None
}

/// All that anybody was told: the changes of each revision, one of each key, with one that was told of it.
pub(super) type All<'a> = BTreeMap<u64, Vec<(usize, &'a Stream)>>;

/// All that anybody was told, by revision and key; and where two were told different things.
pub(super) fn together<'a>(streams: &'a [Stream], changes: &Changes) -> (All<'a>, Vec<Broken>) {
    let mut all = All::new();
    let mut broken = Vec::new();
    for stream in streams {
        for (revision, change) in stream.events() {
            let told = all.entry(revision).or_default();
            let same = told.iter().find(|(other, _)| changes.key(*other) == changes.key(change));
            match same {
                Some((other, by)) if *other != change => broken.push(Broken::new(
                    DIFFERENT,
                    format!(
                        "revision {revision}: {} was told {}, and {} {}",
                        by.name(),
                        changes.words(*other),
                        stream.name(),
                        changes.words(change)
                    ),
                )),
                Some(_) => {}
                None => told.push((change, stream)),
            }
        }
    }
    (all, broken)
}

/// Reliable, atomic: between the revision it was asked for and the last it told, a stream tells all that others did.
pub(super) fn complete(stream: &Stream, all: &All<'_>, changes: &Changes) -> Option<Broken> {
    let last = stream.last().filter(|last| *last >= stream.from)?;
    let told: HashSet<(u64, &str)> =
        stream.events().map(|(revision, change)| (revision, changes.key(change))).collect();
    let others = all.range(stream.from..=last);
    let mut others = others.flat_map(|(revision, told)| told.iter().map(move |one| (*revision, one)));
    let (revision, (change, by)) =
        others.find(|(revision, (change, _))| !told.contains(&(*revision, changes.key(*change))))?;
    Some(Broken::new(
        LEFT_OUT,
        format!(
            "{} told revisions up to {last}, but not revision {revision} ({}), which {} was told",
            stream.name(),
            changes.words(*change),
            by.name()
        ),
    ))
}

/// What was acknowledged was told, and what was told was written: as often as it was, where the same value was written to a key
/// several times. Says something only if `all` really is all.
pub(super) fn written(
    all: &All<'_>,
    changes: &Changes,
    writes: &HashMap<(String, String), Fate>,
    mark: &str,
) -> Vec<Broken> {
    let mut told: HashMap<(&str, &str), u64> = HashMap::new();
    for (change, _) in all.values().flatten() {
        if let Some((key, Some(value))) = changes.all.get(*change)
            && key != mark
        {
            *told.entry((key, value)).or_default() += 1;
        }
    }
    let mut broken = Vec::new();
    for ((key, value), fate) in writes {
        let times = told.remove(&(key.as_str(), value.as_str())).unwrap_or(0);
        let Fate { acknowledged, unknown } = *fate;
        if times < acknowledged {
            let what =
                format!("{key} = {value:?} was acknowledged {acknowledged} times and told {times} times");
            broken.push(Broken::new(NEVER_TOLD, what));
        }
        if times > acknowledged + unknown {
            let most = acknowledged + unknown;
            let what = format!("{key} = {value:?} was told {times} times and written {most} times at most");
            broken.push(Broken::new(NEVER_WRITTEN, what));
        }
    }
    for ((key, value), times) in told {
        let what = format!("{key} = {value:?}, {times} times");
        broken.push(Broken::new(NEVER_WRITTEN, what));
    }
    broken.sort_by(|a, b| a.what.cmp(&b.what));
    broken
}
