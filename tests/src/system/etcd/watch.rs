//! etcd's watch of all keys, over its JSON gateway: one long answer of one JSON object for each line.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::super::dial::Dial;
use super::super::watching::{Ended, Event, Told, Watch};
use super::http::{self, Body};

/// The most that one line may have.
const MAX_LINE_BYTES: usize = 64 << 20;

pub(super) struct EtcdWatch {
    connection: BufReader<TcpStream>,
    body: Body,
    /// What has arrived and was not told yet.
    arrived: Vec<u8>,
}

impl EtcdWatch {
    /// Opens a watch from a revision on.
    pub(super) async fn open(server: SocketAddr, from: u64, patience: Duration) -> Result<EtcdWatch, Ended> {
        let deadline = Instant::now() + patience;
        let connection = Dial::default().take(server, deadline).await;
        let mut connection = connection.map_err(|failed| Ended::Broken(failed.why))?;
        // From the first key to the last: a range whose end is one zero byte has none.
        let everything = STANDARD.encode([0]);
        let request = json!({"create_request": {
            "key": everything, "range_end": everything, "start_revision": from.to_string(), "progress_notify": true,
        }});
        let conversation = async {
            http::post(&mut connection, "/v3/watch", &request.to_string()).await?;
            http::head(&mut connection).await
        };
        let head = match timeout_at(deadline, conversation).await {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return Err(broken(server, &error)),
            Err(_) => return Err(Ended::Broken(format!("no answer from {server} in time"))),
        };
        if head.status != 200 {
            return Err(Ended::Broken(format!("{server} refused ({})", head.status)));
        }
        Ok(EtcdWatch { connection, body: head.body, arrived: Vec::new() })
    }

    async fn told(&mut self) -> Result<Told, Ended> {
        loop {
            while let Some(end) = self.arrived.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.arrived.drain(..=end).collect();
                let line = line.trim_ascii();
                if line.is_empty() {
                    continue;
                }
                let json: Json = serde_json::from_slice(line)
                    .map_err(|error| Ended::Broken(format!("a watch answered what is no JSON: {error}")))?;
                if let Some(told) = told(&json)? {
                    return Ok(told);
                }
            }
            if self.arrived.len() > MAX_LINE_BYTES {
                return Err(Ended::Broken("a watch answered with a line that is too long".to_owned()));
            }
            match self.body.more(&mut self.connection, &mut self.arrived).await {
                Ok(true) => {}
                Ok(false) => return Err(Ended::Broken("the server ended the watch".to_owned())),
                Err(error) => return Err(Ended::Broken(format!("the watch broke: {error}"))),
            }
        }
    }
}

fn broken(server: SocketAddr, error: &std::io::Error) -> Ended {
    Ended::Broken(format!("the connection to {server} broke: {error}"))
}

impl Watch for EtcdWatch {
    fn next(&mut self) -> BoxFuture<'_, Result<Told, Ended>> {
        Box::pin(self.told())
    }
}

/// What one line tells; nothing, if it only says that the watch was made.
fn told(line: &Json) -> Result<Option<Told>, Ended> {
    let strange = || Ended::Broken(format!("a watch answered what nobody expects: {line}"));
    if let Some(error) = line.get("error") {
        return Err(Ended::Broken(format!("the server ended the watch: {error}")));
    }
    let result = line.get("result").ok_or_else(strange)?;
    let number = |json: &Json| json.as_str().and_then(|text| text.parse::<u64>().ok());
    if result.get("canceled").and_then(Json::as_bool) == Some(true) {
        return Err(match result.get("compact_revision").and_then(number) {
            // etcd tells the last revision that is gone.
            Some(gone) => Ended::Compacted { oldest: gone + 1 },
            None => Ended::Broken(format!("the server cancelled the watch: {result}")),
        });
    }
    let Some(events) = result.get("events").and_then(Json::as_array) else {
        let is_made = result.get("created").and_then(Json::as_bool) == Some(true);
        let revision = result.pointer("/header/revision").and_then(number);
        return Ok(revision.filter(|_| !is_made).map(Told::Progress));
    };
    let event = |event: &Json| {
        let kv = event.get("kv")?;
        let text = |name: &str| match kv.get(name) {
            // What is empty is left out.
            None => Some(String::new()),
            Some(text) => {
                let bytes = STANDARD.decode(text.as_str()?).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
        };
        let is_gone = event.get("type").and_then(Json::as_str) == Some("DELETE");
        let value = if is_gone { None } else { Some(text("value")?) };
        Some(Event { revision: kv.get("mod_revision").and_then(number)?, key: text("key")?, value })
    };
    let events: Option<Vec<Event>> = events.iter().map(event).collect();
    Ok(Some(Told::Events(events.ok_or_else(strange)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_as_etcd_writes_them() {
        let made = json!({"result": {"header": {"revision": "5"}, "created": true}});
        assert_eq!(told(&made), Ok(None));
        let progress = json!({"result": {"header": {"revision": "6"}}});
        assert_eq!(told(&progress), Ok(Some(Told::Progress(6))));
        let events = json!({"result": {"header": {"revision": "7"}, "events": [
            {"kv": {"key": "aw==", "create_revision": "2", "mod_revision": "7", "version": "3", "value": "dg=="}},
            {"type": "DELETE", "kv": {"key": "aw==", "mod_revision": "8"}},
            {"kv": {"key": "aw==", "mod_revision": "9"}},
        ]}});
        let event = |revision, value: Option<&str>| Event {
            revision,
            key: "k".to_owned(),
            value: value.map(str::to_owned),
        };
        let expected = vec![event(7, Some("v")), event(8, None), event(9, Some(""))];
        assert_eq!(told(&events), Ok(Some(Told::Events(expected))));
        let compacted = json!({"result": {"canceled": true, "compact_revision": "41"}});
        assert_eq!(told(&compacted), Err(Ended::Compacted { oldest: 42 }));
        for strange in [
            json!({}),
            json!({"error": {"message": "no"}}),
            json!({"result": {"events": [{}]}}),
            json!({"result": {"events": [{"kv": {"key": "aw=="}}]}}),
            json!({"result": {"canceled": true}}),
        ] {
            assert!(matches!(told(&strange), Err(Ended::Broken(_))), "{strange}");
        }
    }
}
