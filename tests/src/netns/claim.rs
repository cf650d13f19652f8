//! Which network is ours: a number that no other living harness has.

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::bail;

/// How many networks of 256 addresses 198.18.0.0/15 has.
const NETWORKS: u16 = 512;

/// A number, held for as long as this value lives. A socket with a name but no file holds it: the kernel lets go of it with
/// the process, however that ends, and knows it by network namespace just as it knows the addresses.
#[derive(Debug)]
pub(super) struct Claim {
    number: u16,
    _held: UnixListener,
}

impl Claim {
    pub(super) fn first_free() -> anyhow::Result<Claim> {
        for number in 0..NETWORKS {
            if let Some(held) = hold(number) {
                return Ok(Claim { number, _held: held });
            }
        }
        bail!("all {NETWORKS} networks of 198.18.0.0/15 are taken by other runs")
    }

    /// The name of the bridge, which is the beginning of all other names. The kernel allows 15 bytes for an interface.
    pub(super) fn bridge(&self) -> String {
        format!("plumb{}", self.number)
    }

    pub(super) fn address(&self, last: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(198, 18 + high, low, last)
    }
}

/// Holds a number, if nobody else does.
fn hold(number: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("plumbline-network-{number}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

/// Whether a namespace of this name is one of ours that no living harness has: somebody left it behind.
pub(crate) fn is_left_behind(namespace: &str) -> bool {
    let number = namespace.strip_prefix("plumb").and_then(|rest| rest.split_once("-n")?.0.parse().ok());
    number.is_some_and(|number| hold(number).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_claims_never_share_a_network_and_a_dead_one_is_free_again() {
        let (one, two) = (Claim::first_free().unwrap(), Claim::first_free().unwrap());
        assert_ne!(one.address(1), two.address(1));
        assert!(two.bridge().len() + "-n250".len() <= 15);
        let name = SocketAddr::from_abstract_name(format!("plumbline-network-{}", one.number)).unwrap();
        assert!(UnixListener::bind_addr(&name).is_err(), "it is held");
        let namespace = format!("plumb{}-n2", one.number);
        assert!(!is_left_behind(&namespace), "it is somebody's");
        drop(one);
        assert!(UnixListener::bind_addr(&name).is_ok(), "it is free again");
        assert!(is_left_behind(&namespace) && !is_left_behind("plumber-n2") && !is_left_behind("other"));
    }

    #[test]
    fn addresses_are_those_set_aside_for_benchmarks() {
        for number in [0, 255, 256, 511] {
            let name = SocketAddr::from_abstract_name(format!("plumbline-test-{number}")).unwrap();
            let claim = Claim { number, _held: UnixListener::bind_addr(&name).unwrap() };
            let [a, b, _, d] = claim.address(7).octets();
            assert_eq!((a, b, d), (198, 18 + (number / 256) as u8, 7));
        }
    }
}
