//! Memberships, legal and not. Illegal ones cannot be built, but they can be received.

use std::sync::{Arc, LazyLock};

use raft_core::Membership;
use serde_json::json;

use super::draw::Draw;

type Lists<'a> = (&'a [u64], &'a [u64], &'a [u64], &'a [u64], bool);

/// Voters, outgoing, learners, demoted, leaves by itself.
const LEGAL: [Lists<'_>; 12] = [
    (&[1, 2, 3], &[], &[], &[], false),
    (&[1, 2, 3, 4], &[], &[], &[], false),
    (&[1, 2], &[], &[3], &[], false),
    (&[1], &[], &[], &[], false),
    (&[1], &[], &[2, 3, 4], &[], false),
    (&[2, 3, 4], &[], &[], &[], false),
    (&[2, 3], &[], &[1], &[], false),
    (&[1, 2, 4], &[1, 2, 3], &[], &[], true),
    (&[1, 4, 5], &[1, 2, 3], &[], &[], false),
    (&[2, 3, 4], &[1, 2, 3], &[], &[1], true),
    (&[4, 5, 9], &[1, 2, 3], &[], &[2], true),
    (&[5], &[9], &[1], &[], false),
];

const ILLEGAL: [Lists<'_>; 7] = [
    (&[], &[], &[], &[], false),
    (&[], &[1, 2, 3], &[], &[], true),
    (&[2, 1], &[], &[], &[], false),
    (&[1, 1], &[], &[], &[], false),
    (&[1, 2], &[], &[2], &[], false),
    (&[1, 2], &[], &[], &[2], false),
    (&[1, 2, 3], &[], &[], &[], true),
];

/// The legal and the illegal ones.
type Memberships = [Vec<Arc<Membership>>; 2];

static MEMBERSHIPS: LazyLock<Memberships> = LazyLock::new(|| {
    let read = |(voters, outgoing, learners, demoted, leaves): Lists<'_>| {
        let lists = json!({
            "voters": voters, "outgoing": outgoing, "learners": learners, "demoted": demoted,
            "leaves_by_itself": leaves,
        });
        Arc::new(serde_json::from_value::<Membership>(lists).unwrap())
    };
    let crowd: Vec<u64> = (1..=65).collect();
    let legal: Vec<_> = LEGAL.into_iter().map(read).collect();
    let mut illegal: Vec<_> = ILLEGAL.into_iter().map(read).collect();
    illegal.push(read((&crowd, &[], &[], &[], false)));
    assert!(legal.iter().all(|membership| membership.is_legal()));
    assert!(illegal.iter().all(|membership| !membership.is_legal()));
    [legal, illegal]
});

/// Mostly legal.
pub fn membership(draw: &mut Draw) -> Arc<Membership> {
    let [legal, illegal] = &*MEMBERSHIPS;
    let some = if draw.one_in(16) { illegal } else { legal };
    draw.pick(some).unwrap()
}
