//! Majorities: of one set of voters, or of both in a joint membership (§6).

use super::Membership;
use crate::mutant::{Mutant, MutantSwitch};
use crate::types::NodeId;

/// How an election stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tally {
    /// The candidate has every majority it needs.
    Won,
    /// Some majority is out of reach.
    Lost,
    /// Neither yet.
    Open,
}

impl Membership {
    /// The highest value that a quorum has reached, each voter having reached `reached(voter)`.
    ///
    /// With match indexes that is the index a leader may commit (Figure 2), with confirmation rounds the one that is
    /// confirmed.
    pub(crate) fn reached_by<T: Ord + Copy + Default>(
        &self,
        mutant: MutantSwitch,
        reached: impl Fn(NodeId) -> T,
    ) -> T {
        let new = nth_highest(self.electorate(mutant), mutant, &reached);
        if !self.is_joint() || mutant.is(Mutant::JointOneMajority) {
            return new;
        }
        new.min(nth_highest(self.outgoing.iter().copied(), mutant, &reached))
    }

    /// Whether those that `is_in` picks are a quorum.
    pub(crate) fn is_quorum(&self, mutant: MutantSwitch, is_in: impl Fn(NodeId) -> bool) -> bool {
        self.reached_by(mutant, is_in)
    }

    /// How an election stands, given what voters have answered so far; `extra` votes come from nobody (a seeded bug).
    pub(crate) fn tally(
        &self,
        mutant: MutantSwitch,
        extra: usize,
        answer: impl Fn(NodeId) -> Option<bool>,
    ) -> Tally {
        let new = tally_of(self.electorate(mutant), mutant, extra, &answer);
        if !self.is_joint() || mutant.is(Mutant::JointOneMajority) {
            return new;
        }
        match (new, tally_of(self.outgoing.iter().copied(), mutant, extra, &answer)) {
            (Tally::Won, Tally::Won) => Tally::Won,
            (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
            _ => Tally::Open,
        }
    }

    fn electorate(&self, mutant: MutantSwitch) -> impl Iterator<Item = NodeId> + Clone + '_ {
        let learners = if mutant.is(Mutant::LearnerCounts) { self.learners.as_slice() } else { &[] };
        self.voters.iter().chain(learners).copied()
    }
}

/// How many of so many voters make a majority.
pub(crate) fn majority(voters: usize, mutant: MutantSwitch) -> usize {
    if mutant.is(Mutant::QuorumHalf) { (voters / 2).max(1) } else { voters / 2 + 1 }
}

/// Sorts what the voters have reached, on the stack: this happens with every acknowledgement.
fn nth_highest<T: Ord + Copy + Default>(
    voters: impl Iterator<Item = NodeId>,
    mutant: MutantSwitch,
    reached: &impl Fn(NodeId) -> T,
) -> T {
    let mut values = [T::default(); Membership::MAX_MEMBERS];
    let mut count = 0;
    for (value, voter) in values.iter_mut().zip(voters) {
        *value = reached(voter);
        count += 1;
    }
    let Some(values) = values.get_mut(..count) else { return T::default() };
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(majority(count, mutant).saturating_sub(1)).copied().unwrap_or_default()
}

fn tally_of(
    voters: impl Iterator<Item = NodeId>,
    mutant: MutantSwitch,
    extra: usize,
    answer: &impl Fn(NodeId) -> Option<bool>,
) -> Tally {
    let (mut all, mut given, mut refused) = (0, extra, 0);
    for voter in voters {
        all += 1;
        match answer(voter) {
            Some(true) => given += 1,
            Some(false) => refused += 1,
            None => {}
        }
    }
    let quorum = majority(all, mutant);
    if given >= quorum {
        Tally::Won
    } else if refused > all - quorum {
        Tally::Lost
    } else {
        Tally::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: MutantSwitch = MutantSwitch::OFF;

    /// Every subset of six servers as a set of voters, another as the outgoing ones: what a quorum has reached is the highest
    /// value such that some majority of each, tried one by one, has all of its members at it.
    #[test]
    fn g09_quorum_arithmetic_agrees_with_brute_force() {
        const SERVERS: u32 = 6;
        let members =
            |set: u32| (0..SERVERS).filter(move |i| set & (1 << i) != 0).map(|i| NodeId(u64::from(i)));
        let is_majority = |part: u32, of: u32| (part & of).count_ones() * 2 > of.count_ones();
        let mut compared = 0;
        for voters in 1..1u32 << SERVERS {
            for outgoing in (0..1u32 << SERVERS).step_by(if voters % 5 == 0 { 1 } else { 7 }) {
                let membership = Membership {
                    voters: members(voters).collect(),
                    outgoing: members(outgoing).collect(),
                    ..Membership::default()
                };
                // Values that differ, repeat, and are out of order.
                let mix = u64::from(voters) * 2_654_435_761 + u64::from(outgoing);
                let value = |id: NodeId| (mix >> (3 * id.0)) & 7;
                let by_force = (0..1u32 << SERVERS)
                    .filter(|&q| is_majority(q, voters) && (outgoing == 0 || is_majority(q, outgoing)))
                    .map(|q| members(q & (voters | outgoing)).map(value).min().unwrap_or(0))
                    .max();
                assert_eq!(Some(membership.reached_by(SOUND, value)), by_force, "{membership:?}");
                // Three answers: yes, no, none.
                let answer = |id: NodeId| match value(id) {
                    0..3 => Some(true),
                    3..6 => Some(false),
                    _ => None,
                };
                let set_where = |is: &dyn Fn(Option<bool>) -> bool| {
                    (0..SERVERS)
                        .filter(|&i| is(answer(NodeId(u64::from(i)))))
                        .fold(0u32, |set, i| set | 1 << i)
                };
                let wins =
                    |yes: u32| is_majority(yes, voters) && (outgoing == 0 || is_majority(yes, outgoing));
                let expected = if wins(set_where(&|a| a == Some(true))) {
                    Tally::Won
                } else if wins(set_where(&|a| a != Some(false))) {
                    Tally::Open
                } else {
                    Tally::Lost
                };
                assert_eq!(membership.tally(SOUND, 0, answer), expected, "{membership:?}");
                compared += 1;
            }
        }
        assert!(compared > 1000);
    }

    #[test]
    fn majorities_are_more_than_half() {
        for voters in 1..100 {
            assert!(majority(voters, SOUND) * 2 > voters && (majority(voters, SOUND) - 1) * 2 <= voters);
        }
    }
}
