//! Leases: no read under one is stale, and the bugs that would make one so are seen.

use raft_core::{Config, Effects, Lease, Mutant, MutantSwitch, NodeId, Recovered, StartError};

use crate::timed::{DRIFT_PPM, World};

const SERVERS: u64 = 3;
const SEEDS: u64 = 1000;
const MUTANT_SEEDS: u64 = 20_000;

/// The seeded bugs that only time brings to light.
pub const BUGS: [Mutant; 5] = [
    Mutant::LeaseSurvivesTransfer,
    Mutant::LeaseIgnoresDrift,
    Mutant::LeaseSurvivesPause,
    Mutant::LeaseForgottenAtRestart,
    Mutant::LeaseForgottenWithTerm,
];

type Configure = fn(u64) -> Config;

fn config(id: u64) -> Config {
    let mut config = Config::new(NodeId(id), (1..=SERVERS).map(NodeId));
    config.lease = Some(Lease { drift_ppm: DRIFT_PPM });
    // Elections as fast as can be: the shorter they take, the more a lease has to be right.
    config.pre_vote = false;
    config
}

fn with_pre_vote(id: u64) -> Config {
    Config { pre_vote: true, ..config(id) }
}

fn with_bug<const BUG: usize, const PRE_VOTE: bool>(id: u64) -> Config {
    Config { mutant: MutantSwitch::on(BUGS[BUG]), pre_vote: PRE_VOTE, ..config(id) }
}

#[test]
fn n08_leases_serve_no_stale_read_whatever_clocks_pauses_and_links_do() {
    let (mut leased, mut terms) = (0, 0);
    for seed in 0..SEEDS {
        let world = World::run(seed, SERVERS, if seed % 2 == 0 { config } else { with_pre_vote });
        assert_eq!(world.stale, None, "seed {seed}");
        leased += world.leased;
        terms += world.servers.iter().map(|server| server.node.raft().term().0).max().unwrap();
    }
    println!("{SEEDS} seeds: {leased} reads under a lease, {terms} terms");
    assert!(leased as u64 > 100 * SEEDS && terms > 4 * SEEDS, "{leased} reads under a lease, {terms} terms");
}

#[test]
fn every_seeded_bug_of_leases_is_caught() {
    let configs: [[Configure; 2]; 5] = [
        [with_bug::<0, false>, with_bug::<0, true>],
        [with_bug::<1, false>, with_bug::<1, true>],
        [with_bug::<2, false>, with_bug::<2, true>],
        [with_bug::<3, false>, with_bug::<3, true>],
        [with_bug::<4, false>, with_bug::<4, true>],
    ];
    for (bug, configs) in BUGS.into_iter().zip(configs) {
        let started = std::time::Instant::now();
        let mut seeds = 0..MUTANT_SEEDS;
        let caught = seeds.find_map(|seed| {
            World::run(seed, SERVERS, configs[(seed % 2) as usize]).stale.map(|stale| (seed, stale))
        });
        let (seed, what) = caught.unwrap_or_else(|| panic!("{bug} survives {MUTANT_SEEDS} seeds"));
        println!("| {bug} | P | {} | {:.2} | {what} |", seed + 1, started.elapsed().as_secs_f64());
    }
}

#[test]
fn r11_leases_need_check_quorum_and_a_believable_drift() {
    let start = |change: fn(&mut Config)| {
        let mut config = config(1);
        change(&mut config);
        raft_core::Raft::<u64>::start(config, Recovered::nothing(), &mut Effects::default()).map(|_| ())
    };
    assert_eq!(start(|_| {}), Ok(()));
    assert_eq!(start(|config| config.check_quorum = false), Err(StartError::LeaseWithoutCheckQuorum));
    let absurd = start(|config| config.lease = Some(Lease { drift_ppm: 500_001 }));
    assert_eq!(absurd, Err(StartError::Drift { drift_ppm: 500_001 }));
}
