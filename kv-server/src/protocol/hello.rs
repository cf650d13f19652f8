//! The handshake: who calls whom, in which version.

use std::net::SocketAddr;

use bytes::Bytes;
use raft_core::NodeId;
use serde::{Deserialize, Serialize};

/// The version of everything in this module's parent. Another version is refused.
pub const VERSION: u16 = 6;

const PEER: [u8; 4] = *b"PLBp";
const CLIENT: [u8; 4] = *b"PLBc";

/// The first frame of every connection, whose layout no version may change; what is in `body` is read only after the rest
/// has been found right.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    magic: [u8; 4],
    version: u16,
    body: Bytes,
}

/// How a server introduces itself to another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerHello {
    /// The caller's cluster.
    pub cluster: String,
    /// The caller.
    pub from: NodeId,
    /// Whom it wants to reach.
    pub to: NodeId,
    /// Where clients reach the caller: what a follower answers them while the caller leads.
    pub client_address: Option<SocketAddr>,
    /// Where servers reach the caller: how the others learn of one that joins.
    pub peer_address: Option<SocketAddr>,
}

impl Hello {
    /// A client's.
    #[must_use]
    pub fn of_client() -> Self {
        Hello { magic: CLIENT, version: VERSION, body: Bytes::new() }
    }

    /// A server's.
    ///
    /// # Errors
    /// None in practice: postcard can encode every such value.
    pub fn of_peer(hello: &PeerHello) -> Result<Self, postcard::Error> {
        let mut body = postcard::to_stdvec(hello)?;
        body.extend(crc32fast::hash(&body).to_be_bytes());
        Ok(Hello { magic: PEER, version: VERSION, body: body.into() })
    }

    /// Whether a client calls that this server understands.
    ///
    /// # Errors
    /// Says what is wrong, in words that may be sent back.
    pub fn check_client(&self) -> Result<(), Rejection> {
        self.check(CLIENT)
    }

    /// Who calls, if server `me` of `cluster` is whom it wants, and either `is_peer` knows it or it says where it is to be reached.
    ///
    /// # Errors
    /// Says what is wrong, in words that may be sent back.
    pub fn check_peer(
        &self,
        cluster: &str,
        me: NodeId,
        is_peer: impl Fn(NodeId) -> bool,
    ) -> Result<PeerHello, Rejection> {
        self.check(PEER)?;
        let hello = self.introduction().ok_or(Rejection::Malformed)?;
        if hello.cluster != cluster {
            return Err(Rejection::WrongCluster { mine: cluster.to_owned() });
        }
        if hello.to != me {
            return Err(Rejection::WrongServer { wanted: hello.to, mine: me });
        }
        let is_known = is_peer(hello.from) || hello.peer_address.is_some();
        if hello.from == me || hello.from.0 == 0 || !is_known {
            return Err(Rejection::NotAMember { yours: hello.from });
        }
        Ok(hello)
    }

    /// What a server says of itself, if it came through whole: one flipped bit would make it another server.
    fn introduction(&self) -> Option<PeerHello> {
        let (said, checksum) = self.body.split_last_chunk()?;
        let is_whole = crc32fast::hash(said).to_be_bytes() == *checksum;
        is_whole.then(|| postcard::from_bytes(said).ok())?
    }

    fn check(&self, magic: [u8; 4]) -> Result<(), Rejection> {
        if self.magic != magic {
            return Err(Rejection::WrongProtocol);
        }
        if self.version != VERSION {
            return Err(Rejection::WrongVersion { yours: self.version, mine: VERSION });
        }
        Ok(())
    }
}

/// Who answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The server's cluster.
    pub cluster: String,
    /// The server.
    pub id: NodeId,
}

/// Why a connection is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// The first frame begins with something else.
    #[error("the first frame does not begin as this protocol's does")]
    WrongProtocol,
    /// Another version.
    #[error("the caller speaks version {yours}, the server version {mine}")]
    WrongVersion {
        /// The caller's.
        yours: u16,
        /// The server's.
        mine: u16,
    },
    /// The part of the first frame that belongs to this version makes no sense.
    #[error("the first frame is malformed")]
    Malformed,
    /// Another cluster.
    #[error("the server belongs to cluster {mine:?}")]
    WrongCluster {
        /// The server's.
        mine: String,
    },
    /// The address leads to another server than the caller thinks.
    #[error("the caller wants server {wanted}, this is server {mine}")]
    WrongServer {
        /// Whom the caller wants.
        wanted: NodeId,
        /// Who this is.
        mine: NodeId,
    },
    /// The caller is not known, nor says where it is to be reached; or it claims to be this very server.
    #[error("server {yours} is not one of this server's peers")]
    NotAMember {
        /// Who the caller says it is.
        yours: NodeId,
    },
    /// One more than a server can know.
    #[error("the server knows as many others as it can")]
    TooManyServers,
    /// All connections are taken.
    #[error("the server has as many connections as it can take")]
    TooManyConnections,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(2);

    fn hello(cluster: &str, from: u64, to: u64) -> Hello {
        let (from, to) = (NodeId(from), NodeId(to));
        Hello::of_peer(&PeerHello {
            cluster: cluster.into(),
            from,
            to,
            client_address: None,
            peer_address: None,
        })
        .unwrap()
    }

    fn check(hello: &Hello) -> Result<NodeId, Rejection> {
        hello.check_peer("blue", ME, |id| (1..=3).contains(&id.0)).map(|hello| hello.from)
    }

    #[test]
    fn each_part_of_a_peers_hello_is_checked() {
        let good = hello("blue", 1, 2);
        assert_eq!(check(&good), Ok(NodeId(1)));
        assert_eq!(check(&Hello::of_client()), Err(Rejection::WrongProtocol));
        assert_eq!(good.check_client(), Err(Rejection::WrongProtocol));
        assert_eq!(check(&hello("green", 1, 2)), Err(Rejection::WrongCluster { mine: "blue".into() }));
        let elsewhere = Rejection::WrongServer { wanted: NodeId(3), mine: ME };
        assert_eq!(check(&hello("blue", 1, 3)), Err(elsewhere));
        for stranger in [2, 4] {
            let rejection = Rejection::NotAMember { yours: NodeId(stranger) };
            assert_eq!(check(&hello("blue", stranger, 2)), Err(rejection));
        }
        let joining = PeerHello {
            cluster: "blue".into(),
            from: NodeId(4),
            to: ME,
            client_address: None,
            peer_address: Some(SocketAddr::from(([127, 0, 0, 1], 7004))),
        };
        assert_eq!(check(&Hello::of_peer(&joining).unwrap()), Ok(NodeId(4)));
    }

    #[test]
    fn a_later_version_is_named_though_its_body_makes_no_sense() {
        let newer = Hello { magic: PEER, version: VERSION + 1, body: Bytes::from_static(b"?") };
        assert_eq!(check(&newer), Err(Rejection::WrongVersion { yours: VERSION + 1, mine: VERSION }));
        let broken = Hello { magic: PEER, version: VERSION, body: Bytes::from_static(b"?") };
        assert_eq!(check(&broken), Err(Rejection::Malformed));
    }

    /// It never makes another server of the caller, nor of the one that is called.
    #[test]
    fn whichever_bit_of_a_peers_hello_is_flipped_it_is_refused() {
        let good = postcard::to_stdvec(&hello("blue", 1, 2)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(damaged) = postcard::from_bytes::<Hello>(&bytes) else { continue };
            assert!(check(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_first_bytes_of_a_hello_stay_as_they_are_for_ever() {
        assert_eq!(postcard::to_stdvec(&Hello::of_client()).unwrap(), b"PLBc\x06\x00");
        assert_eq!(&postcard::to_stdvec(&hello("", 1, 2)).unwrap()[..5], b"PLBp\x06");
    }
}
