//! Whether a fault disk can be mounted here: one is.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, ensure};

use super::filesystem::FaultFs;
use super::mounts;
use super::serve::mount_options;
use super::state::Disk;

/// Mounts a disk, writes to it, and takes it away. It is tried once.
///
/// # Errors
/// What went wrong.
pub fn trial() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(|| attempt().map_err(|error| format!("{error:#}"))).clone()
}

fn attempt() -> anyhow::Result<()> {
    let device = Path::new("/dev/fuse");
    let opened = fs::File::options().read(true).write(true).open(device);
    drop(opened.context("cannot open /dev/fuse for reading and writing (is the module fuse loaded?)")?);
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let [backing, mountpoint] = ["backing", "disk"].map(|name| folder.path().join(name));
    fs::create_dir(&backing)?;
    fs::create_dir(&mountpoint)?;
    let disk = Arc::new(Disk::load(&backing, 0)?);
    let session = fuser::spawn_mount(FaultFs(disk), &mountpoint, &mount_options())
        .context("cannot mount (that takes root or fusermount3)")?;
    let used = use_it(&mountpoint, &backing);
    mounts::detach(&mountpoint).context("cannot unmount")?;
    drop(session);
    used
}

fn use_it(mountpoint: &Path, backing: &Path) -> anyhow::Result<()> {
    let mut file = fs::File::create_new(mountpoint.join("file")).context("cannot create a file on it")?;
    file.write_all(b"durable").and_then(|()| file.sync_all()).context("cannot write to it")?;
    fs::File::open(mountpoint)?.sync_all().context("cannot sync a folder of it")?;
    ensure!(fs::read(backing.join("file"))? == b"durable", "what was synced is not in the backing folder");
    Ok(())
}
