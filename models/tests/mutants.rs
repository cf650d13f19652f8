//! Every seeded bug of the core is caught, in a world in which the same search finds nothing without it.

use models::{Hunted, difference, hunt, hunts, table};
use raft_core::{Mutant, MutantSwitch};

#[test]
fn those_without_a_scenario_are_known() {
    let missing: Vec<_> =
        Mutant::ALL.iter().filter_map(|&m| Some((m.name(), hunt(m).err()?.to_string()))).collect();
    missing.iter().for_each(|(name, why)| println!("{name:28} {why}"));
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "echo-stale-round",
            "lease-survives-transfer",
            "lease-ignores-drift",
            "lease-survives-pause",
            "lease-forgotten-at-restart",
            "lease-forgotten-with-term",
        ]
    );
}

/// `BLESS=1` writes the table anew.
#[test]
fn every_mutant_is_caught_where_the_sound_core_is_not_and_the_table_says_how() {
    let mut hunted = Vec::new();
    for hunt in hunts() {
        let one = Hunted::down(&hunt, MutantSwitch::on(hunt.mutant), |_| {}).expect("sensible bounds");
        println!("{:28} {:?} {} steps {:.2} s", one.mutant, one.law(), one.steps(), one.with.seconds);
        hunted.push(one);
    }
    let survivors: Vec<_> = hunted.iter().filter(|one| !one.is_caught()).map(|one| one.mutant).collect();
    assert_eq!(survivors, [""; 0]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/MUTANTS.md");
    let table = table(&hunted);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &table).expect("it can be written");
    }
    let published = std::fs::read_to_string(file).expect("the table is there");
    assert_eq!(difference(&published, &table), None, "BLESS=1 cargo test -p models --test mutants");
}
