//! The families of faults, one file each.
//!
//! To add one: write a file with a type that is the fault's data (it is what stands in a schedule) and implements [`Family`]:
//! its name, how it is drawn from a seed, how it is injected and healed, by what its effect shows, its words; then name it
//! here, as a module and in the registry. Command line, schedules, histories and reports know it from there on.

mod again;
pub mod at_rest;
pub mod bandwidth;
pub mod clock_drift;
pub mod clock_jump;
pub mod clock_strobe;
mod clocks;
pub mod compact;
pub mod crash_loop;
pub mod descriptors;
pub mod disk_error;
pub mod disk_flip;
pub mod disk_lie;
pub mod disk_slow;
mod disks;
mod family;
pub mod frames;
pub mod graceful;
pub mod kill;
pub mod latency;
pub mod members;
pub mod memory;
pub mod monotonic_jump;
pub mod packets;
pub mod partition;
pub mod pause;
pub mod power;
mod registry;
pub mod resets;
pub mod rolling;
pub mod slow_accept;
pub mod slow_process;
pub mod transfer;
pub mod upgrade;

pub use family::{Drawing, Effect, Family, Recipe, Scene, Sort, Targets, Usability};

use again::{end, note, start_again, start_unexcused};

registry::registry! {
    kill::Kill,
    pause::Pause,
    slow_process::SlowProcess,
    graceful::Graceful,
    rolling::Rolling,
    crash_loop::CrashLoop,
    descriptors::Descriptors,
    memory::Memory,
    upgrade::Upgrade,
    at_rest::AtRest,
    partition::Partition,
    packets::Packets,
    latency::Latency,
    bandwidth::Bandwidth,
    resets::Resets,
    slow_accept::SlowAccept,
    frames::Frames,
    transfer::Transfer,
    compact::Compact,
    members::Members,
    power::Power,
    disk_error::DiskError,
    disk_slow::DiskSlow,
    disk_lie::DiskLie,
    disk_flip::DiskFlip,
    clock_jump::ClockJump,
    clock_drift::ClockDrift,
    clock_strobe::ClockStrobe,
    monotonic_jump::MonotonicJump,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_family_is_called_the_same_everywhere() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(!kind.about().is_empty() && !kind.recipes().is_empty(), "{kind:?}");
            for recipe in kind.recipes() {
                let mut rng = ChaCha8Rng::seed_from_u64(1);
                let fault = (recipe.draw)(&mut Drawing::new(5, &mut rng));
                assert_eq!(fault.kind(), *kind);
                let json = serde_json::to_value(&fault).unwrap();
                assert!(json.get(kind.name()).is_some(), "{json}");
                assert_eq!(serde_json::from_value::<Fault>(json).unwrap(), fault);
            }
        }
    }

    #[test]
    fn what_is_drawn_fits_every_cluster_it_is_drawn_for() {
        for kind in Kind::ALL {
            for recipe in kind.recipes() {
                for nodes in recipe.least_nodes..=9 {
                    for seed in 0..20 {
                        let mut rng = ChaCha8Rng::seed_from_u64(seed);
                        let fault = (recipe.draw)(&mut Drawing::new(nodes, &mut rng));
                        assert_eq!(fault.check(nodes), Ok(()), "{fault:?}, {nodes} servers");
                    }
                }
            }
        }
    }
}
