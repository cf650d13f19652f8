//! The charts of a run, below each other on one axis of time, with the faults behind them.

use std::fmt::Write as _;

use checker::history::Outcome;

use super::draw::{Band, Chart, Scale, TimeAxis, legend, number};
use super::series::{Series, Window};
use super::{Material, escape};
use crate::report::stored::StoredFault;

/// Into so many stretches a run is divided for lines.
const STRETCHES: usize = 120;
/// Colours for kinds of operations and of faults; further kinds begin again.
const COLOURS: usize = 6;
const LANE: f64 = 22.0;

/// All charts.
pub(super) fn section(material: &Material) -> String {
    let faults = material.run.faults();
    let end = end(material, &faults);
    if end <= 0.0 {
        return String::new();
    }
    let axis = TimeAxis { end };
    let kinds = kinds(&faults);
    let bands = bands(&faults, &kinds, end);
    let mut html = String::from("<section><h2>What happened</h2>");
    html.push_str(&lanes(material, axis, &faults, &kinds));
    if !material.series.points.is_empty() {
        let windows = material.series.windows(STRETCHES);
        html.push_str(&scatter(&material.series, axis, &bands));
        html.push_str(&quantiles(&windows, axis, &bands));
        html.push_str(&rates(&material.series, &windows, axis, &bands));
        html.push_str(&availability(&material.series, axis, &bands));
    }
    html.push_str(&harness(material, axis, &bands));
    html.push_str("</section>\n");
    html
}

/// When the last thing happened, in the history or anywhere else.
fn end(material: &Material, faults: &[StoredFault]) -> f64 {
    let faults = faults.iter().map(|fault| fault.to.unwrap_or(fault.from));
    let reigns = material.run.reigns().into_iter().map(|reign| reign.at);
    faults.chain(reigns).fold(material.series.end, f64::max)
}

/// The kinds of faults there were, in the order of their first.
fn kinds(faults: &[StoredFault]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for fault in faults {
        if !kinds.contains(&fault.kind.as_str()) {
            kinds.push(&fault.kind);
        }
    }
    kinds
}

fn colour(kinds: &[&str], kind: &str) -> usize {
    kinds.iter().position(|known| *known == kind).unwrap_or(0) % COLOURS
}

fn told(fault: &StoredFault) -> String {
    let until = fault.to.map_or_else(|| "the end".to_owned(), |to| format!("{} s", number(to)));
    let effect = if fault.effective { "" } else { " (no effect)" };
    format!("{}: {}{effect}\n{} s to {until}", fault.kind, fault.what, number(fault.from))
}

fn bands(faults: &[StoredFault], kinds: &[&str], end: f64) -> Vec<Band> {
    let band = |fault: &StoredFault| Band {
        from: fault.from,
        to: fault.to.unwrap_or(end),
        class: format!("f{}", colour(kinds, &fault.kind)),
        title: told(fault),
    };
    faults.iter().filter(|fault| fault.effective).map(band).collect()
}

/// Who leads in which term, who is hit by what, and the faults themselves.
fn lanes(material: &Material, axis: TimeAxis, faults: &[StoredFault], kinds: &[&str]) -> String {
    let (nodes, reigns) = (material.run.nodes(), material.run.reigns());
    let count = nodes.len() + kinds.len() + 1;
    let mut chart = Chart::lanes("leaders and faults", axis, LANE * count as f64, &[]);
    chart.lane_name((0, count), "leader");
    for (at, reign) in reigns.iter().enumerate() {
        let until = reigns.get(at + 1).map_or(axis.end, |next| next.at);
        let title =
            format!("n{} leads term {}, first seen at {} s", reign.node, reign.term, number(reign.at));
        let text = format!("n{} @{}", reign.node, reign.term);
        chart.block(
            (0, count),
            (reign.at, until),
            &format!("c{}", reign.node as usize % COLOURS),
            &text,
            &title,
        );
        if let Some(lane) = nodes.iter().position(|node| *node == reign.node) {
            let lane = (lane + 1, count);
            chart.block(lane, (reign.at, until), &format!("c{}", reign.node as usize % COLOURS), "", &title);
        }
    }
    for (lane, node) in nodes.iter().enumerate() {
        chart.lane_name((lane + 1, count), &format!("n{node}"));
        for fault in faults.iter().filter(|fault| fault.nodes.contains(node)) {
            let span = (fault.from, fault.to.unwrap_or(axis.end));
            chart.block(
                (lane + 1, count),
                span,
                &format!("hit f{}", colour(kinds, &fault.kind)),
                &fault.kind,
                &told(fault),
            );
        }
    }
    for (at, kind) in kinds.iter().enumerate() {
        let lane = (nodes.len() + 1 + at, count);
        chart.lane_name(lane, kind);
        for fault in faults.iter().filter(|fault| fault.kind == *kind) {
            let effect = if fault.effective { "" } else { " idle" };
            let span = (fault.from, fault.to.unwrap_or(axis.end));
            chart.block(lane, span, &format!("f{}{effect}", colour(kinds, kind)), &fault.what, &told(fault));
        }
    }
    format!("<h3>Leaders, servers and faults</h3>{}", chart.finish())
}

/// Every operation as a dot: how long it took, on a logarithmic scale.
fn scatter(series: &Series, axis: TimeAxis, bands: &[Band]) -> String {
    let duration = |point: &super::series::Point| point.to.map(|to| ((to - point.from) * 1_000.0).max(0.001));
    let scale = Scale::log(series.points.iter().filter_map(duration));
    let mut chart = Chart::new("latency of every operation", "ms", axis, scale, 260.0, bands);
    let mut items = Vec::new();
    for (f, name) in series.names.iter().enumerate() {
        let class = format!("c{}", f % COLOURS);
        let of = series.points.iter().filter(|point| point.f == f && point.outcome == Outcome::Ok);
        chart.dots(&class, of.filter_map(|point| Some((point.to?, duration(point)?))));
        items.push((class, format!("{name} ok")));
    }
    for (outcome, class, text) in [(Outcome::Fail, "fail", "failed"), (Outcome::Info, "info", "nobody knows")]
    {
        let of = series.points.iter().filter(|point| point.outcome == outcome);
        chart.dots(class, of.filter_map(|point| Some((point.to?, duration(point)?))));
        items.push((class.to_owned(), text.to_owned()));
    }
    format!("<h3>Latency of every operation</h3>{}{}", chart.finish(), legend(&items))
}

const QUANTILES: [(&str, &str); 4] =
    [("q0", "median"), ("q1", "95 of 100"), ("q2", "99 of 100"), ("q3", "longest")];

fn quantiles(windows: &[Window], axis: TimeAxis, bands: &[Band]) -> String {
    let all = windows.iter().filter_map(|window| window.quantiles).flatten();
    let mut chart = Chart::new("latency quantiles", "ms", axis, Scale::log(all), 200.0, bands);
    // The longest lies behind the others: with few operations it is the 99th of 100, too.
    for (at, (class, _)) in QUANTILES.iter().enumerate().rev() {
        let of = |window: &Window| window.quantiles.and_then(|four| four.get(at).copied());
        chart.line(class, windows.iter().map(|window| (window.at, of(window))));
    }
    let items = QUANTILES.map(|(class, text)| (class.to_owned(), text.to_owned()));
    format!(
        "<h3>Latency quantiles of successes, in {} stretches of {} s</h3>{}{}",
        windows.len(),
        number(axis.end / windows.len().max(1) as f64),
        chart.finish(),
        legend(&items)
    )
}

fn rates(series: &Series, windows: &[Window], axis: TimeAxis, bands: &[Band]) -> String {
    let length = (series.end / windows.len().max(1) as f64).max(1e-9);
    let most = windows.iter().flat_map(|window| window.ok.iter().copied().chain([window.fail, window.info]));
    let scale = Scale::linear(most.max().unwrap_or(0) as f64 / length);
    let mut chart = Chart::new("rate of operations", "per second", axis, scale, 180.0, bands);
    let mut items = Vec::new();
    for (f, name) in series.names.iter().enumerate() {
        let class = format!("c{}", f % COLOURS);
        let of = |window: &Window| window.ok.get(f).map(|count| *count as f64 / length);
        chart.line(&class, windows.iter().map(|window| (window.at, of(window))));
        items.push((class, format!("{name} ok")));
    }
    let rate = |count: u64| Some(count as f64 / length).filter(|rate| *rate > 0.0);
    chart.line("fail", windows.iter().map(|window| (window.at, rate(window.fail))));
    chart.line("info", windows.iter().map(|window| (window.at, rate(window.info))));
    items.extend([("fail".to_owned(), "failed".to_owned()), ("info".to_owned(), "nobody knows".to_owned())]);
    format!("<h3>Operations per second, by how they ended</h3>{}{}", chart.finish(), legend(&items))
}

/// Of what ended in each stretch: how much succeeded.
fn availability(series: &Series, axis: TimeAxis, bands: &[Band]) -> String {
    let found = series.availability();
    // No finer than the windows in which it is counted: between two rare requests nobody is unavailable.
    let fits = found.map_or(f64::MAX, |found| (series.end / found.window).ceil());
    let windows = series.windows((STRETCHES * 2).min(fits.max(1.0) as usize));
    let mut chart = Chart::new("availability", "% ok", axis, Scale::Linear { max: 100.0 }, 70.0, bands);
    let share = |window: &Window| {
        let ok: u64 = window.ok.iter().sum();
        let all = ok + window.fail + window.info;
        // A compare-and-set that finds another value has been served: what failed by itself is told apart by its rate above.
        if all == 0 { 0.0 } else { ok as f64 * 100.0 / all as f64 }
    };
    let points: Vec<(f64, f64)> = windows.iter().map(|window| (window.at, share(window))).collect();
    chart.area("c0", &points);
    let told = found.map_or(String::new(), |found| {
        format!(
            "In {} % of the stretches of {} s in which something was asked, something succeeded; the longest silence is {} s, \
             from second {} on.",
            number(found.share * 100.0),
            number(found.window),
            number(found.silence),
            number(found.silent_from)
        )
    });
    format!(
        "<h3>Availability: successes among all that ended</h3>{}<p class=\"faint\">{told}</p>",
        chart.finish()
    )
}

/// The processors: the harness' own share is what a latency may owe to it.
fn harness(material: &Material, axis: TimeAxis, bands: &[Band]) -> String {
    let samples = material.run.at("/harness/samples").and_then(serde_json::Value::as_array);
    let samples: Vec<(f64, Option<f64>, Option<f64>)> = samples
        .into_iter()
        .flatten()
        .filter_map(|sample| {
            let of = |name: &str| sample.get(name).and_then(serde_json::Value::as_f64);
            Some((of("at_ms")? / 1_000.0, of("harness"), of("machine")))
        })
        .collect();
    if samples.is_empty() {
        return String::new();
    }
    let processors = material.run.number("/harness/processors").unwrap_or(1.0);
    let mut chart = Chart::new("processors", "processors", axis, Scale::linear(processors), 110.0, bands);
    chart.line("q3", samples.iter().map(|(at, _, machine)| (*at, *machine)));
    chart.line("c0", samples.iter().map(|(at, harness, _)| (*at, *harness)));
    let of = |pointer: &str| material.run.number(pointer).map_or_else(|| "?".to_owned(), number);
    let share = material
        .run
        .number("/harness/cpu_share")
        .map_or_else(|| "?".to_owned(), |share| number(share * 100.0));
    let mut html =
        format!("<h3>Processors: the harness itself, and everything on the machine</h3>{}", chart.finish());
    html.push_str(&legend(&[
        ("c0".to_owned(), "the harness: clients, links, recorder".to_owned()),
        ("q3".to_owned(), "the whole machine".to_owned()),
    ]));
    // Writing into a String cannot fail.
    let _ = write!(
        html,
        "<p class=\"faint\">The harness took {share} % of {} processors. A timer of its own was late by {} ms in the middle, {} ms \
         at the 99th of 100, {} ms at most: so much of a latency may be its doing.</p>",
        escape(&number(processors)),
        of("/harness/late_p50_ms"),
        of("/harness/late_p99_ms"),
        of("/harness/late_max_ms"),
    );
    html
}
