//! Whatever bytes a reader is given, it does not panic, takes no more memory than so many times the bytes, and says where
//! it stopped; and what it took for a history is the same when it is written and read again, whole or in pieces.

use checker::history::{Builder, Stream, Writer};
use checker::{Event, Format, History, Operation, ReadError, ReadOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{self, Read};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All that may be taken for buffers and tables, whatever the input.
const FIXED: usize = 1 << 20;
/// All that may be taken for each byte of input, freed or not: the shortest value has two bytes, and is moved as its
/// collection grows.
const EACH: usize = 400;

pub(crate) fn survives(bytes: &[u8], format: Option<Format>) {
    let options = ReadOptions { format, ..ReadOptions::default() };
    let region = Region::new(ALLOCATOR);
    let read = History::read(bytes, "fuzz", &options);
    let taken = region.change();
    let taken = taken.bytes_allocated + usize::try_from(taken.bytes_reallocated).unwrap_or(0);
    assert!(taken <= FIXED + EACH * bytes.len(), "{taken} bytes for {} of input", bytes.len());
    streams(bytes, &options, &read);
    match read {
        Err(error) => assert!(error.line >= 1 && error.column >= 1, "no place: {error}"),
        Ok(history) => {
            let format = history.format.expect("it was read");
            let written = written(&history, format);
            let again = History::read(&*written, "fuzz", &ReadOptions { format: Some(format), ..options });
            let again = again.unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(&written)));
            assert_eq!(facts(&again), facts(&history), "{}", String::from_utf8_lossy(&written));
        }
    }
}

fn written(history: &History, format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format);
    for event in history.events() {
        writer.write(&event).expect("a vector takes all");
    }
    writer.into_inner()
}

/// All that must survive: not lines, nor clocks (which the writer puts in order), nor the errors of clients.
#[derive(Debug, PartialEq)]
struct Facts {
    operations: Vec<Operation>,
    annotations: Vec<Event>,
    counts: checker::Counts,
}

fn facts(history: &History) -> Facts {
    let mut order: Vec<u32> = Vec::new();
    let mut operations: Vec<Operation> = history.operations.iter().collect();
    for operation in &operations {
        order.push(operation.invoked.position);
        order.extend(operation.completed.map(|mark| mark.position));
    }
    order.sort_unstable();
    let place = |mark: &mut checker::Mark| {
        let position = order.partition_point(|known| *known < mark.position);
        *mark = checker::Mark { position: u32::try_from(position).expect("few"), line: 0, time: None };
    };
    for operation in &mut operations {
        place(&mut operation.invoked);
        operation.completed.iter_mut().for_each(place);
    }
    let plain = |(_, event): &(u32, Event)| Event { index: None, time: None, error: None, ..event.clone() };
    Facts { operations, annotations: history.annotations.iter().map(plain).collect(), counts: history.counts }
}

/// Three bytes at a time.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let many = buffer.len().min(3);
        self.0.read(&mut buffer[..many])
    }
}

/// As it comes, it is the same history, or wrong in the same place.
fn streams(bytes: &[u8], options: &ReadOptions, read: &Result<History, ReadError>) {
    let streamed = Stream::new(Drops(bytes), "fuzz", options).and_then(|mut stream| {
        let mut builder = Builder::new("fuzz", Some(stream.format()));
        let mut any = false;
        while let Some((event, line)) = stream.next_event()? {
            any = true;
            // The place of what cannot have happened is the caller's to say.
            if builder.push_line(event, line).is_err() {
                return Ok(None);
            }
        }
        Ok(any.then(|| builder.finish()))
    });
    match (streamed, read) {
        (Ok(Some(history)), Ok(read)) => assert_eq!(facts(&history), facts(read)),
        (Err(error), Err(read)) => assert_eq!(error.to_string(), read.to_string()),
        (Ok(None), Err(_)) => {}
        (streamed, read) => panic!("in pieces {streamed:?}, whole {read:?}"),
    }
}
