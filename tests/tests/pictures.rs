//! The page of a verdict in a real browser: 100,000 operations, light and dark, searched, zoomed and pointed at.
//!
//! Where Chromium is at hand (`CHROMIUM`, or on the path) screenshots are taken and their places printed; elsewhere this says
//! that it skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use checker::generate::{Plan, Workload, generate};
use checker::{Event, Format, Kind, Process, Value, Writer};
use common::browser::{browse, chromium, noted};
use common::plumbline;

/// A long history with faults; its last read is stale if so asked.
fn history(path: &Path, stale: bool) {
    let plan =
        Plan { operations: 100_000, clients: 20, keys: 4, unknown: 2, ..Plan::new(Workload::KeyValue, 5) };
    let mut events = generate(&plan).events;
    let time = events.last().and_then(|event| event.time).unwrap() + 1_000;
    if stale {
        let first = events.iter().find(|event| &*event.f == "put").unwrap().clone();
        for (kind, value) in [(Kind::Invoke, Value::Nil), (Kind::Ok, first.value.clone())] {
            events.push(
                Event::new(1 << 20, kind, "get", value).on_key(first.key.clone().unwrap()).at_time(time),
            );
        }
    }
    let mut writer = Writer::new(std::io::BufWriter::new(fs::File::create(path).unwrap()), Format::JsonLines);
    for (at, event) in events.iter().enumerate() {
        let fault = match at % 20_000 {
            5_000 => Some("partition"),
            12_000 => Some("heal-partition"),
            _ => None,
        };
        if let Some(f) = fault {
            let mut fault =
                Event::new(0, Kind::Info, f, Value::string("n1 alone")).at_time(event.time.unwrap());
            fault.process = Process::nemesis();
            writer.write(&fault).unwrap();
        }
        writer.write(event).unwrap();
    }
    writer.flush().unwrap();
}

/// Run at the end of the page: does what a person would, and notes what came of it.
const VISIT: &str = include_str!("pictures/visit.js");

/// What a person would have seen.
fn seen(dom: &str, stale: bool, dark: bool) {
    let is = |name: &str, expected: &str| {
        assert_eq!(noted(dom, name), expected, "{name}, stale: {stale}, dark: {dark}")
    };
    is("ready", &(100_000 + i32::from(stale)).to_string());
    is("done", "yes");
    println!("drawn whole in {} ms, near in {} ms", noted(dom, "draw-all"), noted(dom, "draw-near"));
    // Virtual time stands still while a script runs, so this only shows that nothing is absurd.
    assert!(noted(dom, "draw-all").parse::<f64>().unwrap() < 1_000.0);
    is(
        "headings",
        if stale {
            "The minimal conflict, Why it goes no further, The whole history"
        } else {
            "The whole history"
        },
    );
    // The conflict is on the first screen, and the timeline begins at it.
    is("first", "yes");
    is("dark", if dark { "yes" } else { "no" });
    is("resources", "0");
    is("network", "refused");
    is("nothing", "0 found");
    is("several", "yes");
    is("found", "1 of 1");
    for place in ["selected", "tip"] {
        let said = noted(dom, place);
        assert!(said.contains("put 77") && said.contains("process"), "{place}: {said}");
        if !stale {
            assert!(said.contains("state before") && said.contains("state after   77"), "{place}: {said}");
        }
    }
    for drawn in ["bar", "point", "tail", "band"] {
        is(drawn, "drawn");
    }
    assert!(noted(dom, "band-tip").contains("partition n1 alone"), "{}", noted(dom, "band-tip"));
    // Another order, or another way to go on, gives other points.
    assert!(noted(dom, "orders").parse::<usize>().unwrap() > 2, "{}", noted(dom, "orders"));
    is("other-order", "yes");
    is("no-order", "not in any order");
    assert!(noted(dom, "zoomed").parse::<f64>().unwrap() > 1.2);
    is("axis", "time");
}

#[test]
fn the_page_of_a_hundred_thousand_operations_works_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let browser = chromium();
    for stale in [true, false] {
        let recorded = folder.path().join("history.jsonl");
        history(&recorded, stale);
        let name = if stale { "bad" } else { "good" };
        let (page, svg) = (kept.join(format!("{name}.html")), kept.join(format!("{name}.svg")));
        let (html, drawing) = (page.to_str().unwrap(), svg.to_str().unwrap());
        let output = plumbline(&["check", recorded.to_str().unwrap(), "--html", html, "--svg", drawing]);
        assert_eq!(output.status.code(), Some(i32::from(stale)));
        println!("{html}: {} bytes", fs::metadata(&page).unwrap().len());
        let Some(browser) = &browser else {
            println!("skipped: no chromium (set CHROMIUM to look at the pages)");
            continue;
        };
        let visited = folder.path().join("visited.html");
        let whole = fs::read_to_string(&page).unwrap();
        fs::write(&visited, whole.replace("</body>", &format!("<script>{VISIT}</script></body>"))).unwrap();
        for dark in [false, true] {
            let dom = browse(browser, folder.path(), dark, visited.to_str().unwrap(), "--dump-dom");
            seen(&dom, stale, dark);
        }
        let mut sizes = Vec::new();
        for (dark, scheme) in [(false, "light"), (true, "dark")] {
            for (what, address) in
                [("page", html.to_owned()), ("all", format!("{html}#all")), ("svg", drawing.to_owned())]
            {
                let shot = kept.join(format!("{name}-{what}-{scheme}.png"));
                browse(browser, folder.path(), dark, &address, &format!("--screenshot={}", shot.display()));
                let picture = fs::read(&shot).unwrap();
                println!("screenshot: {}", shot.display());
                assert!(picture.len() > 10_000, "{}: an empty page", shot.display());
                sizes.push(picture);
            }
        }
        for (light, dark) in sizes[..3].iter().zip(&sizes[3..]) {
            assert_ne!(light, dark, "both sides look the same");
        }
    }
}
