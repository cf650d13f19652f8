//! The failover that Redis leaves to others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::resp::{self, Reply};
use crate::schedule::NodeId;
use crate::system::dial::Dial;
use crate::system::{Failed, Seat};

/// The pause between two looks at all servers.
const ROUND: Duration = Duration::from_millis(100);
/// How long a server has to answer a look.
const PATIENCE: Duration = Duration::from_millis(200);
/// A master that has been silent for so long, to us or to most of its replicas, is replaced.
const DOWN_AFTER: Duration = Duration::from_millis(800);

/// Who is master, and since which failover: no two ever share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Office {
    pub(super) master: NodeId,
    pub(super) epoch: u64,
}

impl Default for Office {
    fn default() -> Office {
        Office { master: 1, epoch: 1 }
    }
}

/// What a server says of its part in the replication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    is_master: bool,
    /// Whom it follows.
    follows: Option<u16>,
    /// Whether it hears of its master.
    hears: bool,
    /// How far it got.
    offset: u64,
}

impl View {
    /// From the lines of `INFO replication`.
    fn parse(info: &str) -> View {
        let fields: BTreeMap<&str, &str> =
            info.lines().filter_map(|line| line.trim().split_once(':')).collect();
        let number = |name: &str| fields.get(name).and_then(|value| value.parse::<u64>().ok());
        View {
            is_master: fields.get("role") == Some(&"master"),
            follows: number("master_port").and_then(|port| u16::try_from(port).ok()),
            hears: fields.get("master_link_status") == Some(&"up")
                && number("master_last_io_seconds_ago").is_none_or(|seconds| seconds < 2),
            offset: number("slave_repl_offset").unwrap_or(0),
        }
    }
}

/// Asks one server one thing. Certain to have done nothing only if nothing was sent.
pub(super) async fn ask(
    dial: &mut Dial,
    server: SocketAddr,
    words: &[&str],
    deadline: Instant,
) -> Result<Reply, Failed> {
    let mut connection = dial.take(server, deadline).await?;
    let conversation = async {
        resp::send(&mut connection, words).await?;
        resp::receive(&mut connection).await
    };
    match timeout_at(deadline, conversation).await {
        Ok(Ok(reply)) => {
            dial.keep(server, connection);
            Ok(reply)
        }
        Ok(Err(error)) => Err(Failed::perhaps(format!("the connection to {server} broke: {error}"))),
        Err(_) => Err(Failed::perhaps(format!("no answer from {server} in time"))),
    }
}

/// Looks after the replication for ever.
pub(super) async fn attend(seats: Vec<Seat>, office: Arc<Mutex<Office>>) {
    let mut dials: Vec<Dial> = seats.iter().map(|_| Dial::default()).collect();
    let mut sound = Instant::now();
    loop {
        let looks = seats.iter().zip(&mut dials).map(|(seat, dial)| look(seat, dial));
        let views: BTreeMap<NodeId, View> =
            futures::future::join_all(looks).await.into_iter().flatten().collect();
        let now = *office.lock().unwrap_or_else(PoisonError::into_inner);
        if is_sound(now, &views) {
            sound = Instant::now();
        }
        if sound.elapsed() > DOWN_AFTER
            && let Some(next) = successor(now, &views)
        {
            let next = Office { master: next, epoch: now.epoch + 1 };
            *office.lock().unwrap_or_else(PoisonError::into_inner) = next;
            sound = Instant::now();
        }
        let now = *office.lock().unwrap_or_else(PoisonError::into_inner);
        for (seat, dial) in seats.iter().zip(&mut dials) {
            let Some(view) = views.get(&seat.id) else { continue };
            put_in_place(seat, dial, view, now).await;
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn look(seat: &Seat, dial: &mut Dial) -> Option<(NodeId, View)> {
    let deadline = Instant::now() + PATIENCE;
    match ask(dial, seat.client_listen, &["INFO", "replication"], deadline).await {
        Ok(Reply::Text(Some(info))) => Some((seat.id, View::parse(&info))),
        _ => None,
    }
}

/// Whether the master is there for us and for most of its replicas that are there themselves.
fn is_sound(office: Office, views: &BTreeMap<NodeId, View>) -> bool {
    let others: Vec<&View> =
        views.iter().filter(|(id, _)| **id != office.master).map(|(_, view)| view).collect();
    let hearing = others.iter().filter(|view| view.hears).count();
    views.contains_key(&office.master) && (others.is_empty() || 2 * hearing >= others.len().max(1))
}

/// The replica that got furthest.
fn successor(office: Office, views: &BTreeMap<NodeId, View>) -> Option<NodeId> {
    let replicas = views.iter().filter(|(id, view)| **id != office.master && !view.is_master);
    replicas.max_by_key(|(_, view)| view.offset).map(|(id, _)| *id)
}

/// Makes a server the master, or a replica of the master, if it is not.
async fn put_in_place(seat: &Seat, dial: &mut Dial, view: &View, office: Office) {
    let master = seat.peers.iter().find(|(id, _)| *id == office.master);
    let (host, port) = match master {
        None if view.is_master => return,
        None => ("NO".to_owned(), "ONE".to_owned()),
        Some((_, address)) if !view.is_master && view.follows == Some(address.port()) => return,
        Some((_, address)) => (address.ip().to_string(), address.port().to_string()),
    };
    let deadline = Instant::now() + PATIENCE;
    // One that does not hear it now is told again in the next round.
    let _ = ask(dial, seat.client_listen, &["REPLICAOF", &host, &port], deadline).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(hears: bool, offset: u64) -> View {
        View { is_master: false, follows: Some(7), hears, offset }
    }

    #[test]
    fn what_a_server_says_of_its_replication_is_understood() {
        let info = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:7001\r\n\
                    master_link_status:up\r\nmaster_last_io_seconds_ago:0\r\nslave_repl_offset:42\r\n";
        assert_eq!(
            View::parse(info),
            View { is_master: false, follows: Some(7001), hears: true, offset: 42 }
        );
        assert!(!View::parse(&info.replace(":up", ":down")).hears);
        assert!(!View::parse(&info.replace("ago:0", "ago:3")).hears);
        assert!(View::parse("role:master\r\n").is_master);
    }

    #[test]
    fn a_master_is_replaced_by_the_replica_that_got_furthest_once_most_do_not_hear_it() {
        let office = Office::default();
        let master = View { is_master: true, ..View::default() };
        let three = |two, three| BTreeMap::from([(1, master.clone()), (2, two), (3, three)]);
        assert!(is_sound(office, &three(view(true, 1), view(true, 1))));
        assert!(is_sound(office, &three(view(false, 1), view(true, 1))), "half of them do");
        assert!(!is_sound(office, &three(view(false, 1), view(false, 1))));
        assert!(!is_sound(office, &BTreeMap::from([(2, view(true, 1))])), "it does not answer");
        assert_eq!(successor(office, &three(view(false, 5), view(false, 9))), Some(3));
        assert_eq!(successor(office, &BTreeMap::from([(1, master.clone())])), None);
    }
}
