//! A disk that fails: a file system of our own, between a server and a folder.
//!
//! ```text
//!    server ──write, fsync──▶ kernel ──▶ plumbline fault-fs ──what is synced──▶ backing folder
//!                                           ▲      └ in memory: what is not
//!    harness ──set, freeze, crash, counts───┘ (JSON lines; when the harness is gone, the disk unmounts)
//! ```
//!
//! The backing folder is at any time what a power failure would leave: files as they were when they were last synced, names as
//! they were when their folder was last synced. What is not synced is in memory only. So killing the server *and* cutting
//! the disk's power loses what the server did not sync, which killing alone never does: the kernel still had it.
//!
//! To cut the power at one moment, [`FaultDisk::freeze`] first (what is under way waits, and cannot become durable), then kill,
//! then [`FaultDisk::crash`] (what waits fails, and the killed process can end), then start again.
//!
//! * `content`: the bytes of one file. `tree`: files and folders as they show; `durable`: what makes names durable, by
//!   which rules, and what a crash leaves. All three know nothing of FUSE.
//! * `faults`: the settings, the draws and the counters. `state`: all of it under one lock.
//! * `filesystem`: the kernel's requests. `serve`: the process. `control`: what it is told. `handle`: the harness's
//!   side. `mounts`: what is mounted, and how it is taken away, also at the next start. [`trial`](trial()): whether that works here.
//!
//! # What this does not do
//!
//! No hard links, symbolic links, device files or extended attributes. Permissions and times are not lost in a crash, owners are.
//! A sector survives as it was last or as it was at the last sync, never as it was in between. A file's size is limited by
//! memory only as far as it is not synced.

mod content;
mod control;
mod durable;
mod faults;
mod filesystem;
mod handle;
pub mod mounts;
mod serve;
mod state;
mod tree;
mod trial;

pub use control::{Answer, Request};
pub use faults::{DiskCounts, DiskError, DiskFaults, Loss, Refusal, When};
pub use handle::{DiskOptions, FaultDisk};
pub use serve::serve;
pub use trial::trial;
