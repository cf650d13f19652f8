//! `kv-server` as a system under test.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use kv_server::client::{ClientError, ClientOptions, Revision, Role, Scope, Trouble, state_hash, status};
use kv_server::machine::{Compare, KeyChange, Test, Transaction, Write};
use kv_server::protocol::Failure;

use super::{
    Asked, Capability, Client, ClientSettings, Digest, Done, Ended, Event, Failed, Opened, Seat,
    ServerStatus, System, Told, Txn, Watch, argument, operator,
};
use crate::link::Framing;
use crate::schedule::NodeId;

/// Into how many attempts clients divide an operation's time: a server that is paused or cut off says nothing, and another
/// one must be asked well before time is up. Patient clients stay with a leader that lost its followers, and would see what
/// it should no longer serve; impatient ones go on to its successor, and ask twice for what was only slow.
/// (Which worker only reads goes by threes, see [`Station`](crate::generator::Station); this goes by threes of threes.)
const PATIENCE: [u32; 3] = [4, 8, 16];

/// `panicked at` is Rust's own word; the others are the server's.
const CONFESSIONS: &[&str] = &["panicked at", "safety violation", "halted", "corrupt"];

/// Plumbline's own server.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvServer;

impl System for KvServer {
    fn name(&self) -> &'static str {
        "kv-server"
    }

    fn capabilities(&self) -> &[Capability] {
        use Capability::{Cas, CheckedFiles, Compact, Digests, Links, Members, Traces, Transfer, Txn, Watch};
        &[Cas, Txn, Watch, Links, Transfer, Compact, Members, Digests, Traces, CheckedFiles]
    }

    fn launch(&self, seat: &Seat) -> anyhow::Result<Vec<OsString>> {
        let mut args: Vec<OsString> = vec![
            "--id".into(),
            seat.id.to_string().into(),
            "--data-dir".into(),
            argument(&seat.data),
            "--peer-listen".into(),
            seat.peer_listen.to_string().into(),
            "--client-listen".into(),
            seat.client_listen.to_string().into(),
            "--exit-on-stdin-close".into(),
        ];
        for (id, address) in &seat.peers {
            args.extend(["--peer".into(), format!("{id}={address}").into()]);
        }
        if let Some(trace) = &seat.trace {
            args.extend(["--trace".into(), argument(trace)]);
        }
        Ok(args)
    }

    /// A server that was away for a few seconds finds that it needs a snapshot.
    fn habits(&self) -> &[(&'static str, &'static str)] {
        &[("--snapshot-every", "1000"), ("--keep-entries", "300")]
    }

    fn framing(&self) -> Option<Framing> {
        Some(Framing::OURS)
    }

    fn ends_with_its_input(&self) -> bool {
        true
    }

    fn confessions(&self) -> &[&str] {
        CONFESSIONS
    }

    fn status(
        &self,
        _id: NodeId,
        endpoint: SocketAddr,
        patience: Duration,
    ) -> BoxFuture<'_, Option<ServerStatus>> {
        Box::pin(async move {
            let status = status(endpoint, patience).await.ok()?;
            let leads = status.role == Role::Leader;
            Some(ServerStatus { term: status.term, leads, snapshot: status.snapshot })
        })
    }

    fn hand_over<'a>(&'a self, endpoints: &'a [SocketAddr], to: NodeId) -> Asked<'a> {
        Box::pin(async move { operator::hand_over(endpoints, to).await.map_err(|error| error.to_string()) })
    }

    fn compact(&self, endpoint: SocketAddr) -> Asked<'_> {
        Box::pin(
            async move { operator::compact(endpoint).await.map(drop).map_err(|error| error.to_string()) },
        )
    }

    fn remove<'a>(&'a self, endpoints: &'a [SocketAddr], node: NodeId) -> Asked<'a> {
        Box::pin(async move { operator::remove(endpoints, node).await.map_err(|error| error.to_string()) })
    }

    fn take_in<'a>(&'a self, endpoints: &'a [SocketAddr], node: NodeId) -> Asked<'a> {
        Box::pin(async move { operator::take_in(endpoints, node).await.map_err(|error| error.to_string()) })
    }

    fn digest(&self, endpoint: SocketAddr, patience: Duration) -> BoxFuture<'_, Option<Digest>> {
        Box::pin(async move {
            let (applied, hash) = state_hash(endpoint, patience).await.ok()?;
            Some(Digest { applied, hash })
        })
    }

    fn watch(&self, endpoint: SocketAddr, from: u64, patience: Duration) -> Opened<'_> {
        Box::pin(async move {
            let everything = Scope::Prefix(Bytes::new());
            let watch = kv_server::client::Watch::open(endpoint, everything, Some(from), patience).await;
            Ok(Box::new(KvWatch(watch.map_err(ended)?)) as Box<dyn Watch>)
        })
    }

    /// A client that begins with the endpoint its turn points at, so that clients spread over the servers.
    fn client(&self, settings: &ClientSettings) -> Box<dyn Client> {
        let ClientSettings { turn, op_timeout, .. } = *settings;
        let mut endpoints = settings.endpoints.clone();
        let turn = usize::try_from(turn).unwrap_or(0);
        let first = turn % endpoints.len().max(1);
        endpoints.rotate_left(first);
        let attempt_timeout = op_timeout / PATIENCE.get(turn / 3 % PATIENCE.len()).copied().unwrap_or(4);
        let options = ClientOptions { endpoints, op_timeout, attempt_timeout };
        Box::new(KvClient(kv_server::client::Client::new(options)))
    }
}

/// A watch of `kv-server`.
struct KvWatch(kv_server::client::Watch);

impl Watch for KvWatch {
    fn next(&mut self) -> BoxFuture<'_, Result<Told, Ended>> {
        Box::pin(async {
            let revisions = self.0.next().await.map_err(ended)?;
            if revisions.is_empty() {
                return Ok(Told::Progress(self.0.next_revision().saturating_sub(1)));
            }
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            let event = |revision, change: &KeyChange| Event {
                revision,
                key: text(&change.key),
                value: change.value.as_ref().map(text),
            };
            let events = revisions.iter().flat_map(|Revision { revision, changes }| {
                changes.iter().map(move |change| event(*revision, change))
            });
            Ok(Told::Events(events.collect()))
        })
    }
}

fn ended(error: ClientError) -> Ended {
    match error {
        ClientError::Failed { last: Trouble::Failure(Failure::Compacted { oldest }) } => {
            Ended::Compacted { oldest }
        }
        error => Ended::Broken(error.to_string()),
    }
}

/// One session of a client of `kv-server`.
struct KvClient(kv_server::client::Client);

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Failed {
        Failed { certain: error.is_definite(), why: error.to_string() }
    }
}

impl Client for KvClient {
    fn get<'a>(&'a mut self, key: &'a str) -> Done<'a, Option<String>> {
        Box::pin(async move {
            let value = self.0.get(key.as_bytes()).await?;
            // What is no text nobody wrote; it is shown as far as possible.
            Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
        })
    }

    fn put<'a>(&'a mut self, key: &'a str, value: &'a str) -> Done<'a, ()> {
        Box::pin(async move { Ok(self.0.put(key.as_bytes(), value.as_bytes()).await?) })
    }

    fn cas<'a>(&'a mut self, key: &'a str, expected: Option<&'a str>, new: &'a str) -> Done<'a, bool> {
        Box::pin(async move {
            let expected = expected.map(str::as_bytes);
            Ok(self.0.cas(key.as_bytes(), expected, new.as_bytes()).await?)
        })
    }

    fn txn<'a>(&'a mut self, txn: &'a Txn) -> Done<'a, bool> {
        let bytes = |text: &String| Bytes::copy_from_slice(text.as_bytes());
        let compare = |(key, expected): &(String, Option<String>)| Compare {
            key: bytes(key),
            test: Test::Is(expected.as_ref().map(bytes)),
        };
        let put = |(key, value): &(String, String)| Write::Put { key: bytes(key), value: bytes(value) };
        let transaction = Transaction {
            compares: txn.expected.iter().map(compare).collect(),
            success: txn.puts.iter().map(put).collect(),
            otherwise: Vec::new(),
        };
        Box::pin(async move { Ok(self.0.txn(transaction).await?) })
    }

    fn get_all<'a>(&'a mut self, keys: &'a [String]) -> Done<'a, Vec<Option<String>>> {
        Box::pin(async move {
            let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
            let values = self.0.get_all(&keys).await?;
            let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
            Ok(values.into_iter().map(|value| value.map(text)).collect())
        })
    }
}
