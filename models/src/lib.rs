//! The production core, explored: every state that a small cluster of real [`Raft`](raft_core::Raft) values can reach,
//! within stated bounds.
//!
//! Nothing of Raft is modelled here. What the model adds is the world around the core, as nasty as it can be:
//!
//! ```text
//!               any armed timer   proposals, reads, changes, snapshots
//!                      |                   |
//!   network      +-----v-------------------v-----+      writes      disk
//!  (a bag of  -->|  Raft<u8>: the very type that |---------------> (a queue; a crash keeps
//!   messages) <--|  kv-server runs, 1 per server |<---------------  any prefix of it)
//!                +-------------------------------+    it is durable
//!         every message                |
//!    may be lost, overtaken,    applied, elected, read
//!      delivered twice                 v
//!                         history, which the laws are about
//! ```
//!
//! From the top: a [`Scenario`] names [`Bounds`]; [`check`] explores the [`Cluster`] they describe, which is a
//! [`stateright::Model`], and judges each step by every [`Law`] (the five of the paper's Figure 3, and more); a [`Witness`]
//! says what must be possible, so that no law holds for want of behaviour; what breaks a law is a [`Counterexample`].
//! Where clients use a register, the history of what they see must be linearizable, as judged by `checker`, which judges those
//! of real clusters as well. From each state a fair schedule without faults is followed too, which must get somewhere ([`Law::Liveness`], `fair.rs`).
//! [`hunts`] are the worlds in which each seeded bug of the core is caught.
//!
//! [`validate`] holds what real servers did against the same laws: their [traces] are replayed.
//!
//! # What "exhausted" means
//!
//! Every state within the bounds was reached and asked for its successors; both numbers are counted and compared. Bounds are
//! predicates on states (terms, log, messages in flight, crashes, ...), never depth. A search that hits a limit of time,
//! states or memory says so, and is no pass. Two searches exist, stateright's and a small one of our own, and must agree.
//! stateright is pinned to 0.30.2: it ignores its own `timeout` with one thread, and lets a search that was cut short
//! satisfy `assert_no_discovery`; so neither is used.
//!
//! # Why it is small enough, and why that is sound
//!
//! - **Loss** is decided when there is no room: of the messages in flight and those just sent, any may be lost. A message
//!   that is never delivered is lost as well, so nothing else needs to be explored. Messages in flight to a server that is
//!   down wait for it.
//! - **Disks.** The oldest write becomes durable and the server learns of it in one step, and a crash keeps any prefix of the
//!   outstanding writes. A write that is durable without its server knowing differs only if the server then crashes: which
//!   is the crash that keeps it. Where `slow_writes` is 0 a write is durable as soon as it is issued.
//! - **Lost tails.** A disk that loses what was durable loses its last entry, while its server stops, and the host finds out: a
//!   server that does not know that it has lost something is beyond any Raft.
//! - **Execution.** Committed entries are executed at once.
//! - **Snapshots.** A host that takes one has it on stable storage, and has let go of the log that it contains, in one step; a
//!   crash in between would leave a longer log. Parts of a snapshot that is on its way are read at once, stored by writes like
//!   any other, and forgotten in a crash before the last one is.
//! - **Names.** States that differ only in the servers' names are one, as far as the world treats those alike: where the
//!   members change, those that found it, join or leave keep their parts, and a leader that leaves chooses its heir by name.
//!   The image of a server under other names is made by letting the renamed server live the same life, so no field is
//!   forgotten.
//! - **Numbers nobody can ask for** (write sequence numbers from before, the boot number, how many bytes are under way, and
//!   without pre-vote, contact timers, changes of the members, snapshots and forwarded reads who was heard when;
//!   the boot number counts in answers to forwarded reads) do not tell states apart.
//! - A state is filed under 64 bits of hash, as is usual: among 16 million states two collide with a chance of about 1 in
//!   100,000.
//!
//! # At which bounds
//!
//! `log` counts every entry, the no-ops with which leaders begin included, so that three terms without a proposal fill a log
//! of three. The scenarios `t…-l…-k…` are named by terms, log and messages in flight, and have one crash. `plumbline model
//! check` exhausts the sets `test` and `ci`; `plumbline model check test ci nightly` those of every night: together 56 worlds and
//! 116,934,212 states, in 558 s of CPU and 7 min 8 s on two cores that had other work beside, with 1.02 GiB of memory. Every
//! number was counted by a search that came to its end; those of the set `open` have not been seen to their end, and nothing is
//! claimed of them.
//!
#![doc = include_str!("../SCENARIOS.md")]
//!
//! # What this does not show (yet)
//!
//! - Anything beyond the bounds. A bug that takes three servers, five terms and two crashes passes unseen.
//! - That every fair schedule gets somewhere: those do in which the faults have ended, everything arrives, and one election is
//!   over before the next one begins. (Of others that is not true of any Raft, §5.2.) Not that nothing is disturbed later on, nor
//!   that reads and changes of the members are answered; and where [`Bounds::settles`] is 0, nothing. What else goes wrong on the
//!   way, beyond the bounds, is not judged.
//! - The paths that are not taken: `Input::Unreachable`, `Input::Campaign`, `Input::StepDown`, `Input::RequestSnapshot`, slow
//!   execution, a full window or quota, hostile messages, acknowledgements from an earlier boot, proposals that followers
//!   forward, transfers that followers ask for, leases, snapshots that lag behind the log that is let go of.
//! - Leader completeness and election safety remember all leaders of a run; log matching compares the logs that exist.
//! - Six seeded bugs are caught by a law about the servers' insides, not seen to break Figure 3: match-regress and
//!   clear-vote-on-step-down by monotonicity, since within these bounds other guards of the core stand before it;
//!   reconfigure-before-own-commit, config-not-rolled-back and snapshot-drops-config by laws about the members: two leaders by
//!   the first take four servers, three terms and two messages in flight (nine million states did not get there), by the others
//!   a second change and a third term (not searched); append-after-compaction by what its followers refuse to believe, since
//!   all that comes of it is that they never catch up.
//! - What clients see is followed where they put into one register and get from it ([`Bounds::clients`]): at most two puts and two
//!   gets, of clients that wait for ever and ask once. Elsewhere reads are judged by their index. Gets of what a server will
//!   only apply later on are taken for given up.
//! - Several laws broken in one step are reported as the first of them.
//!
//! # How to read a counterexample
//!
//! One line for each step: what happened to which server, and which messages were lost for want of room; below it the server
//! afterwards: role, term, vote, commit index, log (`2@t1=0` is entry 2 of term 1 with command 0; no `=`: a no-op; `={1,2}`: the
//! voters from here on, `={1} from {1,2,3}` in the middle of a change; `..2`: entries up to 2 are in the snapshot), and where
//! writes are outstanding, the disk. Where liveness is broken, what the fair schedule then does in vain, up to where it begins
//! to go round in a circle. `plumbline model replay FILE` lets it happen again to this build's servers.
//!
//! `plumbline model regress FILE` makes a test of it for the core's own suite, in which each step is one line and
//! `run.receives(3, 6, 0)` delivers to server 3 the first message that step 6 has sent to it. Until the core is mended the test
//! is red. Then it goes another way somewhere: `run.departs()` before that step says that it may, and from there on what
//! cannot happen any more is left out. Those of the seeded bugs are in `raft-core/tests/suite/replayed`.
//!
//! # Which seeded bugs are caught
//!
//! The page `models/MUTANTS.md`, which `plumbline model mutants --write` makes and a test compares, has them all with the law,
//! the steps and the states; those that survive as well.

#![forbid(unsafe_code)]

mod bounds;
mod browser;
mod check;
mod clients;
mod cluster;
mod disk;
mod fair;
mod filed;
mod ghost;
mod hunted;
mod key;
mod layered;
mod members;
mod mutants;
mod property;
mod reaction;
mod regression;
mod scenario;
mod server;
mod state;
mod story;
mod symmetry;
mod table;
mod telling;
pub mod traces;
mod world;

pub use bounds::{Bounds, BoundsError};
pub use browser::{BrowserError, browse};
pub use check::{Engine, Finding, Kind, Options, Progress, Report, Settling, Verdict, check, explore};
pub use cluster::{Action, Cluster};
pub use hunted::{Hunted, difference, table};
pub use members::{Group, Target};
pub use mutants::{Hunt, NoScenario, hunt, hunts};
pub use property::{Law, Witness};
pub use scenario::{Scenario, Set, scenario, scenario_table, scenarios};
pub use state::State;
pub use story::{Counterexample, Occurrence, ReplayError, Replayed, Sent, Step};
pub use traces::{Place, TraceError, TraceFinding, Validated, validate};
