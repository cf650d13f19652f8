//! The harness: clusters of real processes, faults, workloads, recording, verdicts, reports.
//!
//! `plumbline run` starts real `kv-server` processes, lets clients work on them while it breaks things, records every
//! operation, and asks [`checker`] whether the history is linearizable:
//!
//! ```text
//!            schedule ──▶ nemesis ──kill, stop──▶ cluster: n1 … n5, real processes, data on disk
//!    seed ─┤                  └────cut, slow───▶ link i→j: every directed link is a proxy of ours
//!            generator ─▶ client ──get put cas─▶    ▲
//!                            │                      └── observer: who leads, who fell
//!                            ▼
//!                        recorder ──▶ history.jsonl, history.edn ──▶ judge ──▶ report: results.json, verdict
//!                                            (all in the store: store/<test>/<time>/)
//! ```
//!
//! Each module is one of these words; [`runner`] joins them, [`commands`] is the command line.
//!
//! * [`schedule`]: the plan of the faults, pure data, from the seed or from a file; [`shrink`] makes that of a failed run
//!   small. [`generator`]: the operations, from the seed, too.
//! * [`cluster`] and [`link`]: processes and the network between them. [`nemesis`] breaks both, by the schedule; how, stands
//!   in [`faults`], one file for each family. [`netns`]: servers in network namespaces of their own, where single packets are lost.
//! * [`disk`]: a file system of ours that fails under a server. [`clock`]: what a server is told of the time. [`doctor`]: which
//!   faults this machine can do.
//! * [`system`]: what is under test: `kv-server`, etcd, Redis, or any other by commands; everything else knows only its trait.
//! * [`workload`]: what clients do, and what must be so then: registers, lists, sets, counters, queues, locks, banks.
//! * [`client`] performs operations and is honest about what it does not know; [`recorder`] writes them down in an order
//!   that can be believed; [`stats`] counts them.
//! * [`observer`] and [`logs`]: what clients cannot see. [`judge`] asks the checker; [`report`] weighs everything. [`effort`]
//!   measures what the harness itself takes, so that nobody mistakes that for the servers.
//! * [`page`]: each run on one page, made from its folder alone; [`compare`]: two runs side by side; [`serve`]: the store in a
//!   browser, on loopback.
//! * [`scenario`]: experiments in which requests and failures come at given moments; [`sweep`]: one of their parameters varied.
//! * [`traces`]: what the servers recorded of their cores is replayed, and held against the laws of the models.
//! * [`store`]: the results folder. [`progress`]: the live line. [`program`]: finds or builds the server.
//!
//! # What a verdict rests on
//!
//! A run passes only if the history is linearizable and breaks none of its workload's own laws, the servers' traces hold against the laws of the models (unless
//! `--no-trace`), no two leaders of one term were seen, no server fell or confessed a
//! broken invariant in its log, the healed cluster answered a final read of every key, and enough operations succeeded for
//! this to mean something. If one of the last two fails, the verdict is *unknown*, not *pass*.
//!
//! # What this does not do (yet)
//!
//! * The seed fixes the faults' plan and each worker's operations, not how the kernel schedules processes: the same seed
//!   makes the same trouble, not the same history.
//! * A kill loses what a process had in memory, never what the kernel had been given; a power failure on a fault disk does, of
//!   files, not of the machine's own memory.
//! * Wrong clocks are what the C library tells: a program that asks the kernel past it (Go) sees the right ones.
//! * Clients talk to servers directly: links between clients and servers are not cut.
//! * Watches are judged by what watchers were told and clients wrote; whether a value was there before is not.
//! * Lists, sets, counters, queues and locks are kept under single keys by compare-and-set: a store's own such types are not
//!   tested.
//! * Members leave and come back; no server that was never there joins in the middle of a run.
//! * The web pages of [`serve`] are lists and files: a run that is under way has no page yet.
//! * An experiment of [`scenario`] counts messages where it knows the servers' frames: those of `kv-server`.

pub mod client;
pub mod clock;
pub mod cluster;
pub mod commands;
pub mod compare;
pub mod disk;
pub mod doctor;
pub mod effort;
pub mod faults;
pub mod generator;
pub mod judge;
pub mod link;
pub mod logs;
pub mod nemesis;
pub mod netns;
pub mod observer;
pub mod page;
pub mod program;
pub mod progress;
pub mod recorder;
pub mod replicas;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod schedule;
pub mod serve;
pub mod shrink;
pub mod stats;
pub mod store;
pub mod sweep;
pub mod system;
pub mod traces;
pub mod units;
pub mod watch;
pub mod workload;
