//! The store in a web browser, on this machine only: which runs there are, what came of them, their pages and files.
//!
//! ```text
//!   browser ──HTTP/1.1──▶ 127.0.0.1 ─▶ Site::answer ─▶ /             every run, the newest first
//!                                                      /files/…      a run's page, its files, its folders
//! ```
//!
//! It only reads, and only below the store: a path is taken apart before anything is opened, and what it leads to must lie in the
//! store after every link was followed. It listens on loopback, and answers only those who call it by a loopback name, so
//! that a page from elsewhere cannot read results through a name of its own (DNS rebinding). What it serves may run no script but
//! that of our own pages, and fetch nothing.
//!
//! Limits: [`MAX_CONNECTIONS`] at a time, [`MOST_RUNS`] runs of each test in the list.

mod answer;
mod http;
mod list;
mod path;

pub use http::{MAX_CONNECTIONS, Server};
pub use list::MOST_RUNS;

use std::path::PathBuf;

use anyhow::Context;

/// A store that is served.
#[derive(Clone, Debug)]
pub struct Site {
    /// With every link followed.
    root: PathBuf,
}

impl Site {
    /// Serves this folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn new(store: &std::path::Path) -> anyhow::Result<Site> {
        let root = store.canonicalize().with_context(|| {
            format!("no store at {}: name one, or make one with `plumbline run`", store.display())
        })?;
        anyhow::ensure!(root.is_dir(), "{} is not a folder", store.display());
        Ok(Site { root })
    }
}
