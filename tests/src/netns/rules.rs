//! The rules of nftables where a server receives: one chain for each sender, empty while nothing is wrong with that link.
//!
//! ```text
//!    input:  from 198.18.7.1 → count "all-1", then chain link-1
//!    link-1: (what the fault says) → count "hit-1", then drop
//! ```
//!
//! A change of one link is one transaction: no packet sees half of it. Counters have names, so that they outlive the rules.

use std::net::Ipv4Addr;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::schedule::NodeId;

/// What happens to the packets of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PacketFault {
    /// None arrives.
    Drop,
    /// So many of a thousand do not arrive, chosen by the kernel.
    Lose {
        /// Of a thousand; 1,000 and more are all.
        per_mille: u16,
    },
    /// What goes beyond this rate does not arrive.
    Limit {
        /// In KiB per second, at least 1.
        kib_per_second: u32,
    },
    /// Every TCP packet is answered with a reset instead of being delivered.
    Reset,
}

/// What a link has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// Packets that reached the receiver's rules.
    pub all: u64,
    /// Those of them that a fault hit.
    pub hit: u64,
}

impl Packets {
    /// What happened between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Packets) -> Packets {
        Packets { all: self.all.saturating_sub(earlier.all), hit: self.hit.saturating_sub(earlier.hit) }
    }
}

const TABLE: &str = "inet plumbline";

/// The rules of a new namespace.
pub(super) fn initial(senders: impl Iterator<Item = (NodeId, Ipv4Addr)>) -> String {
    let (mut counters, mut jumps) = (String::new(), String::new());
    for (from, address) in senders {
        counters +=
            &format!("  counter all-{from} {{ }}\n  counter hit-{from} {{ }}\n  chain link-{from} {{ }}\n");
        jumps += &format!("    ip saddr {address} counter name all-{from} jump link-{from}\n");
    }
    format!(
        "table {TABLE} {{\n{counters}  chain input {{\n    type filter hook input priority 0; policy accept;\n{jumps}  }}\n}}\n"
    )
}

/// The change of one link's rules.
pub(super) fn change(from: NodeId, fault: Option<PacketFault>) -> String {
    let flush = format!("flush chain {TABLE} link-{from}\n");
    let Some(fault) = fault else { return flush };
    let count = format!("counter name hit-{from}");
    let rule = match fault {
        PacketFault::Drop => format!("{count} drop"),
        PacketFault::Lose { per_mille } => format!("numgen random mod 1000 < {per_mille} {count} drop"),
        PacketFault::Limit { kib_per_second } => {
            // The kernel lets a second's worth and the burst through at once; a segment as the sender's card would be given
            // it (64 KiB) must fit, or nothing but small ones would ever pass.
            format!("limit rate over {} kbytes/second burst 64 kbytes {count} drop", kib_per_second.max(1))
        }
        PacketFault::Reset => format!("meta l4proto tcp {count} reject with tcp reset"),
    };
    format!("{flush}add rule {TABLE} link-{from} {rule}\n")
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    counter: Option<Counter>,
}

#[derive(Deserialize)]
struct Counter {
    name: String,
    packets: u64,
}

/// What `nft -j list counters` says about one sender.
pub(super) fn packets(listing: &str, from: NodeId) -> anyhow::Result<Packets> {
    let listing: Listing =
        serde_json::from_str(listing).context("`nft -j` answers with something that is not understood")?;
    let counters: Vec<Counter> = listing.nftables.into_iter().filter_map(|item| item.counter).collect();
    let read = |name: String| {
        let counter = counters.iter().find(|counter| counter.name == name);
        counter.map(|counter| counter.packets).with_context(|| format!("there is no counter {name}"))
    };
    Ok(Packets { all: read(format!("all-{from}"))?, hit: read(format!("hit-{from}"))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_the_earlier_one_away_in_the_same_transaction() {
        assert_eq!(change(3, None), "flush chain inet plumbline link-3\n");
        for fault in [
            PacketFault::Drop,
            PacketFault::Lose { per_mille: 1 },
            PacketFault::Limit { kib_per_second: 0 },
            PacketFault::Reset,
        ] {
            let script = change(3, Some(fault));
            assert!(script.starts_with("flush chain inet plumbline link-3\nadd rule inet plumbline link-3 "));
            assert!(script.contains("counter name hit-3"), "{script}");
            assert_eq!(script.lines().count(), 2);
        }
    }

    #[test]
    fn counters_are_found_by_their_sender_and_missing_ones_are_an_error() {
        let listing = r#"{"nftables": [{"metainfo": {"version": "1"}},
            {"counter": {"family": "inet", "name": "all-1", "table": "plumbline", "handle": 1, "packets": 7, "bytes": 9}},
            {"counter": {"family": "inet", "name": "hit-1", "table": "plumbline", "handle": 2, "packets": 2, "bytes": 9}}]}"#;
        assert_eq!(packets(listing, 1).unwrap(), Packets { all: 7, hit: 2 });
        assert!(packets(listing, 2).unwrap_err().to_string().contains("all-2"));
        assert!(packets("no JSON", 1).is_err());
    }
}
