//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002): finds a small part of
//! a list that still fails, such that no single item can be left out.

/// A small part of `0..count` that still fails; all of it is known to.
///
/// # Errors
/// When a trial could not take place.
pub(super) fn reduce(
    count: usize,
    mut fails: impl FnMut(&[usize]) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<usize>> {
    let mut kept: Vec<usize> = (0..count).collect();
    if kept.is_empty() || fails(&[])? {
        return Ok(Vec::new());
    }
    let mut parts = 2;
    while kept.len() > 1 {
        let size = kept.len().div_ceil(parts);
        let mut smaller = None;
        for chunk in kept.chunks(size) {
            let rest: Vec<usize> = kept.iter().copied().filter(|item| !chunk.contains(item)).collect();
            if parts == 2 && fails(chunk)? {
                smaller = Some((chunk.to_vec(), 2));
                break;
            }
            // Of two parts, the rest is the other part.
            if (parts > 2 || kept.len() == 2) && !rest.is_empty() && fails(&rest)? {
                smaller = Some((rest, (parts - 1).max(2)));
                break;
            }
        }
        match smaller {
            Some((smaller, next)) => (kept, parts) = (smaller, next),
            None if size == 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_is_needed_remains() {
        for count in 1..40 {
            for (a, b) in [(0, 0), (0, count - 1), (count / 2, count / 3), (count - 1, count - 1)] {
                let found = reduce(count, |kept| Ok(kept.contains(&a) && kept.contains(&b))).unwrap();
                let mut needed = vec![a.min(b), a.max(b)];
                needed.dedup();
                assert_eq!(found, needed, "of {count}");
            }
        }
        assert!(reduce(9, |_| Ok(true)).unwrap().is_empty());
        assert_eq!(reduce(3, |kept| Ok(kept.len() == 3)).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn two_of_a_hundred_are_found_with_few_trials() {
        let mut trials = 0;
        let found = reduce(100, |kept| {
            trials += 1;
            Ok(kept.contains(&17) && kept.contains(&71))
        });
        assert_eq!(found.unwrap(), [17, 71]);
        assert!(trials < 100, "{trials}");
    }
}
