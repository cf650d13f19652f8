//! When two values of a server are the same to everyone who can ask.
//!
//! Two servers with equal keys behave the same for ever, so the model keeps one of them. The key leaves out
//!
//! - how many writes were issued before the outstanding ones: write numbers are only compared with each other, and each
//!   acknowledgement the model gives belongs to an outstanding write;
//! - the boot number, which only tells apart acknowledgements from before a crash: the model never delivers one; and
//!   answers to requests, so it counts in worlds that have those;
//! - the configuration, which never changes, but for the server's own id;
//! - how many bytes are under way to a peer: far fewer than the limit they are compared with;
//! - in worlds without pre-vote, contact timers, changes of the members, snapshots and forwarded reads, who was heard when: only those ask.
//!
//! A field that is not known here is part of the key: at worst, states are told apart that need not be.

use serde_json::Value;

use crate::bounds::Bounds;
use crate::server::Server;

/// The key of a server.
pub(crate) fn key(server: &Server, bounds: &Bounds) -> String {
    let ignores_contact = bounds.ignores_contact();
    let mut raft = serde_json::to_value(&server.raft).unwrap_or_default();
    put(&mut raft, "/config", Value::Null);
    if !bounds.forwarded_reads {
        put(&mut raft, "/durability/boot", Value::Null);
    }
    put(&mut raft, "/durability/issued", Value::Null);
    for write in list(&mut raft, "/durability/outstanding") {
        put(write, "/sequence", Value::Null);
    }
    for peers in ["/role/Leader/peers", "/role/Leader/departing"] {
        for peer in list(&mut raft, peers) {
            put(peer, "/1/mode/Replicate/bytes", Value::Null);
            for append in list(peer, "/1/mode/Replicate/appends") {
                put(append, "/1", Value::Null);
            }
            if ignores_contact {
                put(peer, "/1/active", Value::Null);
            }
        }
    }
    if ignores_contact {
        put(&mut raft, "/in_contact", Value::Null);
    }
    let disk = serde_json::to_value(&server.disk).unwrap_or_default();
    let writes: Vec<Value> =
        server.queue.iter().map(|write| serde_json::to_value(write.batch()).unwrap_or_default()).collect();
    let reads: Vec<u64> = server.reads.iter().map(|id| id.0).collect();
    serde_json::json!([server.id.0, server.boot, raft, disk, writes, reads]).to_string()
}

fn put(value: &mut Value, pointer: &str, new: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = new;
    }
}

fn list<'a>(value: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    value.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}
