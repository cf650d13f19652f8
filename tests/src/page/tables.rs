//! The figures of a run in tables.

use std::fmt::Write as _;

use serde_json::Value;

use super::draw::number;
use super::series::{mean, quantiles};
use super::{Material, escape};

/// The most rows of a table on the page.
const MOST_ROWS: usize = 500;

/// The figures that one looks for first.
pub(super) fn figures(material: &Material) -> String {
    let run = &material.run;
    let mut cards: Vec<(String, String)> = Vec::new();
    let mut card = |name: &str, figure: Option<String>| {
        if let Some(figure) = figure {
            cards.push((name.to_owned(), figure));
        }
    };
    if !material.series.points.is_empty() {
        let [ok, fail, info] = material.series.counts(None);
        card("operations", Some((ok + fail + info).to_string()));
        card("ok · failed · unknown", Some(format!("{ok} · {fail} · {info}")));
        // An experiment has figures of its own, which count from when a request was due.
        let counted = run.at("/figures/mean_latency_ms").is_some();
        let mut all = if counted { Vec::new() } else { material.series.latencies(None) };
        card("mean latency", mean(&all).map(|mean| format!("{} ms", number(mean))));
        card(
            "median · 99 of 100",
            quantiles(&mut all).map(|[p50, _, p99, _]| format!("{} · {} ms", number(p50), number(p99))),
        );
        if let Some(found) = material.series.availability() {
            card("available", Some(format!("{} %", number(found.share * 100.0))));
            card("longest silence", Some(format!("{} s", number(found.silence))));
        }
    }
    card("ok per second", run.number("/operations/ok_per_second").map(number));
    let faults = run.faults();
    if !faults.is_empty() {
        let idle = faults.iter().filter(|fault| !fault.effective).count();
        card("faults · without effect", Some(format!("{} · {idle}", faults.len())));
    }
    let reigns = run.reigns();
    card("leaders seen", (!reigns.is_empty()).then(|| reigns.len().to_string()));
    let level = run.at("/replicas/level").and_then(Value::as_bool);
    let diverged = run.at("/replicas/diverged").and_then(Value::as_array);
    card(
        "replicas",
        diverged.map(|diverged| match (diverged.is_empty(), level) {
            (false, _) => "diverged".to_owned(),
            (true, Some(true)) => "equal".to_owned(),
            (true, _) => "not level".to_owned(),
        }),
    );
    let share = run.number("/harness/cpu_share");
    card("the harness' own CPU", share.map(|share| format!("{} %", number(share * 100.0))));
    // Whatever a test of another kind counts.
    for (name, value) in run.members("/figures") {
        card(&name.replace('_', " "), Some(value.as_str().map_or_else(|| plain(value), str::to_owned)));
    }
    let mut html = String::from("<section class=\"cards\">");
    for (name, figure) in cards {
        // Writing into a String cannot fail.
        let _ = write!(html, "<div><b>{}</b><span>{}</span></div>", escape(&figure), escape(&name));
    }
    html.push_str("</section>\n");
    html
}

pub(super) fn plain(value: &Value) -> String {
    match value.as_f64() {
        Some(figure) if !value.is_u64() => number(figure),
        _ => match value.as_array() {
            Some(items) if items.is_empty() => "none".to_owned(),
            Some(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
            None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        },
    }
}

/// Operations by kind, faults with their recovery, errors.
pub(super) fn section(material: &Material) -> String {
    let mut html = String::from("<section>");
    operations(&mut html, material);
    faults(&mut html, material);
    errors(&mut html, material);
    html.push_str("</section>\n");
    html
}

fn operations(html: &mut String, material: &Material) {
    let series = &material.series;
    if series.points.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Operations</h2><table><thead><tr><th></th><th>ok</th><th>failed</th><th>unknown</th><th>mean</th><th>median</th>\
         <th>95 of 100</th><th>99 of 100</th><th>longest</th></tr></thead><tbody>",
    );
    for (f, name) in series.names.iter().enumerate() {
        let [ok, fail, info] = series.counts(Some(f));
        let mut latencies = series.latencies(Some(f));
        let ms = |value: f64| format!("{} ms", number(value));
        let average = mean(&latencies).map_or_else(String::new, ms);
        let four =
            quantiles(&mut latencies).map_or_else(|| vec![String::new(); 4], |four| four.map(ms).to_vec());
        let _ = write!(
            html,
            "<tr><th>{}</th><td>{ok}</td><td>{fail}</td><td>{info}</td><td>{average}</td><td>{}</td></tr>",
            escape(name),
            four.join("</td><td>"),
        );
    }
    html.push_str("</tbody></table>");
}

fn faults(html: &mut String, material: &Material) {
    let faults = material.run.faults();
    if faults.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Faults, and when things went on</h2><p class=\"faint\">Recovery: how long after the injection, and after the healing, \
         an operation that began since then first succeeded. Silence: the longest time without any success that began while the \
         fault lasted.</p><table><thead><tr><th>at</th><th>until</th><th>what</th><th>effect</th><th>recovery after injection</th>\
         <th>after healing</th><th>silence</th></tr></thead><tbody>",
    );
    let seconds =
        |value: Option<f64>| value.map_or_else(|| "never".to_owned(), |value| format!("{} s", number(value)));
    for fault in faults.iter().take(MOST_ROWS) {
        let recovery = material.series.recovery(fault);
        let seen = !material.series.points.is_empty();
        let cell = |value: Option<f64>| if seen { seconds(value) } else { String::new() };
        let healed = if fault.to.is_some() { cell(recovery.after_healing) } else { String::new() };
        let _ = write!(
            html,
            "<tr><td>{} s</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{healed}</td><td>{}</td></tr>",
            number(fault.from),
            fault.to.map_or_else(|| "the end".to_owned(), |to| format!("{} s", number(to))),
            escape(&fault.what),
            if fault.effective { "yes" } else { "none" },
            cell(recovery.after_injection),
            cell(Some(recovery.silence)),
        );
    }
    html.push_str("</tbody></table>");
    if faults.len() > MOST_ROWS {
        let _ = write!(html, "<p class=\"faint\">and {} more in results.json</p>", faults.len() - MOST_ROWS);
    }
}

fn errors(html: &mut String, material: &Material) {
    let errors = material.run.members("/operations/errors");
    if errors.is_empty() {
        return;
    }
    html.push_str("<h2>Why operations did not succeed</h2><table><tbody>");
    let mut rows: Vec<(u64, &str)> =
        errors.iter().map(|(text, count)| (count.as_u64().unwrap_or(0), *text)).collect();
    rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    for (count, text) in rows.iter().take(MOST_ROWS) {
        let _ = write!(html, "<tr><td>{count}</td><td>{}</td></tr>", escape(text));
    }
    html.push_str("</tbody></table>");
}

/// How the run was set up, and how long its parts took.
pub(super) fn setup(material: &Material) -> String {
    let mut html = String::from("<section><details><summary>Setup</summary><table><tbody>");
    for pointer in ["/setup", "/phases", "/links"] {
        for (name, value) in material.run.members(pointer) {
            let _ = write!(
                html,
                "<tr><th>{}</th><td><code>{}</code></td></tr>",
                escape(name),
                escape(&plain(value))
            );
        }
    }
    html.push_str("</tbody></table></details></section>\n");
    html
}
