//! Whether what was received was sent.

use std::collections::BTreeSet;

use raft_core::{NodeId, Term};

use super::facts::{Facts, Received, WERE_SENT};
use super::verdict::TraceFinding;

/// What became of all messages.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// How many were received and had been sent.
    pub(super) matched: u64,
    /// Servers whose traces have lost their ends.
    pub(super) cut: BTreeSet<NodeId>,
    pub(super) findings: Vec<TraceFinding>,
}

/// Looks for every message that anybody received among those that its sender sent.
pub(super) fn check(all: &[Facts]) -> Checked {
    let mut checked = Checked::default();
    for receiver in all {
        let Some(me) = receiver.id else { continue };
        for (from, received) in &receiver.received {
            // Who has no trace is told about elsewhere; and what a server did that could not be followed is not known.
            let Some(sender) = all.iter().find(|facts| facts.id == Some(*from)) else { continue };
            let sent = sender.sent.get(&me);
            let is_sent = |message: &&Received| sent.is_some_and(|sent| sent.contains(&message.hash));
            let unsent: Vec<&Received> = received.iter().filter(|message| !is_sent(message)).collect();
            checked.matched += (received.len() - unsent.len()) as u64;
            if !sender.is_partial {
                judge(&mut checked, receiver, sender, *from, &unsent);
            }
        }
    }
    checked
}

/// The first of what was never sent; and if all of it may be beyond the sender's trace, that.
fn judge(checked: &mut Checked, receiver: &Facts, sender: &Facts, from: NodeId, unsent: &[&Received]) {
    let Some(any) = unsent.first() else { return };
    let may_be_later = |message: &Received| sender.is_open && message.term >= sender.durable_term;
    let may_be_earlier =
        |message: &Received| Term::default() < sender.first_term && message.term <= sender.first_term;
    let never = unsent.iter().find(|message| !may_be_later(message) && !may_be_earlier(message));
    let first = never.unwrap_or(any);
    let more = match unsent.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let what = match never {
        Some(_) => format!("received from server {from} what {} never sent{more}", sender.file.display()),
        None => {
            checked.cut.insert(from);
            let why = match may_be_later(any) {
                true => "does not end with a stop: it has lost its end",
                false => "begins later than its server",
            };
            format!("received from server {from} what is not in {}, which {why}{more}", sender.file.display())
        }
    };
    let place = Some(receiver.place(first.record));
    checked.findings.push(TraceFinding { rule: WERE_SENT, is_violation: never.is_some(), what, place });
}
