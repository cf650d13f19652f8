//! What each action of a schedule does to a cluster.

use raft_core::{Change, Input, NodeId, Timer};

use super::{Action, Becomes, Election};
use crate::cluster::Cluster;

pub(super) fn act(cluster: &mut Cluster, action: &Action) {
    let servers = cluster.servers.len();
    let server = |s: &u8| NodeId(u64::from(*s) % servers as u64 + 1);
    let message = |i: &u8| usize::from(*i) % cluster.network.len().max(1);
    match action {
        Action::Deliver(i) => cluster.deliver(message(i)),
        Action::Lose(i) => drop(cluster.network.remove(message(i))),
        Action::Duplicate(i) => {
            if let Some(packet) = cluster.network.get(message(i)).cloned() {
                cluster.receive(packet);
            }
        }
        Action::Timer(s, timer) => cluster.fire(server(s), *timer),
        // A refusal is a legal answer.
        Action::Propose(s) => {
            let _ = cluster.propose(server(s));
        }
        Action::ProposeToLeader => {
            if let Some(leader) = cluster.leader() {
                {
                    let _ = cluster.propose(leader);
                };
            }
        }
        Action::Read(s) => {
            let _ = cluster.read(server(s));
        }
        Action::Sync(s) => {
            let _ = cluster.sync(server(s));
        }
        Action::Report(s, newest) => {
            let _ = cluster.report(server(s), *newest);
        }
        Action::Crash(s, kept) => cluster.crash(server(s), usize::from(*kept)),
        Action::Restart(s) => cluster.restart(server(s)),
        Action::Bounce(s, kept) => {
            cluster.crash(server(s), usize::from(*kept));
            cluster.restart(server(s));
        }
        Action::Cut(side) => cluster.lose(|p| side.has(p.from) != side.has(p.to)),
        Action::Elect(Election { candidate, among, budget, slow, afresh }) => {
            let candidate = server(candidate);
            let is_in = |id| id == candidate || among.has(id);
            cluster.restart(candidate);
            if *afresh {
                cluster.depose(is_in);
                cluster.network.clear();
            }
            cluster.slow = slow.members(servers);
            cluster.elect(candidate, usize::from(*budget), is_in);
            cluster.slow.clear();
        }
        Action::Exchange(some, budget, slow) => {
            cluster.slow = slow.members(servers);
            cluster.exchange(usize::from(*budget), |id| some.has(id));
            cluster.slow.clear();
        }
        Action::Heartbeat(some, budget) => {
            if let Some(leader) = cluster.leader() {
                cluster.fire(leader, Timer::Heartbeat);
                cluster.exchange(usize::from(*budget), |id| id == leader || some.has(id));
            }
        }
        _ => upset(cluster, action),
    }
}

/// The actions of an upheaval. What is refused has not happened.
fn upset(cluster: &mut Cluster, action: &Action) {
    let servers = cluster.servers.len();
    let server = |s: &u8| NodeId(u64::from(*s) % servers as u64 + 1);
    let input = match action {
        Action::Compact(s, kept) => {
            let _ = cluster.compact(server(s), u64::from(*kept));
            return;
        }
        Action::Serve(s) => {
            let _ = cluster.serve_chunk(server(s));
            return;
        }
        Action::Rot(s, kept, known) => {
            cluster.crash(server(s), 0);
            cluster.server_mut(server(s)).disk.rot(usize::from(*kept), *known);
            return;
        }
        Action::ForgetLeader(s) => {
            let _ = cluster.step(server(s), Input::ForgetLeader);
            return;
        }
        Action::RequestSnapshot(s) => {
            let _ = cluster.step(server(s), Input::RequestSnapshot);
            return;
        }
        Action::CheckQuorum(s, on) => {
            let _ = cluster.step(server(s), Input::SetCheckQuorum(*on));
            return;
        }
        Action::Change(changes, transition) => {
            let change = |(becomes, s): &(Becomes, u8)| match becomes {
                Becomes::Voter => Change::Voter(server(s)),
                Becomes::Promoted => Change::Promote(server(s)),
                Becomes::Learner => Change::Learner(server(s)),
                Becomes::Nothing => Change::Remove(server(s)),
            };
            Input::ChangeMembership { changes: changes.iter().map(change).collect(), transition: *transition }
        }
        Action::LeaveJoint => Input::LeaveJoint,
        Action::HandOver(to) => Input::TransferLeadership(to.as_ref().map(server)),
        Action::StepDown => Input::StepDown,
        _ => return,
    };
    if let Some(leader) = cluster.leader() {
        let _ = cluster.step(leader, input);
    }
}
