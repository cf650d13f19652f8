//! A real browser, where there is one (`CHROMIUM`, or on the path): for pages, which only a browser can judge.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.exists())
}

/// Runs the browser on a page, with a profile of its own and no network; says what it printed.
pub(crate) fn browse(chromium: &Path, folder: &Path, dark: bool, page: &str, what: &str) -> String {
    let profile = folder.join(format!("profile-{dark}-{}", what.len()));
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }))
        .args(["--hide-scrollbars", "--window-size=1400,1500", "--virtual-time-budget=20000"])
        .arg(what)
        .arg(format!("file://{page}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _ = std::fs::remove_dir_all(profile);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the page's script has noted on its root element.
pub(crate) fn noted(dom: &str, name: &str) -> String {
    let start = dom
        .find(&format!("data-{name}=\""))
        .unwrap_or_else(|| panic!("no {name} in {}", &dom[..dom.len().min(2000)]));
    let rest = &dom[start + name.len() + 7..];
    rest[..rest.find('"').unwrap()].to_owned()
}
