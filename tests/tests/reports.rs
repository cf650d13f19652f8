//! What is made of runs, end to end with real servers: pages, comparisons, JUnit, the web server, soaks, experiments, sweeps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{PLUMBLINE, json, plumbline, processes_in, run_with, server, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn folders(of: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_a_page_a_junit_file_and_what_the_harness_took() {
    let store = tempfile::tempdir().unwrap();
    let junit = store.path().join("junit.xml");
    let args = ["--nodes", "3", "--time-limit", "4s", "--seed", "11", "--nemesis", "kill", "--json"];
    let output =
        run_with(server(), store.path(), &[&args[..], &["--junit", junit.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let harness = &json(&output)["harness"];
    assert!(harness["cpu_seconds"].as_f64().unwrap() > 0.0, "{harness}");
    let share = harness["cpu_share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0, "{harness}");
    let page = std::fs::read_to_string(store.path().join("latest/report.html")).unwrap();
    for part in [
        ">PASS</span>",
        "seed 11",
        "kill ",
        "leads",
        "Latency of every operation",
        "The servers' logs around",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains(r#"tests="1" failures="0" errors="0""#) && junit.contains("kv seed 11"),
        "{junit}"
    );

    // The page can be made again, and the run be compared, with itself at least.
    let latest = store.path().join("latest");
    std::fs::remove_file(latest.join("report.html")).unwrap();
    assert_eq!(plumbline(&["report", latest.to_str().unwrap()]).status.code(), Some(0));
    assert!(latest.join("report.html").exists());
    let both = store.path().join("both.html");
    let (run, html) = (latest.to_str().unwrap(), both.to_str().unwrap());
    let compared = json(&plumbline(&["compare", run, run, "--json", "--html", html]));
    assert_eq!(compared["settings"], Value::Array(Vec::new()));
    let rows = compared["rows"].as_array().unwrap();
    assert!(rows.len() > 20 && rows.iter().all(|row| row["a"] == row["b"]), "{rows:?}");
    assert!(std::fs::read_to_string(both).unwrap().contains("Two runs side by side"));
    assert_eq!(plumbline(&["compare", run, store.path().to_str().unwrap()]).status.code(), Some(2));
}

struct Serving(Child, u16);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(store: &Path) -> Serving {
    let mut command = Command::new(PLUMBLINE);
    command.args(["serve", "--port", "0"]).arg(store).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split('/').next()).unwrap();
    let port = port.parse().unwrap();
    Serving(child, port)
}

/// Exactly these bytes as a request's line, so that nothing tidies them up.
fn ask(port: u16, line: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    text(&answer)
}

#[test]
fn the_store_is_served_on_loopback_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let run = store.join("kv/20260101T000000.000Z");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(folder.path().join("secret"), "beside the store").unwrap();
    std::os::unix::fs::symlink("../secret", store.join("link")).unwrap();
    std::fs::write(run.join("results.json"), r#"{"valid":true,"test":"kv","seed":5}"#).unwrap();
    std::fs::write(run.join("verdict.txt"), "PASS").unwrap();
    let serving = serve(&store);
    let port = serving.1;
    let get = |path: &str| ask(port, &format!("GET {path}"), &format!("127.0.0.1:{port}"));
    let list = get("/");
    assert!(list.starts_with("HTTP/1.1 200") && list.contains("20260101T000000.000Z"), "{list}");
    for header in ["nosniff", "default-src 'none'", "cross-origin-resource-policy: same-origin"] {
        assert!(list.to_lowercase().contains(&header.to_lowercase()), "no {header}:\n{list}");
    }
    let file = get("/files/kv/20260101T000000.000Z/verdict.txt");
    assert!(file.ends_with("\r\n\r\nPASS") && file.contains("text/plain"), "{file}");
    let head = ask(port, "HEAD /files/kv/20260101T000000.000Z/verdict.txt", "localhost");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    for path in [
        "/../secret",
        "/files/../secret",
        "/files/../../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/kv/../../secret",
        "/files/link",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/..%5csecret",
        "/files/kv%00",
    ] {
        let answer = get(path);
        assert!(!answer.contains("beside the store") && !answer.contains("root:"), "{path}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    assert!(ask(port, "GET /", "evil.example").starts_with("HTTP/1.1 421"));
    assert!(ask(port, "POST /", "localhost").starts_with("HTTP/1.1 405"));
    assert!(ask(port, "GET http://127.0.0.1/", "127.0.0.1").starts_with("HTTP/1.1 404"), "it is no proxy");
    // Not on another address of this machine either, were it to be asked there.
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listening: Vec<&str> =
        sockets.lines().filter(|line| line.contains(&format!(":{port:04X} 00000000:0000 0A"))).collect();
    assert!(
        listening.iter().all(|line| line.contains(" 0100007F:")) && listening.len() == 1,
        "{listening:?}"
    );
}

#[test]
fn a_soak_keeps_nothing_of_what_passed_and_sums_up() {
    let store = tempfile::tempdir().unwrap();
    let (server, at) = (server().to_str().unwrap(), store.path().to_str().unwrap());
    let run = ["--", "--nodes", "3", "--time-limit", "2s", "--nemesis", "none"];
    let soak =
        ["soak", "--hours", "1", "--runs", "2", "--seed", "5", "--json", "--server", server, "--store", at];
    let output = plumbline(&[&soak[..], &run].concat());
    let summary = json(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(
        (&summary["valid"], &summary["passed"], &summary["left_behind"]),
        (&true.into(), &2.into(), &0.into())
    );
    assert!(summary["operations"].as_u64().unwrap() > 100, "{summary}");
    let error = text(&output.stderr);
    assert_eq!(error.lines().filter(|line| line.starts_with("PASS ")).count(), 2, "a line for each: {error}");
    assert!(folders(&store.path().join("kv")).is_empty(), "what passed is gone");
    assert!(store.path().join("soak/latest/results.json").is_file());
    assert!(!store.path().join("kv/latest").is_symlink());
}

#[test]
fn a_soak_keeps_what_did_not_pass_and_its_exit_code_is_the_worst() {
    let store = tempfile::tempdir().unwrap();
    let (server, at) = (server().to_str().unwrap(), store.path().to_str().unwrap());
    // A server alone has no link to cut.
    let run = ["--", "--nodes", "1", "--time-limit", "2s", "--nemesis", "partition"];
    let soak = ["soak", "--hours", "1", "--runs", "1", "--json", "--server", server, "--store", at];
    let output = plumbline(&[&soak[..], &run].concat());
    let summary = json(&output);
    assert_eq!(output.status.code(), Some(3), "{summary}\n{}", text(&output.stderr));
    assert_eq!(summary["unknown"], 1, "{summary}");
    assert_eq!(folders(&store.path().join("kv")).len(), 1, "it is kept");
    assert!(summary["runs"][0]["why"][0].as_str().is_some_and(|why| !why.is_empty()), "{summary}");
    // A program that is no server is the environment's fault.
    let soak = [
        "soak",
        "--hours",
        "1",
        "--runs",
        "5",
        "--server",
        "/bin/false",
        "--store",
        at,
        "--",
        "--time-limit",
        "1s",
    ];
    let output = plumbline(&soak);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout).matches("ERROR ").count(),
        6,
        "three runs, then it gives up, and says so again"
    );
}

#[test]
fn a_soak_that_is_stopped_finishes_its_run_in_order() {
    let store = tempfile::tempdir().unwrap();
    let mut command = Command::new(PLUMBLINE);
    command
        .args(["soak", "--hours", "1", "--seed", "5", "--json", "--server"])
        .arg(server())
        .arg("--store")
        .arg(store.path());
    command.args(["--", "--nodes", "3", "--time-limit", "10m", "--nemesis", "none"]);
    let soak = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let history = store.path().join("kv/latest/history.jsonl");
    until("operations", Duration::from_secs(60), || {
        std::fs::read_to_string(&history).is_ok_and(|text| text.matches(r#""type":"ok""#).count() > 50)
    });
    kill(Pid::from_raw(soak.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = soak.wait_with_output().unwrap();
    let summary = json(&output);
    assert_eq!((output.status.code(), &summary["stopped"]), (Some(3), &true.into()), "{summary}");
    assert!(summary["runs"][0]["why"].to_string().contains("interrupted"), "{summary}");
    assert!(processes_in(store.path()).is_empty());
}

/// A shortened experiment.
fn scenario(store: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let (server, at) = (server().to_str().unwrap(), store.to_str().unwrap());
    let fixed = [
        "--server",
        server,
        "--store",
        at,
        "--seed",
        "3",
        "--json",
        "--lifetime",
        "9s",
        "--first-request",
        "2s",
    ];
    let output =
        plumbline(&[&["scenario"], args, &fixed, &["--spacing", "20ms", "--requests", "250"]].concat());
    (output.status.code(), json(&output))
}

#[test]
fn the_first_experiment_counts_everything_and_nothing_goes_wrong() {
    let store = tempfile::tempdir().unwrap();
    let (code, outcome) = scenario(store.path(), &["seed-1"]);
    assert_eq!((code, &outcome["valid"]), (Some(0), &true.into()), "{outcome}");
    let figures = &outcome["figures"];
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("no {name}: {figures}"));
    assert_eq!(figure("get_requests") + figure("put_requests"), 250);
    assert!(figure("get_requests") > 170, "eight in ten are gets: {figures}");
    for name in ["unanswered_gets", "unanswered_puts", "failed_gets", "failed_puts", "wrong_gets"] {
        assert_eq!(figure(name), 0, "{name}: {figures}");
    }
    // Four followers hear of each request and answer, and of twenty heartbeats a second.
    assert!((250..10_000).contains(&figure("messages_between_servers")), "{figures}");
    assert!(figure("redirects") > 0, "seven of eight clients begin with a follower, mostly: {figures}");
    assert_eq!(figures["leaders"].as_array().unwrap().len(), 1, "{figures}");
    assert!(figures["median_latency_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(outcome["conditions"].as_array().unwrap().len(), 4);
    let latest = store.path().join("seed-1/latest");
    for file in
        ["results.json", "verdict.txt", "history.jsonl", "history.edn", "report.html", "nodes/n5/server.log"]
    {
        assert!(latest.join(file).is_file(), "no {file}");
    }
    let told = std::fs::read_to_string(latest.join("verdict.txt")).unwrap();
    for line in [
        "leaders, in order",
        "servers that crashed",
        "messages between servers",
        "duplicate answers",
        "mean latency",
    ] {
        assert!(told.contains(line), "no {line}:\n{told}");
    }
    assert!(
        std::fs::read_to_string(latest.join("report.html")).unwrap().contains("messages between servers")
    );
}

#[test]
fn the_second_experiment_fails_leaders_for_good_and_goes_on() {
    let store = tempfile::tempdir().unwrap();
    let (code, outcome) = scenario(store.path(), &["seed-2", "--fail", "leader@4s", "--fail", "leader@6s"]);
    assert_eq!(code, Some(0), "{outcome}");
    let figures = &outcome["figures"];
    let failed = figures["servers_failed_on_purpose"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "{figures}");
    assert_eq!(figures["servers_that_crashed"], Value::Array(Vec::new()), "failed on purpose is not crashed");
    let leaders = figures["leaders"].as_array().unwrap();
    assert!(leaders.len() >= 3 && leaders[..2] == failed[..], "{figures}");
    assert!(figures["put_requests"].as_u64().unwrap() > figures["get_requests"].as_u64().unwrap());
    assert!(
        outcome["nemesis"]["faults"].as_array().unwrap().iter().all(|fault| fault["healed_at_ms"].is_null())
    );
    assert!(processes_in(store.path()).is_empty());
}

#[test]
fn followers_can_be_failed_likewise_and_a_majority_lost_breaks_the_conditions() {
    let store = tempfile::tempdir().unwrap();
    let lost = ["--fail", "follower@2500ms", "--fail", "follower[1]@2600ms", "--fail", "leader@2700ms"];
    let (code, outcome) = scenario(store.path(), &[&["seed-2"], &lost[..]].concat());
    assert_eq!((code, &outcome["valid"]), (Some(1), &false.into()), "{outcome}");
    let broken: Vec<&Value> =
        outcome["conditions"].as_array().unwrap().iter().filter(|one| one["holds"] == false).collect();
    assert!(broken.iter().any(|one| one["what"] == "share of unanswered puts"), "{broken:?}");
    assert_eq!(outcome["figures"]["wrong_gets"], 0);
    assert_eq!(outcome["linearizability"]["valid"], true, "what was answered was right");
}

#[test]
fn a_sweep_leaves_curves_and_tables_of_every_value() {
    let store = tempfile::tempdir().unwrap();
    let (server, at) = (server().to_str().unwrap(), store.path().to_str().unwrap());
    let sweep =
        ["sweep", "servers", "--values", "1,3", "--repeat", "2", "--lifetime", "4s", "--spacing", "10ms"];
    let output =
        plumbline(&[&sweep[..], &["--seed", "1", "--server", server, "--store", at, "--json"]].concat());
    let found = json(&output);
    assert_eq!((output.status.code(), &found["valid"]), (Some(0), &true.into()), "{found}");
    let points = found["points"].as_array().unwrap();
    let messages =
        |point: usize, of: usize| points[point]["figures"][of]["messages_between_servers"].as_u64().unwrap();
    assert_eq!((messages(0, 0), messages(0, 1)), (0, 0), "a server alone has nobody to talk to");
    assert!(messages(1, 0) > 200 && messages(1, 1) > 200);
    let latest = store.path().join("sweep-servers/latest");
    let csv = std::fs::read_to_string(latest.join("table.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    for file in ["table.md", "curves.svg", "report.html", "results.json"] {
        assert!(std::fs::metadata(latest.join(file)).unwrap().len() > 500, "{file}");
    }
    let refused = plumbline(&["sweep", "servers", "--values", "3,12", "--server", server, "--store", at]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("1 to 9"), "{}", text(&refused.stderr));
}
