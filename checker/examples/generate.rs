//! Writes a history that is linearizable by construction, as JSON lines on standard output:
//!
//! ```text
//! cargo run --release -p checker --example generate -- cas-register 1000000 100 > history.jsonl
//! cargo run --release -p checker --example generate -- cas-register 1000 10 --values 5 --unknown 50 --stale
//! ```

#![allow(clippy::print_stderr, reason = "a command line")]

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use checker::Format;
use checker::generate::{Plan, Workload, generate};
use checker::history::Writer;

const USAGE: &str = "usage: generate WORKLOAD OPERATIONS CLIENTS [--keys N] [--values N] [--unknown PER_MILLE] \
                     [--seed N] [--stale | --phantom]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(workload), Some(operations), Some(clients)) = (
        arguments.next().and_then(|name| name.parse::<Workload>().ok()),
        arguments.next().and_then(|number| number.parse().ok()),
        arguments.next().and_then(|number| number.parse().ok()),
    ) else {
        return usage();
    };
    let mut plan = Plan { operations, clients, unknown: 0, ..Plan::new(workload, 1) };
    let mut fault = None;
    while let Some(option) = arguments.next() {
        if matches!(&*option, "--stale" | "--phantom") {
            fault = Some(option);
            continue;
        }
        let Some(number) = arguments.next().and_then(|number| number.parse::<u64>().ok()) else {
            return usage();
        };
        match &*option {
            "--keys" => plan.keys = usize::try_from(number).unwrap_or(usize::MAX),
            "--values" => plan.values = number,
            "--unknown" => plan.unknown = number,
            "--seed" => plan.seed = number,
            _ => return usage(),
        }
    }
    let generated = generate(&plan);
    let events = match fault.as_deref() {
        None => Some(generated.events),
        Some("--stale") => generated.with_stale_read(plan.seed),
        Some(_) => generated.with_phantom_read(plan.seed),
    };
    let Some(events) = events else {
        eprintln!("this history has no read that could be broken so; try another --seed");
        return ExitCode::from(2);
    };
    let mut writer = Writer::new(BufWriter::new(io::stdout().lock()), Format::JsonLines);
    let written = events.iter().try_for_each(|event| writer.write(event)).and_then(|()| writer.flush());
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write: {error}");
            ExitCode::from(2)
        }
    }
}

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "{USAGE}");
    ExitCode::from(2)
}
