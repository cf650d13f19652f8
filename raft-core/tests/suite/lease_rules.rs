//! R10, R11 and J07: from when to when a lease holds, case by case. (`leases` does it at random.)

use std::time::Duration;

use raft_core::{
    Body, Change, Clocked, Config, Effects, HardState, Input, Lease, Message, Moment, NodeId, ReadId,
    ReadOutcome, Recovered, Refused, RoleKind, Term, Timing, Transition,
};

use crate::node::{GRANTED, accepted, append, at, vote_request};

const TIMING: Timing = Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };

fn ms(milliseconds: u64) -> Moment {
    Moment(0) + Duration::from_millis(milliseconds)
}

/// Server 1 of three, with perfect clocks, at a host whose disk answers at once.
struct Timed {
    node: Clocked<u64>,
    effects: Effects<u64>,
}

impl Timed {
    fn start(drift_ppm: u32) -> Timed {
        let mut config = Config::new(NodeId(1), [1, 2, 3].map(NodeId));
        config.pre_vote = false;
        config.lease = Some(Lease { drift_ppm });
        let hard_state = HardState::new(Term(1), None);
        let recovered = Recovered { boot: 1, hard_state, ..Recovered::nothing() };
        let mut effects = Effects::default();
        let node = Clocked::start(config, recovered, TIMING, 0, ms(0), &mut effects).unwrap();
        Timed { node, effects }
    }

    fn step(&mut self, now: u64, input: Option<Input<u64>>) -> Result<(), Refused> {
        let result = self.node.step(ms(now), input, &mut self.effects);
        while !self.effects.writes.is_empty() {
            let ack = self.effects.writes.remove(0).split().1;
            self.node.step(ms(now), Some(Input::Durable(ack)), &mut self.effects).unwrap();
        }
        result
    }

    fn hear(&mut self, now: u64, from: u64, term: u64, body: Body<u64>) {
        let message = Message { term: Term(term), body };
        self.step(now, Some(Input::Receive { from: NodeId(from), message })).unwrap();
    }

    /// Leads term 2 from 250 ms on; what it sends at 270 ms is echoed by 2 at 290 ms.
    fn leading(drift_ppm: u32) -> Timed {
        let mut timed = Timed::start(drift_ppm);
        timed.step(250, None).unwrap();
        timed.hear(250, 2, 2, GRANTED);
        timed.hear(250, 2, 2, accepted(1, 0));
        assert_eq!(timed.node.raft().role(), RoleKind::Leader);
        assert!(!timed.node.holds_lease(ms(250)), "nothing is confirmed yet");
        timed.step(270, None).unwrap();
        assert!(!timed.node.holds_lease(ms(270)));
        timed.hear(290, 2, 2, accepted(1, 1));
        timed
    }

    /// Until when the lease holds, in whole milliseconds after 270.
    fn length(&self) -> u64 {
        (0..1000).take_while(|after| self.node.holds_lease(ms(270 + after))).count() as u64
    }
}

#[test]
fn r10_a_lease_is_counted_from_when_its_round_was_sent_and_shortened_by_the_drift() {
    // (drift, length): t * (1 - d) / (1 + d), of 100 ms, rounded up to whole ones.
    for (drift_ppm, length) in [(0, 100), (1000, 100), (10_000, 99), (200_000, 67), (500_000, 34)] {
        assert_eq!(Timed::leading(drift_ppm).length(), length, "{drift_ppm} millionths");
    }
}

#[test]
fn r10_under_a_lease_a_read_asks_nobody_and_after_it_a_quorum() {
    let mut leader = Timed::leading(0);
    leader.effects.clear();
    leader.step(291, Some(Input::Read(ReadId(7)))).unwrap();
    let index = leader.node.raft().commit();
    assert_eq!(leader.effects.reads, [ReadOutcome::Ready { id: ReadId(7), index }]);
    assert_eq!(leader.effects.send, []);
    leader.effects.clear();
    leader.step(400, Some(Input::Read(ReadId(8)))).unwrap();
    assert_eq!(leader.effects.reads, [], "the same now that brings the read ends the lease");
}

#[test]
fn r10_a_lease_ends_with_a_change_of_the_members() {
    let mut leader = Timed::leading(0);
    assert!(leader.node.holds_lease(ms(295)));
    let changes = vec![Change::Learner(NodeId(4))];
    leader.step(295, Some(Input::ChangeMembership { changes, transition: Transition::Auto })).unwrap();
    assert!(!leader.node.holds_lease(ms(295)));
    // The next round is confirmed under the new ones.
    leader.step(315, None).unwrap();
    leader.hear(320, 2, 2, accepted(2, 2));
    leader.hear(320, 2, 2, accepted(2, 3));
    leader.step(345, None).unwrap();
    leader.hear(350, 2, 2, accepted(2, 4));
    assert!(leader.node.holds_lease(ms(350)));
}

#[test]
fn r10_a_lease_ends_with_the_office() {
    type End = fn(&mut Timed);
    let ends: [(&str, End); 3] = [
        ("stepping down", |leader| leader.step(295, Some(Input::StepDown)).unwrap()),
        ("a later term", |leader| leader.hear(295, 3, 9, append(at(0, 0), &[], 0))),
        ("a broken disk", |leader| leader.step(295, Some(Input::StorageFailed)).unwrap()),
    ];
    for (what, end) in ends {
        let mut leader = Timed::leading(0);
        end(&mut leader);
        assert!(!leader.node.holds_lease(ms(295)), "{what}");
    }
}

#[test]
fn j07_a_lease_is_given_up_before_the_target_is_told() {
    let mut leader = Timed::leading(0);
    leader.effects.clear();
    // 3 lags: nothing is said to it yet, and the lease has ended already.
    leader.step(295, Some(Input::TransferLeadership(Some(NodeId(3))))).unwrap();
    assert!(!leader.effects.send.iter().any(|sent| sent.message.body == Body::TimeoutNow));
    assert!(!leader.node.holds_lease(ms(295)));
    leader.step(296, Some(Input::Read(ReadId(7)))).unwrap();
    assert_eq!(leader.effects.reads, [], "it asks the quorum");
    // Given up without a word to the target: the lease is as good as before.
    for (now, round) in [(330, 2), (360, 3), (400, 4), (420, 5), (450, 6), (470, 7)] {
        leader.step(now, None).unwrap();
        (1..=round).for_each(|round| leader.hear(now + 1, 2, 2, accepted(1, round)));
    }
    assert_eq!(leader.node.raft().transferring_to(), None, "in vain");
    assert!(leader.node.holds_lease(ms(472)));
}

#[test]
fn j07_once_the_target_was_told_no_lease_holds_in_this_term_any_more() {
    let mut leader = Timed::leading(0);
    leader.effects.clear();
    leader.step(295, Some(Input::TransferLeadership(Some(NodeId(2))))).unwrap();
    assert!(leader.effects.send.iter().any(|sent| sent.message.body == Body::TimeoutNow));
    assert!(!leader.node.holds_lease(ms(295)));
    for (now, round) in [(330, 2), (360, 3), (400, 4), (420, 5), (450, 6), (470, 7)] {
        leader.step(now, None).unwrap();
        (1..=round).for_each(|round| leader.hear(now + 1, 2, 2, accepted(1, round)));
        assert!(!leader.node.holds_lease(ms(now + 2)), "at {now}: the word may still arrive");
    }
    assert_eq!(leader.node.raft().transferring_to(), None, "in vain");
    assert_eq!(leader.node.raft().role(), RoleKind::Leader);
}

#[test]
fn r10_a_server_that_restarts_votes_for_nobody_before_a_lease_it_may_uphold_has_ended() {
    for (now, votes) in [(1, false), (99, false), (100, true)] {
        let mut voter = Timed::start(0);
        voter.hear(now, 2, 5, vote_request(at(9, 4)));
        let granted = voter.effects.send.iter().any(|sent| sent.message.body == GRANTED);
        assert_eq!(granted, votes, "{now} ms after the start");
        let term = voter.node.raft().term();
        assert_eq!(term, Term(if votes { 5 } else { 1 }), "nor does it follow into the term");
    }
}

#[test]
fn r11_leases_forbid_what_they_rest_on() {
    let mut node = Timed::start(0);
    node.hear(110, 2, 1, append(at(0, 0), &[], 0));
    for input in [Input::SetCheckQuorum(false), Input::ForgetLeader, Input::Campaign] {
        let refused = node.step(120, Some(input.clone()));
        assert_eq!(refused, Err(Refused::LeasesForbid), "{input:?}");
    }
    node.step(211, None).unwrap();
    assert_eq!(node.step(211, Some(Input::Campaign)), Ok(()), "it has not heard its leader for long enough");
}
