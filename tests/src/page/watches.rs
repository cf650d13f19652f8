//! What watchers were told, if that was not what it should have been.

use std::fmt::Write as _;

use serde_json::Value;

use super::escape;
use super::tables::plain;
use crate::report::stored::StoredRun;

/// Each breach, with what that watch told around it.
pub(super) fn section(run: &StoredRun) -> String {
    let broken = run.at("/watches/broken").and_then(Value::as_array);
    let Some(broken) = broken.filter(|broken| !broken.is_empty()) else { return String::new() };
    let figure = |name: &str| run.at(&format!("/watches/{name}")).map(plain).unwrap_or_default();
    let mut html = format!(
        "<section><h2>What watchers were told</h2><p class=\"faint\">{} watchers were told {} changes of {} revisions. A watch \
         tells every change from the revision that it was asked for, in order, once.</p>",
        figure("watchers"),
        figure("events"),
        figure("revisions"),
    );
    for one in broken {
        let text = |of: &Value, name: &str| escape(&of.get(name).map(plain).unwrap_or_default());
        // Writing into a String cannot fail.
        let _ = write!(html, "<p><b>{}</b>: {}</p>", text(one, "law"), text(one, "what"));
        let around = one.get("around").and_then(Value::as_array);
        let Some(around) = around.filter(|around| !around.is_empty()) else { continue };
        html.push_str(
            "<table><thead><tr><th>at</th><th>revision</th><th>change</th><th></th></tr></thead><tbody>",
        );
        for told in around {
            let is_it = told.get("broken").and_then(Value::as_bool) == Some(true);
            let (class, mark) =
                if is_it { (" class=\"broken\"", "◀ must not be told here") } else { ("", "") };
            let _ = write!(
                html,
                "<tr{class}><td>{} ms</td><td>{}</td><td>{}</td><td>{mark}</td></tr>",
                text(told, "at_ms"),
                text(told, "revision"),
                text(told, "what"),
            );
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</section>\n");
    html
}
