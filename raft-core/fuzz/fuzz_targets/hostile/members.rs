//! Memberships, legal ones and others.

use arbitrary::Arbitrary;
use raft_core::{Change, Membership, NodeId, Transition};

use crate::generator::Peer;

/// The node itself.
pub const ME: NodeId = NodeId(1);

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Members {
    /// So many voters, the node itself the first of them, and so many learners besides.
    Usual { voters: u8, learners: u8 },
    /// The node itself is none of them.
    Others { voters: u8, is_learner: bool },
    /// From the one to the other.
    Joint { from: u8, to: u8, leaves_by_itself: bool },
    /// Lists that only bytes from a network can hold, not [`Membership`]'s own functions.
    Raw { voters: [u8; 3], outgoing: Option<u8>, learner: Option<u8>, demoted: Option<u8>, leaves: bool },
    /// Nobody, or far too many.
    Absurd { many: bool },
}

impl Members {
    pub fn membership(self) -> Membership {
        let ids = |first: u64, count: u8| (first..=first + u64::from(count % 5)).map(NodeId);
        match self {
            Members::Usual { voters, learners } => {
                let voters = Membership::new(ids(1, voters));
                let next = voters.voters().len() as u64 + 1;
                voters.with_learners((next..next + u64::from(learners % 3)).map(NodeId))
            }
            Members::Others { voters, is_learner } => {
                Membership::new(ids(2, voters)).with_learners(is_learner.then_some(ME))
            }
            Members::Joint { from, to, leaves_by_itself } => {
                let joins = Change::Voter(NodeId(10 + u64::from(to % 3)));
                let leaves = Change::Remove(NodeId(1 + u64::from(to % 2)));
                let transition = if leaves_by_itself { Transition::Auto } else { Transition::Explicit };
                Membership::new(ids(1, 1 + from % 4)).changed(&[joins, leaves], transition).expect("a change")
            }
            Members::Raw { voters, outgoing, learner, demoted, leaves } => {
                let voters: Vec<u64> = voters.map(|id| u64::from(id % 8)).into_iter().collect();
                let list = |id: Option<u8>| id.map(|id| u64::from(id % 8)).into_iter().collect::<Vec<_>>();
                let lists = (voters, list(outgoing), list(learner), list(demoted), leaves);
                let bytes = postcard::to_stdvec(&lists).expect("lists can be written");
                postcard::from_bytes(&bytes).expect("and read as a membership")
            }
            Members::Absurd { many: false } => Membership::default(),
            Members::Absurd { many: true } => Membership::new((0..=64).map(NodeId)),
        }
    }
}

/// What is to become of whom.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Altered {
    peer: Peer,
    how: u8,
}

impl Altered {
    pub fn change(self) -> Change {
        let id = self.peer.0;
        match self.how % 4 {
            0 => Change::Voter(id),
            1 => Change::Promote(id),
            2 => Change::Learner(id),
            _ => Change::Remove(id),
        }
    }
}
