//! Client sessions (diss. 6.3): what makes a retried command apply once.

use std::collections::BTreeMap;

use raft_core::Index;
use serde::{Deserialize, Serialize};

use super::Response;

/// One client's session: the last operation and its answer. The client has one operation outstanding at a time, so an older
/// answer is never asked for again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) nonce: u128,
    /// The last operation and what it answered; `None` before the first.
    pub(super) last: Option<(u64, Response)>,
    /// The index of the latest command that named this session.
    pub(super) used: Index,
}

/// All sessions, at most `limit` of them: a new one takes the place of the one that was not used for longest. "Longest" is
/// counted along the log, not in time, so that every replica expires the same session at the same entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Image")]
pub(super) struct Sessions {
    limit: usize,
    sessions: BTreeMap<u64, Session>,
    /// Session by nonce: follows from `sessions`.
    #[serde(skip_serializing)]
    by_nonce: BTreeMap<u128, u64>,
    /// Session by latest use, each entry of the log being at most one session's: follows from `sessions`.
    #[serde(skip_serializing)]
    by_use: BTreeMap<Index, u64>,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Sessions {
        let limit = limit.max(1);
        Sessions { limit, sessions: BTreeMap::new(), by_nonce: BTreeMap::new(), by_use: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// The session of this nonce: the one it has, or a new one named after this entry.
    pub(super) fn open(&mut self, index: Index, nonce: u128) -> u64 {
        if let Some(&session) = self.by_nonce.get(&nonce) {
            self.touch(index, session);
            return session;
        }
        while self.sessions.len() >= self.limit {
            self.expire_one();
        }
        let session = index.0;
        self.sessions.insert(session, Session { nonce, last: None, used: index });
        self.by_nonce.insert(nonce, session);
        self.by_use.insert(index, session);
        session
    }

    /// The session, marked as used at this entry; `None` if it expired (or never was).
    pub(super) fn touch(&mut self, index: Index, session: u64) -> Option<&mut Session> {
        let found = self.sessions.get_mut(&session)?;
        self.by_use.remove(&found.used);
        self.by_use.insert(index, session);
        found.used = index;
        Some(found)
    }

    fn expire_one(&mut self) {
        let Some((_, session)) = self.by_use.pop_first() else { return };
        let Some(expired) = self.sessions.remove(&session) else { return };
        self.by_nonce.remove(&expired.nonce);
    }
}

/// What of [`Sessions`] is stored; the rest follows from it.
#[derive(Deserialize)]
struct Image {
    limit: usize,
    sessions: BTreeMap<u64, Session>,
}

impl TryFrom<Image> for Sessions {
    type Error = &'static str;

    fn try_from(Image { limit, sessions }: Image) -> Result<Sessions, Self::Error> {
        let by_nonce: BTreeMap<_, _> = sessions.iter().map(|(&id, session)| (session.nonce, id)).collect();
        let by_use: BTreeMap<_, _> = sessions.iter().map(|(&id, session)| (session.used, id)).collect();
        if limit == 0 || sessions.len() > limit {
            return Err("more sessions than their limit");
        }
        if by_nonce.len() != sessions.len() || by_use.len() != sessions.len() {
            return Err("two sessions share a nonce or a log entry");
        }
        Ok(Sessions { limit, sessions, by_nonce, by_use })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored and read back.
    fn restored(sessions: &Sessions) -> Result<Sessions, postcard::Error> {
        postcard::from_bytes(&postcard::to_stdvec(sessions).unwrap())
    }

    #[test]
    fn stored_sessions_that_contradict_themselves_are_refused() {
        let mut sessions = Sessions::new(2);
        sessions.open(Index(1), 11);
        sessions.open(Index(2), 12);
        assert_eq!(restored(&sessions).unwrap(), sessions);
        assert!(restored(&Sessions { limit: 1, ..sessions.clone() }).is_err());
        let damaged = |damage: fn(&mut Session)| {
            let mut damaged = sessions.clone();
            damaged.sessions.values_mut().for_each(damage);
            restored(&damaged)
        };
        assert!(damaged(|session| session.nonce = 11).is_err());
        assert!(damaged(|session| session.used = Index(2)).is_err());
    }
}
