//! One page for each run: `report.html` in its folder, which explains the run and needs nothing else.
//!
//! ```text
//!   results.json ─► StoredRun ─┐                 verdict and minimal conflict (the checker's own picture)
//!   history.jsonl ─► Series ───┼─► report.html   figures; who leads, who is down; latencies, rates, availability,
//!   nodes/*/server.log ────────┘                 the harness' own share; recovery after each fault; the servers' log lines
//! ```
//!
//! Everything is made from the folder's files, so that a page can be made again at any time, also of an older run. The page
//! fetches nothing and forbids itself to; texts of a run are only ever put in as text; it is light or dark as the reader's
//! system asks for. Where the history can be judged, the checker's own page of it is written beside it (`history.html`).
//!
//! Limits: histories beyond [`MOST_HISTORY_BYTES`] are left out, and said to be; drawings are bounded by their area.

mod charts;
pub(crate) mod draw;
mod logs;
pub(crate) mod series;
mod tables;
mod verdict;
mod watches;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use checker::{History, ReadOptions};

use crate::report::Validity;
use crate::report::stored::StoredRun;
use series::Series;
use verdict::Judged;

/// The page's name in the run's folder.
pub const REPORT: &str = "report.html";
/// The checker's page beside it.
pub const HISTORY_PAGE: &str = "history.html";
/// The largest history that is read for a page.
pub const MOST_HISTORY_BYTES: u64 = 1 << 30;

pub(crate) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page is made of.
struct Material {
    run: StoredRun,
    series: Series,
    judged: Option<Judged>,
    /// Why there is nothing about operations, if there is not.
    without_history: Option<String>,
}

/// Writes the page of the run in this folder, and the checker's page of its history; returns the page's path.
///
/// # Errors
/// When there are no results, or the page cannot be written. What else is missing is said on the page.
pub fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    let material = Material::of(folder)?;
    if let Some(page) = material.judged.as_ref().and_then(|judged| judged.history_page.as_ref()) {
        let path = folder.join(HISTORY_PAGE);
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let path = folder.join(REPORT);
    std::fs::write(&path, material.html()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The results in this folder, and what its history says, if it has one.
pub(crate) fn read(folder: &Path) -> anyhow::Result<(StoredRun, Series)> {
    let run = StoredRun::open(folder)?;
    let series = history(folder).map(|history| Series::of(&history)).unwrap_or_default();
    Ok((run, series))
}

impl Material {
    fn of(folder: &Path) -> anyhow::Result<Material> {
        let run = StoredRun::open(folder)?;
        let (history, without_history) = match history(folder) {
            Ok(history) => (Some(history), None),
            Err(why) => (None, Some(format!("{why:#}"))),
        };
        let series = history.as_ref().map(Series::of).unwrap_or_default();
        let judged = history.as_ref().and_then(|history| Judged::of(&run, history));
        Ok(Material { run, series, judged, without_history })
    }

    fn html(&self) -> String {
        let mut body = self.head();
        body.push_str(&verdict::section(self));
        body.push_str(&watches::section(&self.run));
        body.push_str(&tables::figures(self));
        if let Some(why) = &self.without_history {
            let _ =
                write!(body, "<p class=\"faint\">There are no charts of operations: {}.</p>", escape(why));
        }
        body.push_str(&charts::section(self));
        body.push_str(&tables::section(self));
        body.push_str(&logs::section(self));
        body.push_str(&tables::setup(self));
        whole(&format!("{} seed {}", self.run.test(), self.seed()), &body)
    }

    fn seed(&self) -> String {
        self.run.at("/seed").map_or_else(|| "?".to_owned(), ToString::to_string)
    }

    fn head(&self) -> String {
        let (class, word) = badge(self.run.validity());
        let file = |name: &str| self.run.folder().join(name).exists();
        let mut links = String::new();
        let names = [
            (HISTORY_PAGE, "the history, to zoom"),
            ("history.jsonl", "history.jsonl"),
            ("history.edn", "history.edn"),
            ("watches.jsonl", "watches.jsonl"),
            ("schedule.json", "schedule.json"),
            ("results.json", "results.json"),
            ("verdict.txt", "verdict.txt"),
        ];
        for (name, text) in names.into_iter().filter(|(name, _)| file(name)) {
            let _ = write!(links, "<a href=\"{name}\">{text}</a> ");
        }
        for node in self.run.nodes() {
            let log = format!("nodes/n{node}/server.log");
            if file(&log) {
                let _ = write!(links, "<a href=\"{log}\">n{node}'s log</a> ");
            }
        }
        let stamp = self.run.folder().file_name().map(|name| name.to_string_lossy().into_owned());
        format!(
            "<header><h1><span class=\"verdict {class}\">{word}</span> {} <span class=\"faint\">seed {} · {}</span></h1>\
             <nav class=\"faint\">{links}</nav></header>\n",
            escape(self.run.test()),
            escape(&self.seed()),
            escape(&stamp.unwrap_or_default()),
        )
    }
}

/// A whole page around this.
pub(crate) fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title><style>{STYLE}</style></head><body>\n{body}\
         <footer class=\"faint\">Made by plumbline {}. This page is whole: it fetches nothing.</footer>\n\
         <script>{SCRIPT}</script></body></html>\n",
        escape(title),
        env!("CARGO_PKG_VERSION"),
    )
}

/// A verdict's class and word.
pub(crate) fn badge(validity: Option<Validity>) -> (&'static str, &'static str) {
    match validity {
        Some(Validity::True) => ("good", "PASS"),
        Some(Validity::False) => ("bad", "FAIL"),
        Some(Validity::Unknown) => ("open", "UNKNOWN"),
        None => ("open", "not judged"),
    }
}

fn history(folder: &Path) -> anyhow::Result<History> {
    let path = folder.join("history.jsonl");
    let size = std::fs::metadata(&path).map(|file| file.len());
    let size = size.map_err(|_| anyhow::anyhow!("the run left no history.jsonl"))?;
    anyhow::ensure!(
        size <= MOST_HISTORY_BYTES,
        "the history is larger than {} MiB",
        MOST_HISTORY_BYTES >> 20
    );
    Ok(History::open(&path, &ReadOptions::default())?)
}

/// Text inside HTML or SVG.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests;
