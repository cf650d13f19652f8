//! What is said to a request, before any of it is sent.

use std::path::{Path, PathBuf};

use super::Site;
use super::list::{folder_page, runs_page};

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: Content,
    /// Where to go instead.
    pub(super) location: Option<String>,
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    /// As it is at the moment of sending.
    File(PathBuf),
}

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    fn text(status: u16, kind: &'static str, text: impl Into<String>) -> Answer {
        Answer { status, kind, body: Content::Text(text.into()), location: None }
    }

    pub(super) fn error(status: u16, say: &str) -> Answer {
        Answer::text(status, TEXT, format!("{say}\n"))
    }

    fn moved(to: String) -> Answer {
        Answer { location: Some(to), ..Answer::error(303, "see there") }
    }
}

impl Site {
    /// The answer to a request with this method, addressed to this host, for this path.
    pub(super) fn answer(&self, method: &str, host: Option<&str>, path: &str) -> Answer {
        if !host.is_some_and(is_loopback) {
            return Answer::error(421, "call this server by a loopback name, such as 127.0.0.1 or localhost");
        }
        if !matches!(method, "GET" | "HEAD") {
            return Answer::error(405, "only GET and HEAD: nothing can be changed here");
        }
        if path == "/" {
            return Answer::text(200, HTML, runs_page(&self.root));
        }
        let found = path.strip_prefix("/files/").and_then(|rest| Some((rest, self.resolve(rest)?)));
        match found {
            None => Answer::error(404, "there is nothing of that name in the store"),
            // Links on a page are relative to its folder.
            Some((_, real)) if real.is_dir() && !path.ends_with('/') => Answer::moved(format!("{path}/")),
            Some((rest, real)) if real.is_dir() => Answer::text(200, HTML, folder_page(rest, &real)),
            Some((_, real)) if real.is_file() => {
                Answer { status: 200, kind: kind(&real), body: Content::File(real), location: None }
            }
            Some(_) => Answer::error(404, "that is neither a file nor a folder"),
        }
    }
}

/// Whether a `Host` header names this machine, whatever its port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The type of a file. What is not known is shown as text where it is likely to be, and saved where it is not.
fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => HTML,
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("txt" | "log" | "edn" | "jsonl" | "csv" | "md" | "xml" | "sh" | "toml") => TEXT,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Site) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("kv/20260101T000000.000Z");
        std::fs::create_dir_all(run.join("nodes/n1")).unwrap();
        std::fs::write(run.join("results.json"), r#"{"valid":false,"test":"kv","seed":7,"count":{"invoke":12},"findings":[{"weight":"violation","what":"<i>two</i> leaders"}]}"#).unwrap();
        std::fs::write(run.join("report.html"), "<p>page").unwrap();
        std::fs::write(run.join("nodes/n1/server.log"), "line").unwrap();
        let empty = folder.path().join("kv/20260102T000000.000Z");
        std::fs::create_dir_all(empty).unwrap();
        let site = Site::new(folder.path()).unwrap();
        (folder, site)
    }

    fn get(site: &Site, path: &str) -> Answer {
        site.answer("GET", Some("127.0.0.1:7380"), path)
    }

    fn text(answer: Answer) -> String {
        let Content::Text(text) = answer.body else { panic!("a file") };
        text
    }

    #[test]
    fn the_list_has_every_run_with_its_verdict_the_newest_first() {
        let (_folder, site) = store();
        let page = text(get(&site, "/"));
        let (failed, running) =
            (page.find("20260101T000000").unwrap(), page.find("20260102T000000").unwrap());
        assert!(running < failed, "the newest first");
        for part in [
            "FAIL",
            "seed 7",
            "12",
            "&lt;i&gt;two&lt;/i&gt; leaders",
            "/files/kv/20260101T000000.000Z/report.html",
        ] {
            assert!(page.contains(part), "no {part}:\n{page}");
        }
        assert!(page.contains("no results"), "one that is still running, or came to nothing");
    }

    #[test]
    fn files_have_their_types_and_folders_their_lists() {
        let (_folder, site) = store();
        let run = "/files/kv/20260101T000000.000Z";
        assert_eq!(get(&site, &format!("{run}/report.html")).kind, HTML);
        assert_eq!(get(&site, &format!("{run}/nodes/n1/server.log")).kind, TEXT);
        let moved = get(&site, run);
        assert_eq!((moved.status, moved.location), (303, Some(format!("{run}/"))));
        let page = text(get(&site, &format!("{run}/")));
        assert!(page.contains("href=\"results.json\"") && page.contains("href=\"nodes/\""), "{page}");
    }

    #[test]
    fn what_is_not_there_not_allowed_or_not_for_us_is_refused() {
        let (_folder, site) = store();
        for path in ["/files/../x", "/files/none", "/other", "", "*", "/files", "http://127.0.0.1/files/kv"] {
            assert_eq!(get(&site, path).status, 404, "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"] {
            assert_eq!(site.answer(method, Some("localhost"), "/").status, 405, "{method}");
        }
        for host in [
            None,
            Some(""),
            Some("evil.example"),
            Some("127.0.0.1.evil.example:7380"),
            Some("10.0.0.1"),
            Some("[::2]:1"),
            Some("localhost.evil.example"),
        ] {
            assert_eq!(site.answer("GET", host, "/").status, 421, "{host:?}");
        }
        for host in ["localhost", "LOCALHOST:7380", "127.0.0.1", "127.1.2.3:1", "[::1]:7380"] {
            assert_eq!(site.answer("GET", Some(host), "/").status, 200, "{host}");
        }
    }
}
