//! JUnit's XML, which build servers read: one test suite, one case for each run.

use std::path::Path;

use anyhow::Context;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{RunResults, Validity};

/// One run as a test case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The test and its seed.
    pub name: String,
    /// The verdict.
    pub valid: Validity,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The verdict in one line.
    pub headline: String,
    /// Everything that the terminal showed.
    pub text: String,
}

impl Case {
    /// A run as a test case.
    #[must_use]
    pub fn of(run: &RunResults) -> Case {
        let phases = &run.phases;
        let all = [
            phases.start_ms,
            phases.workload_ms,
            phases.recovery_ms,
            phases.final_reads_ms,
            phases.stop_ms,
            phases.check_ms,
        ];
        Case {
            name: format!("{} seed {}", run.test, run.seed),
            valid: run.valid,
            seconds: all.iter().sum::<u64>() as f64 / 1_000.0,
            headline: run.headline(),
            text: run.text(),
        }
    }
}

/// Writes the file.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, suite: &str, cases: &[Case]) -> anyhow::Result<()> {
    let text = render(suite, cases).context("cannot make the JUnit file")?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A violated run is a failure; one of which nothing can be said is an error.
fn render(suite: &str, cases: &[Case]) -> std::io::Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let having = |valid: Validity| cases.iter().filter(|case| case.valid == valid).count().to_string();
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let (failures, errors) = (having(Validity::False), having(Validity::Unknown));
    let mut element = BytesStart::new("testsuite");
    element.push_attribute(("name", suite));
    element.push_attribute(("tests", cases.len().to_string().as_str()));
    element.push_attribute(("failures", failures.as_str()));
    element.push_attribute(("errors", errors.as_str()));
    element.push_attribute(("time", format!("{seconds:.3}").as_str()));
    xml.write_event(Event::Start(element))?;
    for case in cases {
        one(&mut xml, suite, case)?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
    let mut text = xml.into_inner();
    text.push(b'\n');
    Ok(text)
}

fn one(xml: &mut Writer<Vec<u8>>, suite: &str, case: &Case) -> std::io::Result<()> {
    let mut element = BytesStart::new("testcase");
    element.push_attribute(("classname", suite));
    element.push_attribute(("name", plain(&case.name).as_str()));
    element.push_attribute(("time", format!("{:.3}", case.seconds).as_str()));
    xml.write_event(Event::Start(element))?;
    let bad = match case.valid {
        Validity::True => None,
        Validity::False => Some("failure"),
        Validity::Unknown => Some("error"),
    };
    let text = plain(&case.text);
    match bad {
        Some(name) => {
            let mut element = BytesStart::new(name);
            element.push_attribute(("message", plain(&case.headline).as_str()));
            xml.write_event(Event::Start(element))?;
            xml.write_event(Event::Text(BytesText::new(&text)))?;
            xml.write_event(Event::End(BytesEnd::new(name)))?;
        }
        None => {
            xml.write_event(Event::Start(BytesStart::new("system-out")))?;
            xml.write_event(Event::Text(BytesText::new(&text)))?;
            xml.write_event(Event::End(BytesEnd::new("system-out")))?;
        }
    }
    xml.write_event(Event::End(BytesEnd::new("testcase")))
}

/// XML knows no control characters but these, not even as numbers.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() && !"\n\t".contains(letter) { '\u{fffd}' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violated_runs_are_failures_and_undecided_ones_errors() {
        let case = |valid, seconds| Case {
            name: "kv seed 7".to_owned(),
            valid,
            seconds,
            headline: "FAIL <two> \"leaders\" & more".to_owned(),
            text: "line 1\nline \u{1b}[2 ]]>".to_owned(),
        };
        let cases = [case(Validity::True, 1.5), case(Validity::False, 2.0), case(Validity::Unknown, 0.25)];
        let text = String::from_utf8(render("plumbline", &cases).unwrap()).unwrap();
        assert!(
            text.contains(r#"<testsuite name="plumbline" tests="3" failures="1" errors="1" time="3.750">"#),
            "{text}"
        );
        assert_eq!((text.matches("<failure ").count(), text.matches("<error ").count()), (1, 1));
        assert!(text.contains("&lt;two&gt; &quot;leaders&quot; &amp; more"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("]]>"), "{text}");
        // And another reader finds it well formed.
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut names = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(start) => names.push(start.name().as_ref().to_owned()),
                _ => {}
            }
        }
        assert_eq!(names.iter().filter(|name| *name == "testcase").count(), 3);
    }
}
