//! What runs may leave behind on the machine: processes of the store, mounts below it, network namespaces of ours.

use std::collections::BTreeSet;
use std::path::Path;

/// What there is at one moment.
pub(super) struct Inventory(BTreeSet<String>);

impl Inventory {
    /// Looks around. Where there is no `/proc` nothing is found.
    pub(super) fn take(store: &Path) -> Inventory {
        let store = store.canonicalize().unwrap_or_else(|_| store.to_owned());
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            if !id.chars().all(|letter| letter.is_ascii_digit()) {
                continue;
            }
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            // Whoever works on something in the store, whatever it calls it; we name the store itself.
            let inside = |argument: &str| {
                let path = argument.split_once('=').map_or(argument, |(_, value)| value);
                path.starts_with('/')
                    && Path::new(path)
                        .canonicalize()
                        .is_ok_and(|path| path != store && path.starts_with(&store))
            };
            if line.split('\0').any(inside) {
                found.insert(format!("process {id}: {}", line.replace('\0', " ").trim_end()));
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        found.extend(mounts_below(&mounts, &store).map(|at| format!("mount {at}")));
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Other runs on this machine have theirs.
            if crate::netns::is_left_behind(&name) {
                found.insert(format!("network namespace {name}"));
            }
        }
        Inventory(found)
    }

    /// What is here now and was not there before.
    pub(super) fn beyond(&self, before: &Inventory) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// The places of mounts that lie below a folder. (The fifth column; spaces are written as `\040`.)
fn mounts_below<'a>(mountinfo: &'a str, folder: &'a Path) -> impl Iterator<Item = String> + 'a {
    let places =
        mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|place| place.replace("\\040", " "));
    places.filter(move |place| Path::new(place).starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_the_store_are_found_and_no_others() {
        let info = "22 1 0:1 / / rw - ext4 x rw\n40 22 0:5 / /a/store/kv/one\\040two/data rw - fuse x rw\n41 22 0:5 / /a/storehouse rw - fuse x rw\n";
        let found: Vec<String> = mounts_below(info, Path::new("/a/store")).collect();
        assert_eq!(found, ["/a/store/kv/one two/data"]);
    }

    #[test]
    fn a_process_that_works_in_the_store_is_found_and_whoever_only_names_it_is_not() {
        let store = tempfile::tempdir().unwrap();
        let data = store.path().join("kv/x/nodes/n1/data");
        std::fs::create_dir_all(&data).unwrap();
        let before = Inventory::take(store.path());
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read never", "sh", "--data-dir"])
            .arg(&data)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It takes the kernel a moment to know a new process' arguments.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let mut found = Vec::new();
        while found.is_empty() && std::time::Instant::now() < deadline {
            found = Inventory::take(store.path()).beyond(&before);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("--data-dir"));
    }
}
