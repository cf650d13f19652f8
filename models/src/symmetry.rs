//! Which server is which does not matter: permutations of the servers.
//!
//! Three servers that are renamed behave the same under their new names. So of the up to `n!` states that differ only in
//! names one is enough. The permutations of `1..=n` are numbered, the identity first.

use raft_core::NodeId;

/// All permutations of up to [`Bounds::MAX_SERVERS`](crate::Bounds::MAX_SERVERS) servers.
pub(crate) struct Permutations {
    /// `all[p][i]` is the new number, from 0, of the server numbered `i`.
    all: Vec<Vec<u8>>,
    /// `after[p][q]` is the permutation that does `q` first and then `p`.
    after: Vec<Vec<usize>>,
}

impl Permutations {
    /// Those of them that `is_allowed`, given as what becomes of whom: they must form a group.
    pub(crate) fn of(servers: usize, symmetric: bool, is_allowed: impl Fn(&[u8]) -> bool) -> Self {
        let mut all = vec![Vec::new()];
        for _ in 0..servers {
            all = all.iter().flat_map(|prefix: &Vec<u8>| extensions(prefix, servers)).collect();
        }
        if !symmetric {
            all.truncate(1);
        }
        all.retain(|permutation| is_allowed(permutation));
        let position = |wanted: &Vec<u8>| all.iter().position(|p| p == wanted).unwrap_or_default();
        let compose = |p: &Vec<u8>, q: &Vec<u8>| -> Vec<u8> {
            q.iter().filter_map(|&middle| p.get(usize::from(middle)).copied()).collect()
        };
        let after = all.iter().map(|p| all.iter().map(|q| position(&compose(p, q))).collect()).collect();
        Permutations { all, after }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The new name of a server.
    pub(crate) fn rename(&self, permutation: usize, id: NodeId) -> NodeId {
        self.all.get(permutation).map_or(id, |permutation| renamed(permutation, id))
    }

    /// The permutation that does `first` and then `second`.
    pub(crate) fn compose(&self, second: usize, first: usize) -> usize {
        self.after.get(second).and_then(|row| row.get(first)).copied().unwrap_or_default()
    }
}

/// The new name of a server under one permutation.
pub(crate) fn renamed(permutation: &[u8], id: NodeId) -> NodeId {
    let old = id.0.checked_sub(1).and_then(|i| usize::try_from(i).ok());
    let new = old.and_then(|i| permutation.get(i));
    new.map_or(id, |&i| NodeId(u64::from(i) + 1))
}

fn extensions(prefix: &[u8], servers: usize) -> Vec<Vec<u8>> {
    let unused = (0..servers as u8).filter(|i| !prefix.contains(i));
    unused.map(|i| prefix.iter().copied().chain([i]).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_form_a_group_with_the_identity_first() {
        for servers in 1..=4 {
            let group = Permutations::of(servers, true, |_| true);
            assert_eq!(group.len(), (1..=servers).product::<usize>());
            for id in (1..=servers as u64).map(NodeId) {
                assert_eq!(group.rename(0, id), id);
                for p in 0..group.len() {
                    for q in 0..group.len() {
                        let both = group.rename(p, group.rename(q, id));
                        assert_eq!(group.rename(group.compose(p, q), id), both);
                    }
                }
            }
        }
    }
}
