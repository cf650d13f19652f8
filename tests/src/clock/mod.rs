//! Clocks that are wrong: what a server is told about the time, decided from outside while it runs.
//!
//! A server that is started with the shim (a library to preload, package `clock-shim`) asks a small file what to make of
//! its clocks; [`ClockFile`] is the harness's hand on that file. The real clocks of the machine are left alone, and no other
//! process sees anything. What the shim covers, and what not, its own documentation says.

mod file;
mod shim;

pub use file::ClockFile;
pub(crate) use file::{FASTEST_PPM, SLOWEST_PPM};
pub use shim::{find_shim, trial};

/// The environment variable that makes the shim part of a process.
pub const PRELOAD: &str = "LD_PRELOAD";
/// The environment variable that tells the shim its file.
pub const CONTROL: &str = "PLUMBLINE_CLOCK";
