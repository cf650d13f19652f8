//! What must hold of a leader's dealings with its peers.

use raft_core::{Body, Effects, Outbound, Raft, RoleKind, Sending};

use crate::judged::{Judge, bytes_of};

impl Judge {
    /// Per peer no more is under way than allowed (E06, E07).
    pub fn keeps_windows(&mut self, before: &Raft<u8>, node: &Raft<u8>, effects: &Effects<u8>) {
        let limits = node.config().limits;
        if node.role() != RoleKind::Leader || node.term() != before.term() {
            self.inflight.clear();
        }
        let was_replicating = |id| before.peers().any(|p| p.id == id && p.sending == Sending::Replicate);
        for peer in node.peers() {
            let window = self.inflight.entry(peer.id).or_default();
            if peer.sending != Sending::Replicate || !was_replicating(peer.id) {
                window.clear();
            }
            window.retain(|(last, _)| *last > peer.matched);
            let appends = effects.send.iter().filter(|outbound| outbound.to == peer.id);
            for Outbound { message, .. } in appends {
                if let Body::Append(append) = &message.body
                    && let Some(last) = append.entries.last()
                    && peer.sending == Sending::Replicate
                {
                    window.push((last.index, bytes_of(&append.entries)));
                }
            }
            let (count, bytes) =
                (window.len(), window.iter().rev().skip(1).map(|(_, bytes)| bytes).sum::<usize>());
            assert!(count <= limits.inflight_appends, "{count} appends are under way to {peer:?}");
            assert!(count < 2 || bytes < limits.inflight_bytes, "{bytes} bytes to {peer:?}");
            let was = before.peers().find(|was| was.id == peer.id && node.term() == before.term());
            assert!(was.is_none_or(|was| was.matched <= peer.matched), "{was:?} goes back to {peer:?}");
            assert!(peer.matched < peer.next && peer.matched <= node.last().index, "{peer:?}");
        }
    }

    /// Parts of a snapshot are read for peers that need one and were heard of, of the one that there is.
    pub fn ships_what_it_has(&self, node: &Raft<u8>, effects: &Effects<u8>) {
        for wanted in &effects.snapshots {
            let peer = node.peers().find(|peer| peer.id == wanted.to);
            assert!(peer.is_some_and(|peer| peer.sending == Sending::Snapshot), "{wanted:?} for {peer:?}");
            assert!(node.snapshot().is_some_and(|latest| latest.last.index >= wanted.last.index));
        }
    }
}
