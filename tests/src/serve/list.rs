//! The lists: of all runs, and of what is in a folder.

use std::fmt::Write as _;
use std::path::Path;

use super::path::encode;
use crate::page::{badge, escape, whole};
use crate::report::stored::StoredRun;

/// So many runs of each test are in the list, the newest.
pub const MOST_RUNS: usize = 300;
/// So many entries of a folder are listed.
const MOST_ENTRIES: usize = 2_000;

/// The names in a folder, those of folders and of files, without links and hidden ones.
fn entries(folder: &Path) -> (Vec<String>, Vec<(String, u64)>) {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            folders.push(name);
        } else if kind.is_file() {
            files.push((name, entry.metadata().map_or(0, |file| file.len())));
        }
    }
    folders.sort_unstable();
    files.sort_unstable();
    (folders, files)
}

/// Every run of every test.
pub(super) fn runs_page(root: &Path) -> String {
    let mut body = String::from("<h1>Results</h1>");
    let (tests, _) = entries(root);
    for test in &tests {
        let (mut runs, _) = entries(&root.join(test));
        // Names are times.
        runs.reverse();
        // Writing into a String cannot fail.
        let _ = write!(
            body,
            "<h2>{} <span class=\"faint\">{} runs</span></h2><table><thead><tr><th>verdict</th><th>when</th><th>seed</th>\
             <th>operations</th><th>faults</th><th>why</th></tr></thead><tbody>",
            escape(test),
            runs.len()
        );
        for run in runs.iter().take(MOST_RUNS) {
            row(&mut body, root, test, run);
        }
        body.push_str("</tbody></table>");
        if runs.len() > MOST_RUNS {
            let _ = write!(
                body,
                "<p class=\"faint\">and {} older ones <a href=\"/files/{}/\">in the folder</a></p>",
                runs.len() - MOST_RUNS,
                encode(test)
            );
        }
    }
    if tests.is_empty() {
        body.push_str("<p>There is no run yet: make one with <code>plumbline run</code>.</p>");
    }
    whole("results", &body)
}

fn row(body: &mut String, root: &Path, test: &str, run: &str) {
    let folder = root.join(test).join(run);
    let link = format!("/files/{}/{}/", encode(test), encode(run));
    let Ok(stored) = StoredRun::open(&folder) else {
        let _ = write!(
            body,
            "<tr><td class=\"faint\">no results</td><td><a href=\"{link}\">{}</a></td><td></td><td></td><td></td>\
             <td class=\"faint\">it is still running, or came to nothing</td></tr>",
            escape(run)
        );
        return;
    };
    let page = if folder.join(crate::page::REPORT).is_file() { crate::page::REPORT } else { "" };
    let (class, word) = badge(stored.validity());
    let count = stored.at("/count/invoke").or_else(|| stored.at("/operations"));
    let text = |value: Option<&serde_json::Value>| {
        value.filter(|value| value.is_u64()).map_or_else(String::new, ToString::to_string)
    };
    let findings = stored.findings();
    let why = findings
        .first()
        .filter(|(weight, _)| *weight != "remark")
        .map_or("", |(_, what)| what.lines().next().unwrap_or(""));
    let _ = write!(
        body,
        "<tr><td><span class=\"{class}\">{word}</span></td><td><a href=\"{link}{page}\">{}</a></td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td></tr>",
        escape(run),
        stored.at("/seed").map_or_else(String::new, |seed| format!("seed {}", escape(&seed.to_string()))),
        text(count),
        stored.faults().len(),
        escape(why)
    );
}

/// What is in a folder.
pub(super) fn folder_page(path: &str, folder: &Path) -> String {
    let mut body = format!(
        "<h1>{}</h1><p><a href=\"/\">all runs</a> · <a href=\"../\">up</a></p><table><tbody>",
        escape(path)
    );
    let (folders, files) = entries(folder);
    let left_out = (folders.len() + files.len()).saturating_sub(MOST_ENTRIES);
    for name in folders.iter().take(MOST_ENTRIES) {
        let _ =
            write!(body, "<tr><td><a href=\"{}/\">{}/</a></td><td></td></tr>", encode(name), escape(name));
    }
    for (name, size) in files.iter().take(MOST_ENTRIES.saturating_sub(folders.len())) {
        let _ = write!(
            body,
            "<tr><td><a href=\"{}\">{}</a></td><td>{size} bytes</td></tr>",
            encode(name),
            escape(name)
        );
    }
    body.push_str("</tbody></table>");
    if left_out > 0 {
        let _ = write!(body, "<p class=\"faint\">and {left_out} more</p>");
    }
    whole(path, &body)
}
