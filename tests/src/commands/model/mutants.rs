//! `plumbline model mutants`: the seeded bugs of the core, each hunted in its world.

use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct MutantsArgs {
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Write the table into this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Compare the table with this file, the seconds left out. Exit code 1: they differ.
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    compare: Option<PathBuf>,
    /// The folder that counterexamples are saved in.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

#[cfg(not(feature = "mutants"))]
pub(super) fn run(_: &MutantsArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "this build has no seeded bugs; build one that has: cargo run --release --features mutants -- model mutants"
    )
}

#[cfg(feature = "mutants")]
pub(super) fn run(args: &MutantsArgs) -> anyhow::Result<ExitCode> {
    use anyhow::Context as _;
    use models::Hunted;
    use raft_core::{Mutant, MutantSwitch};
    use serde_json::{Value, json};

    let mut hunted = Vec::new();
    for hunt in models::hunts() {
        let progress = super::live_line(hunt.mutant.name());
        let one = Hunted::down(&hunt, MutantSwitch::on(hunt.mutant), progress)?;
        if let (Some(folder), Some(story)) = (&args.save, &one.with.counterexample) {
            super::save(folder, story)?;
        }
        hunted.push(one);
    }
    super::clear_line();
    let survivors = hunted.iter().filter(|one| !one.is_caught()).count();
    let table = models::table(&hunted);
    if args.json {
        let row = |one: &Hunted| json!({ "mutant": one.mutant, "law": one.law(), "steps": one.steps(), "with": one.with, "without": one.without });
        let rows: Vec<Value> = hunted.iter().map(row).collect();
        let why = |m: &Mutant| {
            let why = models::hunt(*m).err()?;
            Some(json!({ "mutant": m.name(), "why": why.to_string(), "believed": why.believed() }))
        };
        let missing: Vec<Value> = Mutant::ALL.iter().filter_map(why).collect();
        let valid = survivors == 0;
        let all =
            json!({ "valid": valid, "survivors": survivors, "mutants": rows, "without_scenario": missing });
        super::say(&all.to_string())?;
    } else {
        super::say(table.trim_end())?;
    }
    if let Some(file) = &args.write {
        std::fs::write(file, &table).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut is_as_published = true;
    if let Some(file) = &args.compare {
        let published =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Some((then, now)) = models::difference(&published, &table) {
            is_as_published = false;
            eprintln!("{} differs:\n  there {then}\n  now   {now}", file.display());
        }
    }
    Ok(ExitCode::from(u8::from(survivors > 0 || !is_as_published)))
}
