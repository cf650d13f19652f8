//! The data directory: taken for one process, and cleared of the remains of a crash.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use super::error::WalError;
use super::{TornTail, segment};

/// Creates the directory if need be, and takes it for this process. The lock goes with the process, however it ends.
pub(super) fn lock(dir: &Path) -> Result<File, WalError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.is_dir()).collect();
    fs::create_dir_all(dir).map_err(WalError::io("create directory", dir))?;
    for created in missing {
        // The first part of a relative path has the empty path as its parent.
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
        segment::sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(WalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WalError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(WalError::io("lock", &path)(error)),
    }
}

/// Removes the remains of an unfinished write, durably, so that the next frame does not come to lie behind them.
pub(super) fn cut_off(dir: &Path, tail: &TornTail) -> Result<(), WalError> {
    let file = &tail.file;
    if tail.offset == 0 {
        fs::remove_file(file).map_err(WalError::io("remove", file))?;
        return segment::sync_directory(dir);
    }
    let handle = OpenOptions::new().write(true).open(file).map_err(WalError::io("open for writing", file))?;
    handle.set_len(tail.offset).map_err(WalError::io("truncate", file))?;
    handle.sync_all().map_err(WalError::io("sync", file))
}
