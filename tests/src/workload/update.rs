//! Objects that the store does not have, kept under one of its keys: read, change, compare-and-set, again if somebody was
//! quicker.

use std::time::Duration;

use tokio::time::Instant;

use crate::system::{Client, Failed};

/// What becomes of an object.
pub(super) enum Change<T> {
    /// This text takes its place, and that is the answer.
    To(String, T),
    /// It stays, and that is the answer.
    Stays(T),
}

/// Changes the object under a key. It fails for certain until the first compare-and-set whose answer is lost: that one may
/// have been applied, or may be later, so that it ends there.
pub(super) async fn update<T>(
    client: &mut dyn Client,
    key: &str,
    limit: Duration,
    mut change: impl FnMut(Option<&str>) -> Result<Change<T>, String>,
) -> Result<T, Failed> {
    let deadline = Instant::now() + limit;
    loop {
        let found = client.get(key).await.map_err(|failed| Failed { certain: true, ..failed })?;
        match change(found.as_deref()).map_err(Failed::certainly)? {
            Change::Stays(answer) => return Ok(answer),
            Change::To(new, answer) => {
                if client.cas(key, found.as_deref(), &new).await? {
                    return Ok(answer);
                }
            }
        }
        if Instant::now() >= deadline {
            return Err(Failed::certainly("others were quicker, again and again"));
        }
    }
}

/// The numbers in a text such as `3,17,4`; none in none. What is no such text nobody wrote.
pub(super) fn numbers(text: Option<&str>) -> Result<Vec<i64>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let parsed: Option<Vec<i64>> = text.split(',').map(|number| number.parse().ok()).collect();
    parsed.ok_or_else(|| foreign(text))
}

/// The text of these numbers.
pub(super) fn text(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// What to say of a text that no client writes.
pub(super) fn foreign(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!("read what nobody wrote: {shown:?}")
}

/// What a read is recorded to have seen that returned what no client ever writes: every check refuses it.
pub(super) const NOBODY_WROTE: i64 = i64::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for list in [vec![], vec![7], vec![7, -1, 7]] {
            assert_eq!(numbers(Some(&text(&list))), Ok(list));
        }
        assert_eq!(numbers(None), Ok(Vec::new()));
        assert!(numbers(Some("7,junk")).is_err());
    }
}
