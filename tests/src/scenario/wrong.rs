//! Which gets were wrong, one by one. The checker says whether the whole can have happened; this says of each get alone
//! whether it can, for people who count.

use std::collections::HashMap;
use std::time::Duration;

use super::requests::{Ask, Request};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A put was acknowledged, or a get saw this.
    Ok(Option<i64>),
    /// A server refused it, or it was certainly not done.
    Failed,
    /// No answer.
    Unanswered,
}

/// What became of a request: asked when, answered when, counted from the start of the experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Done {
    pub(super) request: Request,
    pub(super) asked: Duration,
    pub(super) ended: Duration,
    pub(super) end: End,
}

/// The gets that saw what they cannot have seen: a value nobody had put into that key by then, a value that another
/// acknowledged put had surely replaced, or nothing where a put was acknowledged already.
pub(super) fn gets(done: &[Done]) -> Vec<&Done> {
    let mut puts: HashMap<u64, Vec<&Done>> = HashMap::new();
    for one in done.iter().filter(|one| one.request.ask != Ask::Get && one.end != End::Failed) {
        puts.entry(one.request.key).or_default().push(one);
    }
    let wrong = |get: &&Done| {
        let (Ask::Get, End::Ok(seen)) = (get.request.ask, get.end) else { return false };
        let puts = puts.get(&get.request.key).map_or(&[][..], Vec::as_slice);
        let before = |put: &&&Done| matches!(put.end, End::Ok(_)) && put.ended < get.asked;
        let Some(value) = seen else { return puts.iter().any(|put| before(&put)) };
        let Some(source) = puts.iter().find(|put| put.request.ask == Ask::Put(value)) else { return true };
        source.asked > get.ended
            || matches!(source.end, End::Ok(_))
                && puts.iter().filter(before).any(|put| put.asked > source.ended)
    };
    done.iter().filter(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(ask: Ask, from: u64, to: u64, end: End) -> Done {
        let request = Request { due: Duration::ZERO, client: 0, key: 1, ask, premature: false };
        Done { request, asked: Duration::from_millis(from), ended: Duration::from_millis(to), end }
    }

    fn is_wrong(puts: &[Done], seen: Option<i64>, from: u64, to: u64) -> bool {
        let get = done(Ask::Get, from, to, End::Ok(seen));
        let all: Vec<Done> = puts.iter().copied().chain([get]).collect();
        gets(&all) == [&get]
    }

    #[test]
    fn a_get_is_wrong_if_no_order_explains_it_and_only_then() {
        let ok = End::Ok(None);
        let puts = [done(Ask::Put(1), 10, 20, ok), done(Ask::Put(2), 30, 40, ok)];
        assert!(!is_wrong(&puts, Some(2), 50, 60));
        assert!(!is_wrong(&puts, Some(1), 35, 60), "it began before the second was acknowledged");
        assert!(is_wrong(&puts, Some(1), 50, 60), "replaced");
        assert!(is_wrong(&puts, Some(9), 50, 60), "nobody put it");
        assert!(is_wrong(&puts, Some(2), 22, 25), "not put yet");
        assert!(is_wrong(&puts, None, 50, 60), "there was a value");
        assert!(!is_wrong(&puts, None, 5, 15), "the first was still under way");
        let late = [done(Ask::Put(1), 10, 20, End::Unanswered), done(Ask::Put(2), 30, 40, ok)];
        assert!(!is_wrong(&late, Some(1), 50, 60), "an unanswered put may come at any time");
        assert!(is_wrong(&[done(Ask::Put(1), 10, 20, End::Failed)], Some(1), 50, 60), "it was refused");
    }
}
