//! JSON lines. See `reading`.

#![no_main]

mod reading;

use checker::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| reading::survives(bytes, Some(Format::JsonLines)));
