//! One network namespace per server: what happens to single packets, which no proxy can show.
//!
//! ```text
//!    namespace plumb7-n1        the harness' own          namespace plumb7-n2
//!    eth0 198.18.7.1  ──veth──  bridge plumb7  ──veth──   eth0 198.18.7.2
//!                               198.18.7.254
//! ```
//!
//! Each server has an address of its own, the same for everyone who asks, so that a system whose members advertise one
//! address (etcd does) can be cut link by link. The faults of the link from i to j are rules of nftables where j receives:
//! a packet, a SYN too, is dropped there as a real network drops it, and TCP retries by its own clock. What the rules
//! let pass and what they hit is counted, so that a fault without effect can be told from one with.
//!
//! The addresses are of 198.18.0.0/15, which is set aside for benchmarks (RFC 2544) and routed nowhere. It takes root or,
//! failing that, a user namespace of one's own; and the programs `ip` and `nft`:
//!
//! ```sh
//! unshare --user --map-root-user --net --mount sh -c \
//!   'mount -t tmpfs none /run && ip link set lo up && exec plumbline run --nemesis packets'
//! ```
//!
//! A harness that is killed leaves its namespaces behind: whoever claims their number next removes them first.

mod claim;
mod command;
mod rules;

use std::ffi::OsString;
use std::net::Ipv4Addr;

use anyhow::{Context, bail};

use self::claim::Claim;
pub(crate) use self::claim::is_left_behind;
use self::command::{Tool, is_there};
pub use self::rules::{PacketFault, Packets};
use crate::schedule::{LinkId, NodeId};

/// The most servers a network may have: the last byte of their addresses is their number.
pub const MAX_NODES: u64 = 250;
/// The harness' own place in each network.
const HARNESS: u8 = 254;

/// The namespaces of one cluster. Dropping it removes them and everything that runs on their network interfaces.
#[derive(Debug)]
pub struct Namespaces {
    claim: Claim,
    nodes: u8,
}

impl Namespaces {
    /// Why namespaces cannot be had here, if they cannot: found out by making one.
    pub async fn missing() -> Option<String> {
        for (tool, package) in [(Tool::Ip, "iproute2"), (Tool::Nft, "nftables")] {
            if !is_there(tool) {
                return Some(format!("no program `{tool}`: install the package {package}"));
            }
        }
        Namespaces::create(1).await.err().map(|error| format!("{error:#}"))
    }

    /// Makes a namespace for each of `nodes` servers, joined by a bridge, with no faults.
    ///
    /// # Errors
    /// When there are too many servers, all networks are taken, or the kernel refuses.
    pub async fn create(nodes: u64) -> anyhow::Result<Namespaces> {
        let Some(nodes) =
            u8::try_from(nodes).ok().filter(|nodes| (1..=MAX_NODES).contains(&u64::from(*nodes)))
        else {
            bail!("a network has 1 to {MAX_NODES} servers, not {nodes}");
        };
        let network = Namespaces { claim: Claim::first_free()?, nodes };
        network.remove_leftovers().await?;
        network
            .build()
            .await
            .context("cannot make network namespaces (they need root, or a user namespace)")?;
        Ok(network)
    }

    /// Where a server is reached.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Ipv4Addr {
        self.claim.address(u8::try_from(node).unwrap_or(u8::MAX))
    }

    /// The name of a server's namespace.
    #[must_use]
    pub fn name(&self, node: NodeId) -> String {
        format!("{}-n{node}", self.claim.bridge())
    }

    /// The beginning of a command that enters a server's namespace and becomes the program that follows, under the same
    /// process id.
    #[must_use]
    pub fn entrance(&self, node: NodeId) -> Vec<OsString> {
        vec![Tool::Ip.name().into(), "netns".into(), "exec".into(), self.name(node).into()]
    }

    /// Lets `fault` happen to what the link carries from now on; with `None` it carries everything.
    ///
    /// # Errors
    /// When there is no such link, or the rules cannot be set.
    pub async fn set(&self, link: LinkId, fault: Option<PacketFault>) -> anyhow::Result<()> {
        self.known(link)?;
        let name = self.name(link.to);
        let script = rules::change(link.from, fault);
        command::inside(&name, Tool::Nft, &["-f", "-"], &script)
            .await
            .with_context(|| format!("cannot change the link {link}"))?;
        Ok(())
    }

    /// What the link has let pass and what its faults have hit, since it was made.
    ///
    /// # Errors
    /// When there is no such link, or it cannot be asked.
    pub async fn packets(&self, link: LinkId) -> anyhow::Result<Packets> {
        self.known(link)?;
        let name = self.name(link.to);
        let listing = command::inside(&name, Tool::Nft, &["-j", "list", "counters"], "").await?;
        rules::packets(&listing, link.from)
            .with_context(|| format!("cannot count the packets of link {link}"))
    }

    fn known(&self, link: LinkId) -> anyhow::Result<()> {
        let is_node = |node| (1..=NodeId::from(self.nodes)).contains(&node);
        if link.from == link.to || !is_node(link.from) || !is_node(link.to) {
            bail!("there is no link {link} among {} servers", self.nodes);
        }
        Ok(())
    }

    async fn build(&self) -> anyhow::Result<()> {
        let bridge = self.claim.bridge();
        let mut script = format!(
            "link add {bridge} type bridge\naddress add {}/24 dev {bridge}\nlink set {bridge} up\n",
            self.claim.address(HARNESS)
        );
        for node in 1..=self.nodes {
            let name = self.name(node.into());
            script += &format!(
                "netns add {name}\n\
                 link add {name} type veth peer name eth0 netns {name}\n\
                 link set {name} master {bridge} up\n"
            );
        }
        command::run(Tool::Ip, &["-batch", "-"], &script).await?;
        for node in 1..=self.nodes {
            let name = self.name(node.into());
            let address = self.address(node.into());
            let script = format!("link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\n");
            command::run(Tool::Ip, &["-n", &name, "-batch", "-"], &script).await?;
            let senders = (1..=self.nodes).filter(|from| *from != node);
            let rules = rules::initial(senders.map(|from| (from.into(), self.address(from.into()))));
            command::inside(&name, Tool::Nft, &["-f", "-"], &rules).await?;
        }
        Ok(())
    }

    /// The number is ours, so whatever bears it was left behind by a harness that is dead.
    async fn remove_leftovers(&self) -> anyhow::Result<()> {
        let (bridge, ours) = (self.claim.bridge(), format!("{}-n", self.claim.bridge()));
        let interfaces = std::fs::read_dir("/sys/class/net").context("cannot list the network interfaces")?;
        for interface in interfaces {
            let name = interface?.file_name().to_string_lossy().into_owned();
            if name == bridge || name.starts_with(&ours) {
                command::run(Tool::Ip, &["link", "delete", &name], "").await?;
            }
        }
        let names = command::run(Tool::Ip, &["netns", "list"], "").await?;
        for name in names.lines().filter_map(|line| line.split_whitespace().next()) {
            if name.starts_with(&ours) {
                command::run(Tool::Ip, &["netns", "delete", name], "").await?;
            }
        }
        Ok(())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // The cables first: a namespace lives on as long as a process in it does, and would keep its end of the cable. What
        // fails here is left behind, and removed by whoever claims this number next.
        for node in 1..=self.nodes {
            let name = self.name(node.into());
            command::run_now(Tool::Ip, &["link", "delete", &name]);
            command::run_now(Tool::Ip, &["netns", "delete", &name]);
        }
        command::run_now(Tool::Ip, &["link", "delete", &self.claim.bridge()]);
    }
}

#[cfg(test)]
mod tests;
