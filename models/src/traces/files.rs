//! Which traces there are.

use std::path::{Path, PathBuf};

use raft_core::NodeId;

/// How deep below the folder traces are looked for.
const DEPTH: usize = 4;

/// Why traces cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No file's name ends like a trace's.
    #[error("no traces (files *.trace) in {}: servers write them with --trace FILE", folder.display())]
    None {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A trace is damaged, or none.
    #[error("{}: {error}{other}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where and what.
        error: Box<trace::ReadError>,
        /// Another core recorded it, if so.
        other: String,
    },
    /// Two files of one server.
    #[error("{} and {} are both traces of server {id}", one.display(), other.display())]
    Twice {
        /// The server.
        id: NodeId,
        /// A file.
        one: PathBuf,
        /// Another one.
        other: PathBuf,
    },
}

impl TraceError {
    /// A trace that the core of this version wrote cannot be read.
    pub(super) fn damaged(path: &Path, error: trace::ReadError, core: &str) -> TraceError {
        let other = match trace::core_version() {
            here if here == core || core.is_empty() => String::new(),
            here => format!(" (recorded by core {core}, and this is core {here})"),
        };
        TraceError::Damaged { path: path.to_owned(), error: Box::new(error), other }
    }
}

/// All traces, in the order of their names.
pub(super) fn find(folder: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let mut files = Vec::new();
    collect(folder, DEPTH, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(TraceError::None { folder: folder.to_owned() });
    }
    Ok(files)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), TraceError> {
    let failed = |source| TraceError::Unreadable { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "trace") {
            files.push(path);
        }
    }
    Ok(())
}
