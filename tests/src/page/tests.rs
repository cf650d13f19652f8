//! Pages of made-up runs: what must be on them, and that nothing in a run can break out of its text.

use std::path::Path;

use super::*;

/// A run's folder: a stale read in the third second, a kill before it, and servers that say something.
pub(crate) fn folder_of_a_run(stale: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    let mut event = |ms: u64, process: &str, kind: &str, f: &str, value: &str| {
        lines.push(format!(
            r#"{{"time":{},"process":{process},"type":"{kind}","f":"{f}","key":"k<1>","value":{value}}}"#,
            ms * 1_000_000
        ));
    };
    for at in 0..60 {
        let (from, value) = (at * 50, at.to_string());
        event(from, "0", "invoke", "write", &value);
        event(from + 4, "0", "ok", "write", &value);
        event(from + 10, "1", "invoke", "read", "null");
        let seen = if stale && at == 50 { "3".to_owned() } else { value };
        event(from + 13, "1", "ok", "read", &seen);
    }
    event(3_100, "2", "invoke", "write", "1000");
    event(3_900, "2", "info", "write", "1000");
    std::fs::write(folder.path().join("history.jsonl"), lines.join("\n") + "\n").unwrap();
    let results = serde_json::json!({
        "valid": !stale, "test": "kv", "seed": 42,
        "findings": if stale { serde_json::json!([{"weight": "violation", "what": "not linearizable: key k<1>\nmore"}]) } else { serde_json::json!([]) },
        "linearizability": {"valid": !stale, "model": "kv"},
        "nemesis": {"faults": [
            {"kind": "kill", "what": "kill the <b>leader</b> n1", "at_ms": 1000, "healed_at_ms": 2000, "effective": true, "nodes": [1]},
            {"kind": "partition", "what": "isolate n2", "at_ms": 2200, "healed_at_ms": 2600, "effective": false, "nodes": []},
        ]},
        "leaders": [{"at_ms": 0, "term": 1, "node": 1}, {"at_ms": 1300, "term": 2, "node": 2}],
        "nodes": [{"id": 1}, {"id": 2}],
        "operations": {"ok_per_second": 40.0, "errors": {"no answer <script>alert(1)</script>": 3}},
        "harness": {"origin_unix_ms": 10_000, "processors": 2, "cpu_share": 0.04, "late_p50_ms": 0.1, "late_p99_ms": 0.4, "late_max_ms": 1.0,
            "samples": [{"at_ms": 500, "harness": 0.1, "machine": 0.7}, {"at_ms": 1000, "harness": 0.08, "machine": 0.9}]},
        "watches": {"watchers": 3, "events": 120, "revisions": 60, "broken": if stale { serde_json::json!([{
            "law": "a watch went back in time", "what": "n1: revision 4 <i>after</i> 9",
            "around": [{"at_ms": 900, "revision": 9, "what": "k<1> = \"8\"", "broken": false},
                {"at_ms": 950, "revision": 4, "what": "k<1> = \"3\"", "broken": true}],
        }]) } else { serde_json::json!([]) }},
        "replicas": {"level": true, "diverged": []},
        "setup": {"nodes": 2, "command_line": ["plumbline", "run"]}, "phases": {"check_ms": 3},
    });
    std::fs::write(folder.path().join("results.json"), results.to_string()).unwrap();
    for node in 1..=2 {
        let nodes = folder.path().join(format!("nodes/n{node}"));
        std::fs::create_dir_all(&nodes).unwrap();
        let log = format!(
            "1970-01-01T00:00:12.500Z  WARN server n{node} says </p><script>\n1970-01-01T00:00:59Z  INFO much later\n"
        );
        std::fs::write(nodes.join("server.log"), log).unwrap();
    }
    folder
}

fn page(folder: &Path) -> String {
    std::fs::read_to_string(write(folder).unwrap()).unwrap()
}

#[test]
fn a_violated_run_s_page_begins_with_the_verdict_and_the_minimal_conflict() {
    let folder = folder_of_a_run(true);
    let html = page(folder.path());
    let places: Vec<usize> = [
        ">FAIL</span>",
        "not linearizable: key k&lt;1&gt;",
        "The minimal conflict",
        "class=\"drawing\"",
        "Findings",
        "What watchers were told",
        "n1: revision 4 &lt;i&gt;after&lt;/i&gt; 9",
        "◀ must not be told here",
        "Leaders, servers and faults",
        "Latency of every operation",
        "Latency quantiles",
        "Operations per second",
        "Availability",
        "Processors",
        "recovery after injection",
        "The servers' logs around the minimal conflict",
    ]
    .iter()
    .map(|part| html.find(part).unwrap_or_else(|| panic!("no {part}")))
    .collect();
    assert!(places.is_sorted(), "in this order: {places:?}");
    assert!(html.contains("server n1 says") && html.contains("server n2 says"));
    assert!(!html.contains("much later"), "only lines around the anomaly");
    assert!(html.contains("The harness took 4 % of 2 processors"));
    let history = std::fs::read_to_string(folder.path().join(HISTORY_PAGE)).unwrap();
    assert!(history.contains("NOT linearizable") && html.contains("href=\"history.html\""));
}

#[test]
fn a_page_fetches_nothing_and_a_run_s_texts_stay_text() {
    for stale in [true, false] {
        let folder = folder_of_a_run(stale);
        let html = page(folder.path());
        assert!(
            !html.contains("http:")
                || html.matches("http:").count() == html.matches("http://www.w3.org/2000/svg").count()
        );
        for fetching in ["https:", "src=", "@import", "url(", "<link", "<img"] {
            assert!(!html.contains(fetching), "{fetching}");
        }
        assert!(html.contains("default-src 'none'"));
        assert_eq!(html.matches("<script").count(), 1, "only our own");
        assert!(html.contains("kill the &lt;b&gt;leader&lt;/b&gt; n1"));
    }
}

#[test]
fn a_run_that_passed_says_so_and_shows_what_its_faults_cost() {
    let folder = folder_of_a_run(false);
    let html = page(folder.path());
    assert!(html.contains(">PASS</span>") && html.contains("Everything that was checked holds."));
    assert!(html.contains("<b>equal</b><span>replicas</span>"));
    assert!(!html.contains("The minimal conflict") && !html.contains("What watchers were told"));
    assert!(html.contains("the longest silence (nothing was violated)"));
    // The first operation since the kill is the write at its very moment, which took 4 ms.
    assert!(html.contains("<td>0.004 s</td>"), "{}", &html[html.find("recovery after").unwrap()..][..900]);
}

#[test]
fn results_alone_make_a_page_too_and_no_results_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(write(folder.path()).is_err());
    std::fs::write(folder.path().join("results.json"), r#"{"operations": 7, "figures": {"messages": 12}}"#)
        .unwrap();
    let html = page(folder.path());
    assert!(html.contains("the run left no history.jsonl") && html.contains("not judged"));
    assert!(html.contains("<b>12</b><span>messages</span>"));
}
