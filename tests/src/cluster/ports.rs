//! Ports that stay ours while a server is down.
//!
//! A server that is killed and restarted must find its ports free again. Ports that the kernel hands out (`bind` to port
//! 0) are not safe for that: while the server is down, any outgoing connection may be given its port as a source port; it
//! may even connect to *itself* when somebody dials the dead server (TCP simultaneous open on loopback). We take blocks of
//! ports below the ephemeral range, and hold the first port of a block as the claim on the whole block, so that several
//! harnesses can run side by side.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::bail;

/// Ports in a block: the claim itself, and two for each of [`super::MAX_NODES`] servers.
const BLOCK: u16 = 20;
/// Blocks lie in `LOWEST..HIGHEST`, below the ephemeral ports of Linux (32768) and of IANA (49152).
const LOWEST: u16 = 12_000;
const HIGHEST: u16 = 32_000;

/// A block of loopback ports, held for as long as this value lives.
#[derive(Debug)]
pub struct PortBlock {
    base: u16,
    _claim: TcpListener,
}

impl PortBlock {
    /// Claims a block with room for `count` ports, all free at this moment.
    ///
    /// # Errors
    /// When no block is free.
    pub fn claim(count: u64) -> anyhow::Result<PortBlock> {
        let blocks = (HIGHEST - LOWEST) / BLOCK;
        if count >= u64::from(BLOCK) {
            bail!("{count} ports do not fit into a block of {BLOCK}");
        }
        // Where to look first only spreads harnesses that run at the same time; the claim decides.
        let start = std::process::id() % u32::from(blocks);
        for step in 0..u32::from(blocks) {
            let block = (start + step) % u32::from(blocks);
            let base = LOWEST + u16::try_from(block).unwrap_or(0) * BLOCK;
            let Ok(claim) = TcpListener::bind((Ipv4Addr::LOCALHOST, base)) else { continue };
            let block = PortBlock { base, _claim: claim };
            if (0..count).all(|index| TcpListener::bind(block.address(index)).is_ok()) {
                return Ok(block);
            }
        }
        bail!(
            "no free block of {BLOCK} loopback ports between {LOWEST} and {HIGHEST}: is something holding them all?"
        )
    }

    /// The address of one port of the block, counted from 0.
    ///
    /// Asking beyond the count that was claimed gives the last port.
    #[must_use]
    pub fn address(&self, index: u64) -> SocketAddr {
        let offset = u16::try_from(index).unwrap_or(BLOCK).saturating_add(1).min(BLOCK - 1);
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.base + offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_never_share_a_port() {
        let one = PortBlock::claim(10).unwrap();
        let two = PortBlock::claim(10).unwrap();
        for i in 0..10 {
            for j in 0..10 {
                assert_ne!(one.address(i), two.address(j));
            }
            TcpListener::bind(one.address(i)).unwrap();
        }
    }
}
