//! The page of a run in a real browser: all charts drawn, one line through them under the pointer, light and dark.
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

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use common::browser::{browse, chromium, noted};
use common::{plumbline, text};

/// A minute of four clients: every tenth of a second nothing succeeds while a server is down; one read is stale if so asked.
fn leave(folder: &Path, stale: bool) {
    let mut history = String::new();
    let mut event = |ms: u64, process: u64, kind: &str, f: &str, value: &str| {
        let time = ms * 1_000_000;
        writeln!(
            history,
            r#"{{"time":{time},"process":{process},"type":"{kind}","f":"{f}","key":"k","value":{value}}}"#
        )
        .unwrap();
    };
    for at in 0..1_500_u64 {
        let (ms, value) = (at * 40, at.to_string());
        let down = (20_000..21_500).contains(&ms) || (41_000..41_800).contains(&ms);
        event(ms, 0, "invoke", "write", &value);
        event(ms + 2 + at % 7, 0, if down { "fail" } else { "ok" }, "write", &value);
        event(ms + 10, 1, "invoke", "read", "null");
        let last = if down { if ms < 30_000 { 499 } else { 1_024 } } else { at };
        let seen = if stale && at == 1_200 { 1_190 } else { last };
        event(ms + 12 + at % 11, 1, "ok", "read", &seen.to_string());
    }
    fs::write(folder.join("history.jsonl"), history).unwrap();
    let fault = |kind: &str, what: &str, from: u64, to: u64, effective: bool, nodes: &[u64]| serde_json::json!({"kind": kind, "what": what, "at_ms": from, "healed_at_ms": to, "effective": effective, "nodes": nodes});
    let samples: Vec<_> = (1..120).map(|at| serde_json::json!({"at_ms": at * 500, "harness": 0.1 + 0.01 * f64::from(at % 9), "machine": 1.2 + 0.03 * f64::from(at % 17)})).collect();
    let findings = if stale {
        serde_json::json!([{"weight": "violation", "what": "not linearizable: key k"}, {"weight": "remark", "what": "the fault at 50000 ms had no effect: isolate n3"}])
    } else {
        serde_json::json!([])
    };
    let results = serde_json::json!({
        "valid": !stale, "test": "kv", "seed": 42, "findings": findings,
        "linearizability": {"valid": !stale, "model": "kv"},
        "nemesis": {"faults": [
            fault("kill", "kill the leader n1", 20_000, 26_000, true, &[1]), fault("latency", "slow 6 links by 52±46 ms", 30_000, 36_000, true, &[]),
            fault("pause", "pause the leader n2", 41_000, 44_000, true, &[2]), fault("partition", "isolate n3", 50_000, 53_000, false, &[]),
        ]},
        "leaders": [{"at_ms": 0, "term": 1, "node": 1}, {"at_ms": 21_200, "term": 2, "node": 2}, {"at_ms": 41_700, "term": 3, "node": 3}],
        "nodes": [{"id": 1}, {"id": 2}, {"id": 3}],
        "operations": {"ok_per_second": 49.0, "errors": {"not done: no answer from 127.0.0.1:1 in time": 57}},
        "harness": {"origin_unix_ms": 1_000_000, "processors": 2, "cpu_share": 0.07, "machine_share": 0.7, "late_p50_ms": 0.1, "late_p99_ms": 0.9, "late_max_ms": 4.0, "samples": samples},
        "setup": {"nodes": 3, "rate": 300},
    });
    fs::write(folder.join("results.json"), results.to_string()).unwrap();
    for node in 1..=3 {
        let nodes = folder.join(format!("nodes/n{node}"));
        fs::create_dir_all(&nodes).unwrap();
        let mut log = String::new();
        for second in 0..60 {
            let at = 1_000 + second;
            let level = if second % 20 == 0 {
                " WARN kv_server::shell::links: no connection peer=1"
            } else {
                " INFO kv_server::shell::driver: leads term=2"
            };
            writeln!(log, "1970-01-01T00:{:02}:{:02}.5Z {level}", at / 60, at % 60).unwrap();
        }
        fs::write(nodes.join("server.log"), log).unwrap();
    }
}

/// Run at the end of the page: points at a chart and notes what came of it.
const VISIT: &str = r#"<script>
(() => {
  const note = (name, value) => { document.documentElement.dataset[name] = value; };
  const chart = document.querySelectorAll("svg.chart")[1], box = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + 20, bubbles: true }));
  note("at", document.getElementById("at").textContent);
  note("lines", [...document.querySelectorAll(".cursor")].filter((line) => line.style.visibility === "visible").length);
  note("wide", document.documentElement.scrollWidth <= window.innerWidth);
  note("curves", document.querySelectorAll("path.curve").length);
  note("blocks", document.querySelectorAll(".block").length);
})();
</script>"#;

#[test]
fn the_page_of_a_run_works_in_a_browser_in_light_and_dark() {
    let Some(browser) = chromium() else {
        println!("skipped: no chromium (set CHROMIUM to look at the pages)");
        return;
    };
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir().unwrap();
    for stale in [true, false] {
        let run = folder.path().join(if stale { "bad" } else { "good" });
        fs::create_dir_all(&run).unwrap();
        leave(&run, stale);
        let made = plumbline(&["report", run.to_str().unwrap()]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        let page = run.join("report.html");
        let visited = folder.path().join("visited.html");
        let whole = fs::read_to_string(&page).unwrap();
        fs::write(&visited, whole.replace("</body>", &format!("{VISIT}</body>"))).unwrap();
        let dom = browse(&browser, folder.path(), false, visited.to_str().unwrap(), "--dump-dom");
        assert_eq!(noted(&dom, "charts"), "6", "lanes, scatter, quantiles, rates, availability, processors");
        assert_eq!(noted(&dom, "lines"), "6", "one line through all of them");
        let at: f64 = noted(&dom, "at").trim_end_matches(" s").parse().unwrap();
        assert!((25.0..33.0).contains(&at), "the middle of a minute, and not {at}");
        assert_eq!(noted(&dom, "wide"), "true", "nothing sticks out");
        assert!(
            noted(&dom, "curves").parse::<u32>().unwrap() >= 8
                && noted(&dom, "blocks").parse::<u32>().unwrap() >= 10
        );
        let shots = [(false, "light"), (true, "dark")].map(|(dark, scheme)| {
            let shot = kept.join(format!("report-{}-{scheme}.png", if stale { "bad" } else { "good" }));
            let address = page.to_str().unwrap();
            browse(&browser, folder.path(), dark, address, &format!("--screenshot={}", shot.display()));
            println!("screenshot: {}", shot.display());
            fs::read(&shot).unwrap()
        });
        assert!(shots.iter().all(|shot| shot.len() > 30_000), "an empty page");
        assert_ne!(shots[0], shots[1], "both sides look the same");
    }
}
