//! Whatever members, strangers and the host say to a node, in whatever order, it does not panic, does not allocate without
//! bound, goes back on nothing, and does the same thing again if it is asked again.
//!
//! `generator` turns bytes into starts and steps, `said` into messages; `watched` takes the node through them on the `disk` of
//! a host, and `judged` (with `answered`, `following` and `leading`) says what must hold after each. `.ci/run fuzz`, or
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir raft-core/fuzz --sanitizer none hostile
//! ```

#![no_main]

mod answered;
mod disk;
mod following;
mod generator;
mod judged;
mod leading;
mod members;
mod node;
mod said;
mod watched;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|sequence: generator::Sequence| {
    let mut watched = watched::Watched::start(&sequence.start);
    for step in &sequence.steps {
        watched.take(step);
    }
});
