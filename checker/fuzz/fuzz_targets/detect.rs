//! The format found out from the content. What was found must not matter: the reader of that format says the same. See `reading`.

#![no_main]

mod reading;

use checker::{History, ReadOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    reading::survives(bytes, None);
    let Ok(found) = History::read(bytes, "fuzz", &ReadOptions::default()) else { return };
    let told = History::read(bytes, "fuzz", &ReadOptions { format: found.format, ..ReadOptions::default() });
    let told = told.expect("what was read with the format found out is read with the format told");
    assert_eq!(format!("{told:?}"), format!("{found:?}"));
});
