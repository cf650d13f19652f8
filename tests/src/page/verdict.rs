//! Why the verdict is what it is: the findings, and the checker's picture of the minimal conflict.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use checker::{CheckOptions, History, Limits, Model, ModelName, ModelOptions, Verdict};

use super::{HISTORY_PAGE, Material, escape};
use crate::report::Validity;
use crate::report::stored::StoredRun;

/// How long the history may be judged once more, for its picture.
const TIME: Duration = Duration::from_secs(20);
const MEMORY_BYTES: u64 = 2 << 30;

/// What the checker shows of the history.
pub(super) struct Judged {
    /// The minimal conflict, drawn and told, if the history is not linearizable.
    pub(super) conflict: Option<Conflict>,
    /// The checker's own page of the whole history.
    pub(super) history_page: Option<Vec<u8>>,
}

/// Operations that contradict each other.
pub(super) struct Conflict {
    svg: String,
    told: String,
    /// When the conflict begins and ends, in seconds.
    pub(super) span: (f64, f64),
}

impl Judged {
    /// Judges the history by the model that the results name. Nothing, if they name none, or there is no answer in time: the
    /// verdict itself stands in the results already.
    pub(super) fn of(run: &StoredRun, history: &History) -> Option<Judged> {
        let name = ModelName::from_str(run.text("/linearizability/model")?).ok()?;
        let model = Model::new(name, &ModelOptions::default(), history).ok()?;
        let limits = Limits { time: TIME, memory_bytes: MEMORY_BYTES, ..Limits::default() };
        let report = model.check(history, &CheckOptions { limits, ..CheckOptions::default() }).ok()?;
        let picture = model.picture(history, &report);
        let mut page = Vec::new();
        let history_page = picture.write_html(&mut page).is_ok().then_some(page);
        let conflict = match &report.verdict {
            Verdict::NotLinearizable { explanation } => {
                let mut svg = Vec::new();
                picture.write_svg(&mut svg).ok()?;
                let operations = explanation.conflict.iter().chain([&explanation.blocked]);
                let operations = operations.filter_map(|id| history.operations.get(*id as usize));
                let mut span = (f64::MAX, 0.0_f64);
                for operation in operations {
                    let marks = [Some(operation.invoked), operation.completed];
                    for time in marks.into_iter().flatten().filter_map(|mark| mark.time) {
                        let seconds = time as f64 / 1e9;
                        span = (span.0.min(seconds), span.1.max(seconds));
                    }
                }
                let svg = String::from_utf8(svg).ok()?;
                Some(Conflict { svg, told: explanation.render(history), span })
            }
            _ => None,
        };
        Some(Judged { conflict, history_page })
    }
}

/// The first section: findings and conflict.
pub(super) fn section(material: &Material) -> String {
    let mut html = String::from("<section>");
    let findings = material.run.findings();
    let decisive = findings.first().filter(|(weight, _)| *weight != "remark");
    let say = match (material.run.validity(), decisive) {
        (Some(Validity::True), _) => "Everything that was checked holds.".to_owned(),
        (_, Some((_, what))) => first_line(what),
        (_, None) => "Nothing was decided.".to_owned(),
    };
    // Writing into a String cannot fail.
    let _ = write!(html, "<p class=\"say\">{}</p>", escape(&say));
    if let Some(conflict) = material.judged.as_ref().and_then(|judged| judged.conflict.as_ref()) {
        let _ = write!(
            html,
            "<h2>The minimal conflict</h2><p>These operations contradict each other already, even if any of the others had \
             never happened. <a href=\"{HISTORY_PAGE}#conflict\">The same in the whole history.</a></p>\
             <div class=\"picture\">{}</div><details><summary>in words</summary><pre>{}</pre></details>",
            conflict.svg,
            escape(conflict.told.trim_end())
        );
    } else if let Some(told) = material.run.text("/linearizability/explanation") {
        let _ = write!(html, "<h2>The minimal conflict</h2><pre>{}</pre>", escape(told.trim_end()));
    }
    if !findings.is_empty() {
        html.push_str("<h2>Findings</h2><ul class=\"findings\">");
        for (weight, what) in findings.iter().take(100) {
            let (first, rest) = what.split_once('\n').unwrap_or((what, ""));
            let _ = write!(
                html,
                "<li><span class=\"weight {weight}\">{weight}</span> {}",
                escape(first),
                weight = escape(weight)
            );
            if !rest.is_empty() {
                let _ = write!(html, "<pre>{}</pre>", escape(rest));
            }
            html.push_str("</li>");
        }
        html.push_str("</ul>");
        if findings.len() > 100 {
            let _ = write!(html, "<p class=\"faint\">and {} more in results.json</p>", findings.len() - 100);
        }
    }
    html.push_str("</section>\n");
    html
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
