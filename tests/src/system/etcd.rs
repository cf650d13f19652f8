//! etcd as a system under test, over its JSON gateway.
//!
//! Its peers advertise one address each, so that they reach each other directly and single links cannot be cut; processes can
//! be killed and paused. Reads are linearizable; with [`Etcd::stale`] they are etcd's *serializable* ones, which each server
//! answers from what it has, and which are known to be stale.

mod http;
mod operator;
mod watch;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout_at};

use super::dial::Dial;
use super::{
    Asked, Capability, Client, ClientSettings, Done, Failed, Opened, Seat, ServerStatus, System, Txn, Watch,
    argument,
};
use crate::schedule::NodeId;

/// Into how many attempts a read's time is divided: a server that is paused says nothing, and another one must be asked.
const ATTEMPTS: u32 = 4;

/// etcd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Etcd {
    /// Whether reads are the serializable ones, which may be stale.
    pub stale: bool,
}

impl System for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn capabilities(&self) -> &[Capability] {
        use Capability::{Cas, Compact, StaleReads, Transfer, Txn, Watch};
        &[Cas, Txn, StaleReads, Watch, Transfer, Compact]
    }

    fn launch(&self, seat: &Seat) -> anyhow::Result<Vec<OsString>> {
        let url = |address: &SocketAddr| format!("http://{address}");
        let (peer, client) = (url(&seat.peer_listen), url(&seat.client_listen));
        let mut members = vec![format!("n{}={peer}", seat.id)];
        members.extend(seat.peers.iter().map(|(id, address)| format!("n{id}={}", url(address))));
        members.sort();
        let mut args: Vec<OsString> = vec!["--data-dir".into(), argument(&seat.data)];
        let flags = [
            ["--name", &format!("n{}", seat.id)],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", &peer],
            ["--listen-client-urls", &client],
            ["--advertise-client-urls", &client],
            ["--initial-cluster", &members.join(",")],
            ["--initial-cluster-state", "new"],
            ["--heartbeat-interval", "50"],
            ["--election-timeout", "500"],
        ];
        args.extend(flags.iter().flatten().map(OsString::from));
        Ok(args)
    }

    fn ends_by_signal(&self) -> bool {
        true
    }

    /// It tells the term of the last entry it has applied, which lags behind who leads.
    fn has_exact_terms(&self) -> bool {
        false
    }

    fn confessions(&self) -> &[&str] {
        &["panic:", "goroutine 1 [running]"]
    }

    fn status(
        &self,
        _id: NodeId,
        endpoint: SocketAddr,
        patience: Duration,
    ) -> BoxFuture<'_, Option<ServerStatus>> {
        Box::pin(async move {
            let deadline = Instant::now() + patience;
            let (mut dial, nothing) = (Dial::default(), json!({}));
            let told = ask(&mut dial, endpoint, "/v3/maintenance/status", &nothing, deadline).await.ok()?;
            let me = told.pointer("/header/member_id")?;
            let term = told.get("raftTerm").or_else(|| told.pointer("/header/raft_term"))?;
            let term = term.as_str()?.parse().ok()?;
            Some(ServerStatus { term, leads: told.get("leader") == Some(me), snapshot: 0 })
        })
    }

    fn hand_over<'a>(&'a self, endpoints: &'a [SocketAddr], to: NodeId) -> Asked<'a> {
        Box::pin(operator::hand_over(endpoints, to))
    }

    fn compact(&self, endpoint: SocketAddr) -> Asked<'_> {
        Box::pin(operator::compact(endpoint))
    }

    fn watch(&self, endpoint: SocketAddr, from: u64, patience: Duration) -> Opened<'_> {
        Box::pin(async move {
            let watch = watch::EtcdWatch::open(endpoint, from, patience).await?;
            Ok(Box::new(watch) as Box<dyn Watch>)
        })
    }

    fn client(&self, settings: &ClientSettings) -> Box<dyn Client> {
        let mut settings = settings.clone();
        let turn = usize::try_from(settings.turn).unwrap_or(0);
        let first = turn % settings.endpoints.len().max(1);
        settings.endpoints.rotate_left(first);
        let home = settings.endpoints.first().copied();
        Box::new(EtcdClient { settings, home, stale: self.stale, dial: Dial::default() })
    }
}

/// Asks one server once. Certain to have done nothing only if nothing was sent.
async fn ask(
    dial: &mut Dial,
    server: SocketAddr,
    path: &str,
    body: &Json,
    deadline: Instant,
) -> Result<Json, Failed> {
    let mut connection = dial.take(server, deadline).await?;
    let conversation = async {
        http::post(&mut connection, path, &body.to_string()).await?;
        http::receive(&mut connection).await
    };
    let answer = match timeout_at(deadline, conversation).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Failed::perhaps(format!("the connection to {server} broke: {error}"))),
        Err(_) => return Err(Failed::perhaps(format!("no answer from {server} in time"))),
    };
    dial.keep(server, connection);
    let told: Json = serde_json::from_slice(&answer.body)
        .map_err(|error| Failed::perhaps(format!("the answer of {server} is no JSON: {error}")))?;
    match answer.status {
        200 => Ok(told),
        // A time-out inside etcd says as little as one outside.
        status => {
            let why = told.get("message").or_else(|| told.get("error")).and_then(Json::as_str);
            Err(Failed::perhaps(format!("{} ({status})", why.unwrap_or("refused"))))
        }
    }
}

struct EtcdClient {
    settings: ClientSettings,
    /// The server that it asks first of all.
    home: Option<SocketAddr>,
    stale: bool,
    dial: Dial,
}

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

/// The value of the first key in the answer to a range request.
fn value(range: &Json) -> Result<Option<String>, Failed> {
    let Some(found) = range.pointer("/kvs/0") else { return Ok(None) };
    // An empty value is left out of the answer.
    let Some(text) = found.get("value") else { return Ok(Some(String::new())) };
    let bytes = text.as_str().and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or_else(|| Failed::certainly(format!("a value that is no base64: {text}")))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn compare(key: &str, expected: Option<&str>) -> Json {
    match expected {
        Some(value) => {
            json!({"key": encoded(key), "target": "VALUE", "result": "EQUAL", "value": encoded(value)})
        }
        None => json!({"key": encoded(key), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}),
    }
}

fn put(key: &str, value: &str) -> Json {
    json!({"key": encoded(key), "value": encoded(value)})
}

impl EtcdClient {
    /// Asks one server after the other, until time is over or it is not certain any more that nothing was done.
    async fn write(&mut self, path: &str, body: &Json) -> Result<Json, Failed> {
        let deadline = Instant::now() + self.settings.op_timeout;
        let mut failed = Failed::certainly("there is nobody to ask");
        for _ in 0..self.settings.endpoints.len() {
            let Some(&server) = self.settings.endpoints.first() else { break };
            match ask(&mut self.dial, server, path, body, deadline).await {
                Ok(told) => return Ok(told),
                Err(error) => failed = error,
            }
            self.settings.endpoints.rotate_left(1);
            if !failed.certain {
                break;
            }
        }
        Err(failed)
    }

    /// Asks one server after the other until time is over: a read has no effect. One that may be stale asks the server that its
    /// client calls home, and waits for it: it is worth nothing if it flees from the servers that lag.
    async fn read(&mut self, path: &str, body: &Json) -> Result<Json, Failed> {
        let end = Instant::now() + self.settings.op_timeout;
        loop {
            let server = if self.stale { self.home } else { self.settings.endpoints.first().copied() };
            let Some(server) = server else { return Err(Failed::certainly("there is nobody to ask")) };
            let attempts = if self.stale { 1 } else { ATTEMPTS };
            let deadline = end.min(Instant::now() + self.settings.op_timeout / attempts);
            let failed = match ask(&mut self.dial, server, path, body, deadline).await {
                Ok(told) => return Ok(told),
                Err(failed) => failed,
            };
            self.settings.endpoints.rotate_left(1);
            if Instant::now() >= end {
                return Err(Failed { certain: true, ..failed });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn transact(&mut self, compares: Vec<Json>, puts: Vec<Json>) -> Result<bool, Failed> {
        let puts: Vec<Json> = puts.into_iter().map(|put| json!({"request_put": put})).collect();
        let body = json!({"compare": compares, "success": puts});
        let told = self.write("/v3/kv/txn", &body).await?;
        // What is false is left out of the answer.
        Ok(told.get("succeeded").and_then(Json::as_bool).unwrap_or(false))
    }
}

impl Client for EtcdClient {
    fn get<'a>(&'a mut self, key: &'a str) -> Done<'a, Option<String>> {
        Box::pin(async move {
            let body = json!({"key": encoded(key), "serializable": self.stale});
            value(&self.read("/v3/kv/range", &body).await?)
        })
    }

    fn put<'a>(&'a mut self, key: &'a str, value: &'a str) -> Done<'a, ()> {
        Box::pin(async move { self.write("/v3/kv/put", &put(key, value)).await.map(drop) })
    }

    fn cas<'a>(&'a mut self, key: &'a str, expected: Option<&'a str>, new: &'a str) -> Done<'a, bool> {
        Box::pin(async move { self.transact(vec![compare(key, expected)], vec![put(key, new)]).await })
    }

    fn txn<'a>(&'a mut self, txn: &'a Txn) -> Done<'a, bool> {
        Box::pin(async move {
            let compares = txn.expected.iter().map(|(key, value)| compare(key, value.as_deref())).collect();
            self.transact(compares, txn.puts.iter().map(|(key, value)| put(key, value)).collect()).await
        })
    }

    fn get_all<'a>(&'a mut self, keys: &'a [String]) -> Done<'a, Vec<Option<String>>> {
        Box::pin(async move {
            let range =
                |key: &String| json!({"request_range": {"key": encoded(key), "serializable": self.stale}});
            let body = json!({"success": keys.iter().map(range).collect::<Vec<_>>()});
            let told = self.read("/v3/kv/txn", &body).await?;
            let answers = told.get("responses").and_then(Json::as_array);
            let answers = answers.filter(|answers| answers.len() == keys.len());
            let answers = answers.ok_or_else(|| Failed::certainly("an answer that does not fit"))?;
            answers.iter().map(|answer| value(answer.get("response_range").unwrap_or(&Json::Null))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_answers_as_etcd_writes_them() {
        assert_eq!(value(&json!({"header": {}})), Ok(None));
        assert_eq!(value(&json!({"kvs": [{"key": "aw==", "value": "dg=="}]})), Ok(Some("v".to_owned())));
        assert_eq!(value(&json!({"kvs": [{"key": "aw=="}]})), Ok(Some(String::new())), "an empty value");
        assert!(value(&json!({"kvs": [{"value": "%"}]})).is_err());
        assert_eq!(compare("k", None)["create_revision"], "0");
    }
}
