//! Watches: what a server tells of the changes it makes.

use futures::future::BoxFuture;

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision with which it came. They only grow; all changes of one transaction share one.
    pub revision: u64,
    /// The key.
    pub key: String,
    /// Its new value, or nothing if it is gone.
    pub value: Option<String>,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Changes, in order, all of each revision together.
    Events(Vec<Event>),
    /// Everything up to this revision has been told.
    Progress(u64),
}

/// Why a watch tells no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// What it would have to tell next is gone.
    #[error("what was asked for is compacted: the oldest revision that can be had is {oldest}")]
    Compacted {
        /// The oldest revision from which one can watch.
        oldest: u64,
    },
    /// The connection broke, or the server refused.
    #[error("{0}")]
    Broken(String),
}

/// One open watch at one server, of all keys.
pub trait Watch: Send {
    /// What it tells next. Must not lose anything if it is dropped while it waits.
    fn next(&mut self) -> BoxFuture<'_, Result<Told, Ended>>;
}

/// What opening a watch comes to.
pub type Opened<'a> = BoxFuture<'a, Result<Box<dyn Watch>, Ended>>;
