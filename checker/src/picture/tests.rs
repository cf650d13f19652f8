//! Pages and drawings of small histories.

use super::*;
use crate::picture::bands::{Band, bands};
use crate::{CheckOptions, ModelName, ModelOptions, ReadOptions, Value};

fn read(text: &str) -> History {
    History::read(text.as_bytes(), "h<i>.jsonl", &ReadOptions::default()).expect("a good history")
}

fn event(process: &str, kind: &str, f: &str, value: &str) -> String {
    format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
}

fn drawn(history: &History) -> (String, String, Report) {
    let model =
        Model::new(ModelName::CasRegister, &ModelOptions::default(), history).expect("a suitable start");
    let report = model.check(history, &CheckOptions::default()).expect("known operations");
    let picture = model.picture(history, &report);
    let (mut page, mut svg) = (Vec::new(), Vec::new());
    picture.write_html(&mut page).expect("memory");
    picture.write_svg(&mut svg).expect("memory");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (page, svg) = (text(page), text(svg));
    drop(picture);
    (page, svg, report)
}

/// A list of numbers on the page, by name.
fn list(page: &str, name: &str) -> Vec<i64> {
    let start = page.find(&format!("\"{name}\":[")).expect("a list of that name") + name.len() + 4;
    let rest = &page[start..];
    let items = &rest[..rest.find(']').expect("closed")];
    items.split(',').filter(|item| !item.is_empty()).map(|item| item.parse().expect("a number")).collect()
}

fn stale() -> String {
    [
        event("0", "invoke", "write", "1"),
        event("0", "ok", "write", "1"),
        event("1", "invoke", "write", "2"),
        event("1", "ok", "write", "2"),
        event("2", "invoke", "write", "3"),
        event("3", "invoke", "read", "null"),
        event("3", "ok", "read", "1"),
    ]
    .concat()
}

#[test]
fn a_conflict_is_drawn_with_its_operations_and_the_way_there() {
    let (page, svg, _) = drawn(&read(&stale()));
    for said in [
        "read → 1",
        "write 2",
        "process 3",
        "drawing-blocked",
        "drawing-point",
        "line 6",
        "prefers-color-scheme:dark",
    ] {
        assert!(svg.contains(said), "{said} is missing:\n{svg}");
    }
    assert!(page.contains(svg.trim()), "the page shows the drawing");
    let (conflict, whole) = (page.find("The minimal conflict"), page.find("The whole history"));
    assert!(conflict.expect("shown") < whole.expect("shown"), "the conflict comes first");
    for said in ["NOT linearizable", "is stale by 1 write", "sequentially consistent", "is not legal"] {
        assert!(page.contains(said), "{said} is missing");
    }
    assert_eq!(list(&page, "conflict"), [1, 3]);
    assert_eq!(list(&page, "ret"), [1, 3, -1, 6], "an operation without an end is open");
    // The longest order, then the way that the open write would lead.
    assert_eq!(list(&page, "ops"), [0, 1]);
    let ways = &page[page.find("\"ways\":").expect("ways")..];
    assert_eq!((list(ways, "ops"), list(ways, "states")), (vec![2], vec![3]));
    assert!(page.contains(r#""states":["nil","1","2","3"]"#), "states have their texts");
}

#[test]
fn a_linearization_is_carried_with_the_state_after_each_operation() {
    let good = stale().replace("\"f\":\"read\",\"value\":1", "\"f\":\"read\",\"value\":3");
    let (page, svg, _) = drawn(&read(&good));
    assert_eq!((list(&page, "ops"), list(&page, "conflict")), (vec![0, 1, 2, 3], vec![]));
    assert!(
        svg.contains("linearizable") && svg.contains("drawing-point") && !svg.contains("drawing-blocked\"")
    );
}

#[test]
fn what_a_history_says_stays_text() {
    let evil = r#""</script><script>alert(1)</script><!--\u0007&\"'""#;
    let text = stale().replace("\"value\":1}", &format!("\"value\":{evil}}}"));
    let (page, svg, _) = drawn(&read(&text));
    for out in [&page, &svg] {
        // The name of the file is text as well.
        for raw in ["<script>alert", "<script&gt;", "</script&gt;", "<!--", "h<"] {
            assert!(!out.contains(raw), "{raw}");
        }
        assert!(!out.contains('\u{7}'));
    }
    assert_eq!(page.matches("</script>").count(), 3, "the data and two scripts");
}

#[test]
fn nothing_is_fetched() {
    let (page, svg, _) = drawn(&read(&stale()));
    for out in [&page, &svg] {
        let links = out.replace("http://www.w3.org/2000/svg", "");
        for word in ["http:", "https:", "src=", "@import", "url(", "<link", "fetch(", "XMLHttpRequest"] {
            assert!(!links.contains(word), "{word}");
        }
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn faults_are_bands_from_their_beginning_to_their_end() {
    let text = [
        event("\"nemesis\"", "info", "start-partition", "null"),
        event("\"nemesis\"", "info", "start-partition", "\"n1 alone\""),
        event("0", "invoke", "write", "1"),
        event("\"nemesis\"", "info", "kill", "\"n2\""),
        event("0", "ok", "write", "1"),
        event("\"nemesis\"", "info", "stop-partition", "null"),
        event("\"nemesis\"", "info", "stop-partition", "null"),
        event("1", "invoke", "read", "null"),
        event("\"nemesis\"", "info", "pause", "\"n3\""),
        event("1", "ok", "read", "1"),
        event("\"nemesis\"", "info", "heal-kill", "null"),
    ]
    .concat();
    let band = |name: &str, detail: &str, from, to, line| Band {
        name: name.to_owned(),
        detail: detail.to_owned(),
        from,
        to,
        line,
    };
    let expected = [
        band("partition", "n1 alone", 2, Some(7), 1),
        band("kill", "n2", 4, Some(10), 4),
        band("pause", "n3", 9, None, 9),
    ];
    let history = read(&text);
    assert_eq!(bands(&history), expected);
    let (page, svg, _) = drawn(&history);
    assert_eq!((list(&page, "band_from"), list(&page, "band_to")), (vec![2, 4, 9], vec![7, 10, -1]));
    assert!(svg.contains("drawing-band\" x"));
}

#[test]
fn plain_stop_ends_all_faults() {
    let text = [
        event("\"nemesis\"", "info", "start", "null"),
        event("0", "invoke", "write", "1"),
        event("0", "ok", "write", "1"),
        event("\"nemesis\"", "info", "stop", "null"),
    ]
    .concat();
    let bands = bands(&read(&text));
    assert_eq!((bands.len(), bands[0].to), (1, Some(3)), "{bands:?}");
}

#[test]
fn a_history_that_is_too_long_for_a_page_is_shown_where_it_matters() {
    let mut events = Vec::new();
    for value in 0..i64::try_from(MOST_OPERATIONS).expect("small") + 5_000 {
        for kind in [crate::Kind::Invoke, crate::Kind::Ok] {
            events.push(crate::Event::new(0, kind, "write", Value::Int(value)));
        }
    }
    for (kind, value) in [(crate::Kind::Invoke, Value::Nil), (crate::Kind::Ok, Value::Int(7))] {
        events.push(crate::Event::new(1, kind, "read", value));
    }
    let (page, svg, report) = drawn(&crate::generate::history(&events));
    assert!(matches!(report.verdict, Verdict::NotLinearizable { .. }));
    let carried = list(&page, "process").len();
    assert!(carried <= MOST_OPERATIONS + 8, "{carried}");
    let left_out = events.len() / 2 - carried;
    assert!(page.contains(&format!("\"left_out\":{left_out},")), "what is missing is said");
    assert!(page.contains("\"blocked\":") && svg.contains("read → 7"));
}

#[test]
fn a_drawing_of_many_operations_says_what_it_leaves_out() {
    let many: String = (0..100)
        .flat_map(|value| {
            let value = value.to_string();
            [event("0", "invoke", "write", &value), event("0", "ok", "write", &value)]
        })
        .collect();
    let (_, svg, _) = drawn(&read(&many));
    assert_eq!(svg.matches("<g>").count(), MOST_DRAWN);
    assert!(svg.contains(&format!("… and {} more operations", 100 - MOST_DRAWN)));
}
