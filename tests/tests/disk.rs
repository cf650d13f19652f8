//! The fault disk, seen through ordinary file operations: each fault shows, and is counted; without faults it is a folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{PLUMBLINE, until};
use nix::errno::Errno;
use plumbline::disk::{DiskError, DiskFaults, DiskOptions, FaultDisk, Loss, Refusal, When, mounts};

const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn options(&self, seed: u64) -> DiskOptions {
        DiskOptions {
            program: PLUMBLINE.into(),
            backing: self.folder.path().join("backing"),
            mountpoint: self.folder.path().join("disk"),
            seed,
        }
    }

    /// A mounted disk, and where it shows. Without FUSE there is nothing to test, which must not look like a success.
    async fn disk(&self, seed: u64) -> (FaultDisk, PathBuf) {
        let disk = FaultDisk::mount(&self.options(seed)).await.expect("FUSE is usable on this machine");
        let path = disk.mountpoint().to_owned();
        (disk, path)
    }
}

/// A new file with these bytes, it and its name synced.
fn synced(path: &Path, bytes: &[u8]) -> File {
    let mut file = File::create_new(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
    file
}

fn always(error: DiskError) -> Option<Refusal> {
    Some(Refusal { error, when: When::Always })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_it_is_a_folder_and_what_is_in_it_stays_after_unmounting() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    fs::create_dir(at.join("a")).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(at.join("a/f"), &bytes).unwrap();
    assert_eq!(fs::read(at.join("a/f")).unwrap(), bytes);
    fs::rename(at.join("a/f"), at.join("g")).unwrap();
    assert_eq!(fs::metadata(at.join("g")).unwrap().len(), bytes.len() as u64);
    let file = OpenOptions::new().append(true).open(at.join("g")).unwrap();
    file.set_len(1_000).unwrap();
    (&file).write_all(b"end").unwrap();
    for number in 0..300 {
        fs::write(at.join(format!("a/{number}")), b"x").unwrap();
    }
    assert_eq!(fs::read_dir(at.join("a")).unwrap().count(), 300);
    assert!(File::create_new(at.join("g")).is_err_and(|error| error.kind() == ErrorKind::AlreadyExists));
    assert_eq!(fs::remove_dir(at.join("a")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(at.join("a")).unwrap();
    let (one, two) = (File::open(at.join("g")).unwrap(), File::open(at.join("g")).unwrap());
    one.lock().unwrap();
    assert!(two.try_lock().is_err(), "locks hold between open files");
    let counts = disk.counts().await.unwrap();
    assert!(counts.writes > 0 && !counts.any_effect(), "{counts:?}");
    disk.unmount().await.unwrap();
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "nothing is mounted any more");
    let left = fs::read(place.folder.path().join("backing/g")).unwrap();
    assert_eq!((left.len(), &left[..1_000], &left[1_000..]), (1_003, &bytes[..1_000], &b"end"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_takes_what_was_not_synced_and_nothing_else() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let kept = synced(&at.join("kept"), b"old");
    kept.write_all_at(b"new", 0).unwrap();
    File::create_new(at.join("nameless")).unwrap().sync_all().unwrap();
    fs::remove_file(at.join("kept")).unwrap();
    let counts = disk.crash(Loss::Everything).await.unwrap();
    assert_eq!(fs::read(at.join("kept")).unwrap(), b"old");
    assert!(!at.join("nameless").exists(), "its folder was not synced");
    assert_eq!((counts.crashes, counts.lost_bytes, counts.lost_entries), (1, 512, 2), "{counts:?}");
    assert!(counts.any_effect());
    assert!(kept.write_all_at(b"x", 0).is_err(), "files that were open are so no longer");
    let file = OpenOptions::new().write(true).open(at.join("kept")).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    let counts = disk.crash(Loss::Everything).await.unwrap();
    assert_eq!(fs::read(at.join("kept")).unwrap(), b"new");
    assert_eq!(counts.lost_bytes, 512, "nothing was lost the second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_write_survives_in_some_of_its_sectors() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let file = synced(&at.join("f"), &[1; 8_192]);
    file.write_all_at(&[2; 8_192], 0).unwrap();
    let counts = disk.crash(Loss::Torn).await.unwrap();
    assert_eq!(counts.torn_writes, 1, "{counts:?}");
    let after = fs::read(at.join("f")).unwrap();
    let sectors: Vec<u8> = after.chunks(512).map(|sector| sector[0]).collect();
    assert!(sectors.contains(&1) && sectors.contains(&2), "{sectors:?}");
    assert!(after.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_as_often_as_asked_and_are_counted() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let file = synced(&at.join("f"), b"old");
    let next = |error| Some(Refusal { error, when: When::Next(1) });
    disk.set(DiskFaults { write: next(DiskError::NoSpace), ..DiskFaults::default() }).await.unwrap();
    let full = file.write_all_at(b"new", 0).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(Errno::ENOSPC as i32));
    file.write_all_at(b"new", 0).unwrap();
    disk.set(DiskFaults { sync: next(DiskError::Io), ..DiskFaults::default() }).await.unwrap();
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
    file.sync_data().expect("the next sync succeeds, without what the failed one gave up");
    assert_eq!(fs::read(at.join("f")).unwrap(), b"new");
    disk.set(DiskFaults { read: always(DiskError::Io), ..DiskFaults::default() }).await.unwrap();
    assert_eq!(fs::read(at.join("f")).unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
    disk.set(DiskFaults { write: always(DiskError::Io), ..DiskFaults::default() }).await.unwrap();
    assert_eq!(File::create_new(at.join("g")).unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
    let when = When::PerMillion(300_000);
    let sometimes = Some(Refusal { error: DiskError::Io, when });
    disk.set(DiskFaults { write: sometimes, ..DiskFaults::default() }).await.unwrap();
    let refused = (0..200).filter(|_| file.write_at(b"x", 0).is_err()).count();
    assert!((20..100).contains(&refused), "{refused} of 200");
    let counts = disk.crash(Loss::Everything).await.unwrap();
    assert_eq!(fs::read(at.join("f")).unwrap(), b"old", "what a failed sync gave up never became durable");
    assert_eq!((counts.write_errors, counts.sync_errors), (refused as u64 + 2, 1), "{counts:?}");
    assert!(counts.read_errors > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_sync_says_yes_and_a_crash_shows_that_it_lied() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let file = synced(&at.join("f"), b"old");
    disk.set(DiskFaults { lying_sync: true, ..DiskFaults::default() }).await.unwrap();
    file.write_all_at(b"new", 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(disk.counts().await.unwrap().lies, 1);
    disk.crash(Loss::Everything).await.unwrap();
    assert_eq!(fs::read(at.join("f")).unwrap(), b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sync_takes_its_time() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let file = synced(&at.join("f"), b"old");
    disk.set(DiskFaults { slow_sync_ms: 80, ..DiskFaults::default() }).await.unwrap();
    let began = Instant::now();
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(80), "{:?}", began.elapsed());
    assert_eq!(disk.counts().await.unwrap().slowed_syncs, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_read_once_and_what_is_stored_is_sound() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let bytes = vec![0; 4_096];
    synced(&at.join("f"), &bytes);
    disk.set(DiskFaults { flip: Some(When::Next(1)), ..DiskFaults::default() }).await.unwrap();
    let flipped = fs::read(at.join("f")).unwrap();
    assert_eq!(flipped.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    assert_eq!(fs::read(at.join("f")).unwrap(), bytes);
    assert_eq!(disk.counts().await.unwrap().flipped_bits, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_disk_holds_a_sync_back_until_the_crash_which_it_does_not_survive() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let file = synced(&at.join("f"), b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.freeze().await.unwrap();
    let syncing = std::thread::spawn(move || file.sync_data());
    let deadline = Instant::now() + PATIENCE;
    while disk.counts().await.unwrap().held == 0 {
        assert!(Instant::now() < deadline, "nothing is held");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut reader = File::open(at.join("f")).unwrap();
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, "new", "reads go on");
    disk.crash(Loss::Everything).await.unwrap();
    assert!(syncing.join().unwrap().is_err());
    assert_eq!(fs::read(at.join("f")).unwrap(), b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_loses_the_same() {
    let mut lost = Vec::new();
    for _ in 0..2 {
        let place = Place::new();
        let (disk, at) = place.disk(11).await;
        let file = synced(&at.join("f"), &[1; 65_536]);
        file.write_all_at(&[2; 65_536], 0).unwrap();
        for name in ["a", "b", "c", "d", "e", "g"] {
            File::create_new(at.join(name)).unwrap();
        }
        disk.crash(Loss::Some).await.unwrap();
        let mut names: Vec<_> = fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        lost.push((fs::read(at.join("f")).unwrap(), names));
    }
    assert_eq!(lost[0], lost[1]);
    assert!(lost[0].0.contains(&1) && lost[0].0.contains(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_mounted_says_why() {
    let place = Place::new();
    let mut options = place.options(1);
    fs::write(place.folder.path().join("file"), "x").unwrap();
    options.backing = place.folder.path().join("file");
    let error = format!("{:#}", FaultDisk::mount(&options).await.unwrap_err());
    assert!(error.contains("file"), "{error}");
    assert!(!is_mounted(&options.mountpoint));
}

fn is_mounted(path: &Path) -> bool {
    mounts::mounted().unwrap().iter().any(|mounted| mounted == path)
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_disk_is_taken_away_by_its_handle_and_one_without_handle_at_the_next_start() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    synced(&at.join("f"), b"kept");
    kill(disk.pid().unwrap());
    until("the disk's death", PATIENCE, || fs::metadata(&at).is_err());
    assert!(format!("{:#}", disk.counts().await.unwrap_err()).contains("counts") || is_mounted(&at));
    drop(disk);
    assert!(!is_mounted(&at));
    let (disk, at) = place.disk(1).await;
    assert_eq!(fs::read(at.join("f")).unwrap(), b"kept");
    kill(disk.pid().unwrap());
    until("the disk's death", PATIENCE, || fs::metadata(&at).is_err());
    std::mem::forget(disk);
    assert!(is_mounted(&at), "nobody took it away");
    let (disk, at) = place.disk(1).await;
    assert_eq!(fs::read(at.join("f")).unwrap(), b"kept");
    disk.unmount().await.unwrap();
    assert!(!is_mounted(&at));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_whose_harness_was_killed_unmounts_itself_though_a_file_is_open_on_it() {
    let place = Place::new();
    let options = place.options(1);
    for folder in [&options.backing, &options.mountpoint] {
        fs::create_dir(folder).unwrap();
    }
    // The harness's part is played by a shell that holds the disk's standard input, and dies.
    let script = "sleep 600 | \"$0\" fault-fs \"$1\" \"$2\" --seed 1 >/dev/null & echo; wait";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, PLUMBLINE]).arg(&options.backing).arg(&options.mountpoint);
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut shell = shell.stdout(std::process::Stdio::null()).spawn().unwrap();
    let at = options.mountpoint.canonicalize().unwrap();
    until("the mount", PATIENCE, || is_mounted(&at));
    let open = File::create_new(at.join("f")).unwrap();
    (&open).write_all(b"x").unwrap();
    let sleeper = children_named("sleep", shell.id());
    assert_eq!(sleeper.len(), 1);
    kill(shell.id());
    shell.wait().unwrap();
    kill(sleeper[0]);
    until("the unmount", PATIENCE, || !is_mounted(&at));
    drop(open);
    until("all is durable", PATIENCE, || {
        fs::read(options.backing.join("f")).is_ok_and(|bytes| bytes == b"x")
    });
}

/// Processes of this name in this process group.
fn children_named(name: &str, group: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (front, back) = stat.rsplit_once(')')?;
        let is_it = front.ends_with(&format!("({name}")) && back.split(' ').nth(3)? == group.to_string();
        if is_it { entry.file_name().to_str()?.parse().ok() } else { None }
    });
    pids.collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test -p plumbline --release --test disk -- --ignored --nocapture cost"]
async fn cost_of_an_append_with_fdatasync_through_the_disk_and_directly() {
    let place = Place::new();
    let (disk, at) = place.disk(1).await;
    let direct = place.folder.path().join("direct");
    fs::create_dir(&direct).unwrap();
    for round in 1..=3 {
        for (name, folder) in [("directly", &direct), ("through the fault disk", &at)] {
            println!("round {round}, {name}: {:?} for 4 KiB appended and synced", median(folder, round));
        }
    }
    disk.unmount().await.unwrap();
}

/// The middle one of a thousand.
fn median(folder: &Path, round: u64) -> Duration {
    let file = File::create_new(folder.join(round.to_string())).unwrap();
    let mut times: Vec<Duration> = (0..1_000)
        .map(|number| {
            let began = Instant::now();
            file.write_all_at(&[7; 4_096], number * 4_096).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
