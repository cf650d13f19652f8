//! Mounts of ours: who is left over from a harness and a disk that were both killed, and how a mount is taken away.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

/// What the kernel calls our mounts.
pub(crate) const SOURCE: &str = "plumbline-fault-fs";

/// Where fault disks are mounted now, whoever mounted them.
///
/// # Errors
/// Where the kernel does not say.
pub fn mounted() -> io::Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().filter_map(ours).collect())
}

fn ours(line: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let source = after.split(' ').nth(1)?;
    (source == SOURCE).then(|| unescape(before.split(' ').nth(4).unwrap_or_default()))
}

/// The kernel writes spaces and the like as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match after.get(..3).and_then(octal) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Takes a mount away at once, also from processes that still have files open on it. That there is none is no error.
///
/// # Errors
/// Where it stays.
pub fn detach(mountpoint: &Path) -> io::Result<()> {
    match umount2(mountpoint, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        // An ordinary user's mounts are fusermount3's business.
        Err(Errno::EPERM) => {
            let mut command = Command::new("fusermount3");
            command.args(["-u", "-z", "--"]).arg(mountpoint).stdin(Stdio::null());
            let output = command.output()?;
            if output.status.success() || !mounted()?.iter().any(|path| path == mountpoint) {
                return Ok(());
            }
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes away the fault disks whose process is gone, and says which. Others, of runs that are going on, stay.
pub fn sweep() -> Vec<PathBuf> {
    let dead = |path: &PathBuf| {
        fs::metadata(path).is_err_and(|error| error.raw_os_error() == Some(Errno::ENOTCONN as i32))
    };
    let left = mounted().unwrap_or_default().into_iter().filter(dead);
    left.filter(|path| detach(path).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_table_is_read_with_its_escapes() {
        let line = r"41 29 0:37 / /tmp/a\040b/data rw,nosuid,nodev - fuse plumbline-fault-fs rw,user_id=0";
        assert_eq!(ours(line), Some(PathBuf::from("/tmp/a b/data")));
        assert_eq!(ours(r"41 29 0:37 / /tmp/x rw - fuse sshfs rw"), None);
        assert_eq!(
            ours(r"41 29 0:37 / /tmp/\9x shared:1 - fuse plumbline-fault-fs rw"),
            Some(r"/tmp/\9x".into())
        );
    }
}
