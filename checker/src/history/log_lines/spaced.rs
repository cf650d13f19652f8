//! The fields of a line whose tabs were lost, or have spaces around them.

use crate::history::Kind;

const BLANKS: [char; 2] = [' ', '\t'];

/// Each word with where it begins.
fn words(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.split(BLANKS)
        .scan(0, |at, word| {
            let begin = *at;
            *at += word.len() + 1;
            Some((word, begin))
        })
        .filter(|(word, _)| !word.is_empty())
}

/// Where the operation begins that a line of the logger carries: at the word before the first that is a type, or that is a
/// keyword between a number and another keyword. That one is no type, and is refused for it: passed over it would be a pass for
/// nothing.
pub(super) fn start(text: &str) -> Option<usize> {
    let mut words = words(text).peekable();
    let mut before: Option<(&str, usize)> = None;
    while let Some((word, at)) = words.next() {
        if let Some(name) = word.strip_prefix(':') {
            let numbered = before.is_some_and(|(word, _)| word.parse::<i64>().is_ok());
            let follows = words.peek().is_some_and(|(next, _)| next.len() > 1 && next.starts_with(':'));
            if before.is_some() && (Kind::from_name(name).is_some() || numbered && follows) {
                return before.map(|(_, at)| at);
            }
        }
        before = Some((word, at));
    }
    None
}

/// Process, type, function, value, error, each with its column.
pub(super) fn fields(text: &str) -> std::vec::IntoIter<(&str, u64)> {
    let mut fields = Vec::with_capacity(5);
    let begin = start(text).unwrap_or(0);
    let mut rest = begin;
    for (word, at) in words(text).filter(|(_, at)| *at >= begin).take(3) {
        fields.push((word, at as u64 + 1));
        rest = at + word.len();
    }
    for whole in [true, false] {
        let Some(left) = text.get(rest..) else { break };
        let field = left.trim_start_matches(BLANKS);
        let at = text.len() - field.len();
        let length = if whole { value_length(field) } else { field.len() };
        let Some(field) = field.get(..length).map(|field| field.trim_end_matches(BLANKS)) else { break };
        if !field.is_empty() {
            fields.push((field, at as u64 + 1));
        }
        rest = at + length;
    }
    fields.into_iter()
}

/// Up to the first blank that is in no bracket and no string.
fn value_length(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            b' ' | b'\t' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}
