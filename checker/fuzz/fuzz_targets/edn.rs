//! Jepsen's EDN, and Porcupine's key-value maps, which are written in it. See `reading`.

#![no_main]

mod reading;

use checker::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| reading::survives(bytes, Some(Format::Edn)));
