//! The file that `--trace` names: what the core is given, on its way to the kernel before anything comes of it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ServerError;

/// A trace, open for appending.
#[derive(Debug)]
pub(super) struct TraceFile {
    file: File,
    path: PathBuf,
    /// How long it was when it was opened.
    pub(super) bytes: u64,
}

impl TraceFile {
    pub(super) fn open(path: &Path) -> Result<TraceFile, ServerError> {
        let failed = |source| ServerError::Trace { path: path.to_owned(), source };
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Ok(TraceFile { file, path: path.to_owned(), bytes })
    }

    /// One write, and no fsync: SIGKILL takes nothing from the kernel.
    pub(super) fn append(&mut self, bytes: &mut Vec<u8>) -> Result<(), ServerError> {
        let written = self.file.write_all(bytes);
        bytes.clear();
        written.map_err(|source| ServerError::Trace { path: self.path.clone(), source })
    }
}
