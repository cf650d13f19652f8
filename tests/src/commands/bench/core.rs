//! `plumbline bench core`: a cluster of `raft-core` nodes in memory, on disks and a network that take no time: what the
//! protocol itself costs.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use nix::time::{ClockId, clock_gettime};
use raft_core::{
    Apply, Config, Effects, Index, Input, NodeId, Outbound, Payload, Raft, Recovered, RoleKind, Timer,
};
use serde::Serialize;

use crate::commands::{print_json, print_text};

type Command = bytes::Bytes;

const EXAMPLES: &str = "\
Example:
  plumbline bench core --nodes 3 --batch 256 --operations 1000000";

/// The arguments of `plumbline bench core`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CoreArgs {
    /// Voters [1..=9]
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u64>::new().range(1..=9))]
    nodes: u64,
    /// Commands in one proposal [1..=1024]; measured one at a time and 256 at a time if not given
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1024))]
    batch: Option<u64>,
    /// Bytes in a command [0..=65536]
    #[arg(long, default_value_t = 128, value_parser = RangedU64ValueParser::<u64>::new().range(0..=65_536))]
    command_size: u64,
    /// Commands to get applied on every node [1000..=10000000]
    #[arg(long, default_value_t = 1_000_000, value_parser = RangedU64ValueParser::<u64>::new().range(1000..=10_000_000))]
    operations: u64,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

/// What was measured for one size of proposal.
#[derive(Debug, Serialize)]
struct Measured {
    nodes: u64,
    batch: u64,
    command_size: u64,
    operations: u64,
    cpu_seconds: f64,
    seconds: f64,
    operations_per_cpu_second: f64,
}

/// Measures.
pub(super) fn run(args: &CoreArgs) -> anyhow::Result<ExitCode> {
    let batches = args.batch.map_or_else(|| vec![1, 256], |batch| vec![batch]);
    let mut results = Vec::new();
    for batch in batches {
        let measured = measure(args, batch)?;
        if !args.json {
            print_text(&format!(
                "{} nodes, {}-byte commands, {} at a time: {:.2} M operations per CPU second, applied on all nodes \
                 ({} in {:.2} s)\n",
                measured.nodes,
                measured.command_size,
                batch,
                measured.operations_per_cpu_second / 1e6,
                measured.operations,
                measured.seconds,
            ))?;
        }
        results.push(measured);
    }
    if args.json {
        print_json(&serde_json::json!({ "bench": "core", "results": results }))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &CoreArgs, batch: u64) -> anyhow::Result<Measured> {
    let mut cluster = Cluster::new(args.nodes)?;
    cluster.elect()?;
    let command = Command::from(vec![0x5a; usize::try_from(args.command_size)?]);
    let before = (Instant::now(), cpu()?);
    let mut proposed = 0;
    while proposed < args.operations {
        let count = batch.min(args.operations - proposed);
        cluster.step(0, Input::Propose(vec![command.clone(); usize::try_from(count)?]))?;
        proposed += count;
        cluster.settle()?;
    }
    // The followers learn of the last commitment with the next heartbeat.
    cluster.step(0, Input::Timer(Timer::Heartbeat))?;
    cluster.settle()?;
    let (cpu_used, elapsed) = (cpu()?.saturating_sub(before.1), before.0.elapsed());
    anyhow::ensure!(
        cluster.applied.iter().all(|&applied| applied == args.operations),
        "not every node applied every command: {:?}",
        cluster.applied
    );
    Ok(Measured {
        nodes: args.nodes,
        batch,
        command_size: args.command_size,
        operations: args.operations,
        cpu_seconds: cpu_used.as_secs_f64(),
        seconds: elapsed.as_secs_f64(),
        operations_per_cpu_second: args.operations as f64 / cpu_used.as_secs_f64(),
    })
}

fn cpu() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("cannot read the CPU clock")?.into())
}

/// Nodes whose disks and network answer at once.
struct Cluster {
    nodes: Vec<Raft<Command>>,
    /// How many commands each node has applied.
    applied: Vec<u64>,
    network: VecDeque<(NodeId, Outbound<Command>)>,
    effects: Effects<Command>,
}

impl Cluster {
    fn new(nodes: u64) -> anyhow::Result<Self> {
        let mut effects = Effects::default();
        let start = |id| {
            Raft::start(Config::new(NodeId(id), (1..=nodes).map(NodeId)), Recovered::nothing(), &mut effects)
        };
        let nodes = (1..=nodes).map(start).collect::<Result<Vec<_>, _>>()?;
        effects.clear();
        Ok(Cluster { applied: vec![0; nodes.len()], nodes, network: VecDeque::new(), effects })
    }

    fn elect(&mut self) -> anyhow::Result<()> {
        self.step(0, Input::Timer(Timer::Election))?;
        self.settle()?;
        let is_leader = self.nodes.first().is_some_and(|node| node.role() == RoleKind::Leader);
        anyhow::ensure!(is_leader, "the first node was not elected");
        Ok(())
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        while let Some((from, Outbound { to, message })) = self.network.pop_front() {
            self.step(usize::try_from(to.0 - 1)?, Input::Receive { from, message })?;
        }
        Ok(())
    }

    /// Hands an input to a node and does at once whatever it asks for.
    fn step(&mut self, i: usize, input: Input<Command>) -> anyhow::Result<()> {
        let node = self.nodes.get_mut(i).context("no such node")?;
        let applied = self.applied.get_mut(i).context("no such node")?;
        node.step(input, &mut self.effects)?;
        loop {
            let ack = self.effects.writes.drain(..).next_back().map(|write| write.split().1);
            if let Some(ack) = ack {
                node.step(Input::Durable(ack), &mut self.effects)?;
            }
            let mut last = Index::ZERO;
            for step in self.effects.apply.drain(..) {
                last = step.index();
                let Apply::Entry(entry) = step else { anyhow::bail!("nobody took a snapshot") };
                *applied += u64::from(matches!(entry.payload, Payload::Command(_)));
            }
            if last > Index::ZERO {
                node.step(Input::Applied(last), &mut self.effects)?;
            } else if ack.is_none() {
                break;
            }
        }
        let id = node.id();
        self.network.extend(self.effects.send.drain(..).map(|outbound| (id, outbound)));
        self.effects.clear();
        Ok(())
    }
}
