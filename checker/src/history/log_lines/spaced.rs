//! The fields of a line whose tabs were lost.

use crate::history::Kind;

/// Each word with where it begins.
fn words(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.split(' ')
        .scan(0, |at, word| {
            let begin = *at;
            *at += word.len() + 1;
            Some((word, begin))
        })
        .filter(|(word, _)| !word.is_empty())
}

/// Where the operation begins that a line of the logger carries: at the word before the first that is a type.
pub(super) fn start(text: &str) -> Option<usize> {
    let mut before = None;
    for (word, at) in words(text) {
        if word.strip_prefix(':').and_then(Kind::from_name).is_some() {
            return before;
        }
        before = Some(at);
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
        let field = left.trim_start_matches(' ');
        let at = text.len() - field.len();
        let length = if whole { value_length(field) } else { field.len() };
        let Some(field) = field.get(..length).map(|field| field.trim_end_matches(' ')) else { break };
        if !field.is_empty() {
            fields.push((field, at as u64 + 1));
        }
        rest = at + length;
    }
    fields.into_iter()
}

/// Up to the first space that is in no bracket and no string.
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
            b' ' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}
