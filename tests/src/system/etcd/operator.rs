//! What an operator asks of etcd, over its JSON gateway.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::super::dial::Dial;
use super::ask;
use crate::schedule::NodeId;

/// How long one request may take. Other faults wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

async fn post(server: SocketAddr, path: &str, body: &Json) -> Result<Json, String> {
    let deadline = Instant::now() + PATIENCE;
    ask(&mut Dial::default(), server, path, body, deadline).await.map_err(|failed| failed.why)
}

fn text<'a>(json: &'a Json, pointer: &str) -> Result<&'a str, String> {
    json.pointer(pointer).and_then(Json::as_str).ok_or_else(|| format!("no {pointer} in {json}"))
}

/// Hands leadership over to this server (they are in the order of their numbers), or from it to the next.
pub(super) async fn hand_over(endpoints: &[SocketAddr], to: NodeId) -> Result<(), String> {
    let mut members = Vec::new();
    for server in endpoints {
        // Who is down cannot be asked, and leads nobody.
        if let Ok(told) = post(*server, "/v3/maintenance/status", &json!({})).await {
            let (id, leader) = (text(&told, "/header/member_id")?.to_owned(), text(&told, "/leader"));
            members.push((*server, id, leader.unwrap_or_default().to_owned()));
        }
    }
    let leads = |(_, id, leader): &&(SocketAddr, String, String)| id == leader;
    let (at, leader, _) = members.iter().find(leads).ok_or("nobody leads")?;
    let wanted = usize::try_from(to).ok().and_then(|to| endpoints.get(to.checked_sub(1)?));
    let target = members.iter().find(|(server, ..)| Some(server) == wanted);
    let target = match target {
        Some((_, id, _)) if id != leader => Some(id),
        _ => members.iter().map(|(_, id, _)| id).find(|id| *id != leader),
    };
    let target = target.ok_or("there is nobody to hand it over to")?;
    post(*at, "/v3/maintenance/transfer-leadership", &json!({"targetID": target})).await.map(drop)
}

/// Lets go of all revisions but the present ones, in the whole cluster.
pub(super) async fn compact(server: SocketAddr) -> Result<(), String> {
    let told = post(server, "/v3/maintenance/status", &json!({})).await?;
    let revision = text(&told, "/header/revision")?;
    post(server, "/v3/kv/compaction", &json!({"revision": revision})).await.map(drop)
}
