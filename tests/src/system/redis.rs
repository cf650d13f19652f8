//! Redis as a system under test: a master, replicas that follow it asynchronously, and a failover.
//!
//! Redis leaves the failover to others (Sentinel, an operator). Here the harness does what Sentinel would do
//! ([`failover`]): once the master has been silent to us, or to most of its replicas, for a while, the replica that got furthest
//! takes its place, and a former master that comes back must follow it. Clients ask whoever is master. It is known, and
//! documented, that acknowledged writes are lost in this way: whatever the replicas did not have yet.

mod failover;
mod resp;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use self::failover::{Office, ask};
use self::resp::Reply;
use super::dial::Dial;
use super::{Capability, Client, ClientSettings, Done, Failed, Seat, ServerStatus, System, Txn, argument};
use crate::schedule::NodeId;

/// Compares `ARGV[1]` keys and, if all are as expected, sets the others. An expected value follows `1`, absence is `0`.
const TRANSACTION: &str = "\
local compared = tonumber(ARGV[1])
local at = 2
for number = 1, compared do
  local found = redis.call('GET', KEYS[number])
  if ARGV[at] == '0' then
    if found then return 0 end
  elseif found ~= ARGV[at + 1] then
    return 0
  end
  at = at + 2
end
for number = compared + 1, #KEYS do
  redis.call('SET', KEYS[number], ARGV[at])
  at = at + 1
end
return 1";

/// Redis. One value for one run: it knows who is master.
#[derive(Clone, Debug, Default)]
pub struct Redis {
    office: Arc<Mutex<Office>>,
}

impl Redis {
    fn office(&self) -> Office {
        *self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl System for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn capabilities(&self) -> &[Capability] {
        &[Capability::Cas, Capability::Txn, Capability::Links]
    }

    fn launch(&self, seat: &Seat) -> anyhow::Result<Vec<OsString>> {
        let mut args: Vec<OsString> = vec!["--dir".into(), argument(&seat.data)];
        let port = seat.peer_listen.port().to_string();
        let flags = [
            ["--port", &port],
            ["--bind", &seat.peer_listen.ip().to_string()],
            ["--save", ""],
            ["--appendonly", "yes"],
            ["--appendfsync", "everysec"],
            // A replica is told at once, as far as one second's grain lets it.
            ["--repl-ping-replica-period", "1"],
            ["--repl-timeout", "2"],
            ["--repl-diskless-sync-delay", "0"],
        ];
        args.extend(flags.iter().flatten().map(OsString::from));
        // The first one is the first master.
        if let Some((_, master)) = seat.peers.iter().find(|(id, _)| *id == 1) {
            args.push("--replicaof".into());
            args.push(format!("{} {}", master.ip(), master.port()).into());
        }
        Ok(args)
    }

    fn has_one_port(&self) -> bool {
        true
    }

    fn confessions(&self) -> &[&str] {
        &["redis bug report", "crashed by signal"]
    }

    fn status(
        &self,
        id: NodeId,
        endpoint: SocketAddr,
        patience: Duration,
    ) -> BoxFuture<'_, Option<ServerStatus>> {
        Box::pin(async move {
            let office = self.office();
            let told =
                ask(&mut Dial::default(), endpoint, &["ROLE"], Instant::now() + patience).await.ok()?;
            let Reply::Array(told) = told else { return None };
            let is_master = told.first() == Some(&Reply::Text(Some("master".to_owned())));
            let leads = is_master && office.master == id;
            Some(ServerStatus { term: office.epoch, leads, snapshot: 0 })
        })
    }

    fn client(&self, settings: &ClientSettings) -> Box<dyn Client> {
        Box::new(RedisClient { redis: self.clone(), settings: settings.clone(), dial: Dial::default() })
    }

    fn attend(&self, seats: Vec<Seat>) -> BoxFuture<'static, ()> {
        Box::pin(failover::attend(seats, Arc::clone(&self.office)))
    }
}

struct RedisClient {
    redis: Redis,
    settings: ClientSettings,
    dial: Dial,
}

impl RedisClient {
    /// Asks whoever is master.
    async fn ask(&mut self, words: &[&str]) -> Result<Reply, Failed> {
        let deadline = Instant::now() + self.settings.op_timeout;
        let master = usize::try_from(self.redis.office().master).unwrap_or(1).saturating_sub(1);
        let Some(&server) = self.settings.endpoints.get(master) else {
            return Err(Failed::certainly("there is no master"));
        };
        match ask(&mut self.dial, server, words, deadline).await? {
            // A refusal is a refusal: nothing of the command was done.
            Reply::Error(error) => Err(Failed::certainly(error)),
            reply => Ok(reply),
        }
    }

    async fn transact(
        &mut self,
        expected: &[(&str, Option<&str>)],
        puts: &[(&str, &str)],
    ) -> Result<bool, Failed> {
        let (keys, compared) = ((expected.len() + puts.len()).to_string(), expected.len().to_string());
        let mut words = vec!["EVAL", TRANSACTION, &keys];
        words.extend(expected.iter().map(|(key, _)| *key).chain(puts.iter().map(|(key, _)| *key)));
        words.push(&compared);
        for (_, value) in expected {
            words.extend(value.map_or(["0", ""], |value| ["1", value]));
        }
        words.extend(puts.iter().map(|(_, value)| *value));
        match self.ask(&words).await? {
            Reply::Number(done) => Ok(done == 1),
            reply => Err(Failed::perhaps(format!("an answer that does not fit: {reply:?}"))),
        }
    }
}

impl Client for RedisClient {
    fn get<'a>(&'a mut self, key: &'a str) -> Done<'a, Option<String>> {
        Box::pin(async move {
            match self.ask(&["GET", key]).await {
                Ok(Reply::Text(value)) => Ok(value),
                Ok(reply) => Err(Failed::certainly(format!("an answer that does not fit: {reply:?}"))),
                Err(failed) => Err(Failed { certain: true, ..failed }),
            }
        })
    }

    fn put<'a>(&'a mut self, key: &'a str, value: &'a str) -> Done<'a, ()> {
        Box::pin(async move { self.ask(&["SET", key, value]).await.map(drop) })
    }

    fn cas<'a>(&'a mut self, key: &'a str, expected: Option<&'a str>, new: &'a str) -> Done<'a, bool> {
        Box::pin(async move { self.transact(&[(key, expected)], &[(key, new)]).await })
    }

    fn txn<'a>(&'a mut self, txn: &'a Txn) -> Done<'a, bool> {
        Box::pin(async move {
            let expected: Vec<_> =
                txn.expected.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
            let puts: Vec<_> = txn.puts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            self.transact(&expected, &puts).await
        })
    }

    fn get_all<'a>(&'a mut self, keys: &'a [String]) -> Done<'a, Vec<Option<String>>> {
        Box::pin(async move {
            let mut words = vec!["MGET"];
            words.extend(keys.iter().map(String::as_str));
            let reply = self.ask(&words).await.map_err(|failed| Failed { certain: true, ..failed })?;
            let Reply::Array(items) = reply else {
                return Err(Failed::certainly("an answer that does not fit"));
            };
            let value = |item| if let Reply::Text(value) = item { value } else { None };
            Ok(items.into_iter().map(value).collect())
        })
    }
}
