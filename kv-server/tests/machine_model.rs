//! The state machine against a naive one, and the promises of its sessions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;

use bytes::Bytes;
use kv_server::machine::{Command, Compare, Machine, Operation, Outcome, Response, Test, Transaction, Write};
use proptest::prelude::*;
use raft_core::Index;

fn put(key: &str, value: &str) -> Operation {
    Operation::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

fn cas(key: &str, expected: Option<&str>, new: &str) -> Operation {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Operation::Cas { key: bytes(key), expected: expected.map(bytes), new: bytes(new) }
}

fn delete(key: &str) -> Operation {
    Operation::Delete { key: Bytes::copy_from_slice(key.as_bytes()) }
}

/// A machine and the log that it has applied so far.
struct Log {
    machine: Machine,
    index: u64,
}

impl Log {
    fn of(machine: Machine) -> Log {
        Log { machine, index: 0 }
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        self.index += 1;
        self.machine.apply(Index(self.index), &command.encode().unwrap())
    }

    fn open(&mut self, nonce: u128) -> u64 {
        match self.apply(&Command::OpenSession { nonce }) {
            Outcome::SessionOpened { session } => session,
            other => panic!("{other:?}"),
        }
    }

    fn run(&mut self, session: u64, sequence: u64, operation: Operation) -> Outcome {
        self.apply(&Command::Apply { session, sequence, operation })
    }

    fn value(&self, key: &str) -> Option<Bytes> {
        self.machine.get(key.as_bytes())
    }
}

#[test]
fn operations_do_what_they_say() {
    let mut log = Log::of(Machine::new());
    let session = log.open(1);
    let applied = |response| Outcome::Applied(response);
    let steps = [
        (put("k", "a"), Response::Put, Some("a")),
        (cas("k", Some("b"), "c"), Response::Cas { swapped: false }, Some("a")),
        (cas("k", None, "c"), Response::Cas { swapped: false }, Some("a")),
        (cas("k", Some("a"), "c"), Response::Cas { swapped: true }, Some("c")),
        (delete("k"), Response::Delete { existed: true }, None),
        (delete("k"), Response::Delete { existed: false }, None),
        (cas("k", Some(""), "d"), Response::Cas { swapped: false }, None),
        (cas("k", None, ""), Response::Cas { swapped: true }, Some("")),
    ];
    for (sequence, (operation, response, value)) in (1..).zip(steps) {
        assert_eq!(log.run(session, sequence, operation.clone()), applied(response), "{operation:?}");
        assert_eq!(log.value("k"), value.map(Bytes::from), "{operation:?}");
    }
}

/// The naive replay of a session: a retry arrives after another client's write.
fn retried_put(machine: Machine) -> (Outcome, Option<Bytes>) {
    let mut log = Log::of(machine);
    let (one, two) = (log.open(1), log.open(2));
    log.run(one, 1, put("k", "from one"));
    log.run(two, 1, put("k", "from two"));
    let retry = log.run(one, 1, put("k", "from one"));
    (retry, log.value("k"))
}

#[test]
fn m05_a_retried_command_applies_once() {
    assert_eq!(retried_put(Machine::new()), (Outcome::Applied(Response::Put), Some("from two".into())));

    let mut log = Log::of(Machine::new());
    let session = log.open(1);
    let first = log.run(session, 1, cas("k", None, "a"));
    assert_eq!(first, Outcome::Applied(Response::Cas { swapped: true }));
    assert_eq!(
        log.run(session, 1, cas("k", None, "a")),
        first,
        "a retry gets the first answer, not a second try's"
    );
}

/// Moves `amount` from one account to the other if both hold what is expected.
fn transfer(from: (&str, u8), to: (&str, u8), amount: u8) -> Operation {
    let is = |(key, value): (&str, u8)| Compare {
        key: Bytes::copy_from_slice(key.as_bytes()),
        test: Test::Is(Some(value.to_string().into())),
    };
    let put = |key: &str, value: u8| Write::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.to_string().into(),
    };
    Operation::Txn(Transaction {
        compares: vec![is(from), is(to)],
        success: vec![put(from.0, from.1 - amount), put(to.0, to.1 + amount)],
        otherwise: vec![put("refused", 1)],
    })
}

#[test]
fn a_transaction_does_all_or_its_alternative_and_once() {
    let mut log = Log::of(Machine::new());
    let session = log.open(1);
    let done = |succeeded| Outcome::Applied(Response::Txn { succeeded });
    log.run(session, 1, put("a", "10"));
    log.run(session, 2, put("b", "0"));
    let first = transfer(("a", 10), ("b", 0), 3);
    assert_eq!(log.run(session, 3, first.clone()), done(true));
    assert_eq!((log.value("a"), log.value("b")), (Some("7".into()), Some("3".into())));
    assert_eq!(log.run(session, 3, first.clone()), done(true), "a retry gets the first answer");
    assert_eq!((log.value("a"), log.value("refused")), (Some("7".into()), None), "and does nothing");
    assert_eq!(log.run(session, 4, first), done(false), "the same again is another one");
    assert_eq!((log.value("a"), log.value("refused")), (Some("7".into()), Some("1".into())));
    assert_eq!(
        log.run(session, 5, Operation::Txn(Transaction::default())),
        done(true),
        "nothing holds always"
    );
}

#[cfg(feature = "mutants")]
#[test]
fn mutant_retry_applied_twice_is_seen() {
    use kv_server::wal::mutant::ServerMutant;
    let mutant = Machine::new().with_mutant(ServerMutant::RetryAppliedTwice);
    assert_ne!(retried_put(mutant), retried_put(Machine::new()));
}

#[test]
fn m05_sessions_survive_in_the_serialised_state() {
    let mut log = Log::of(Machine::new());
    let session = log.open(1);
    log.run(session, 1, cas("k", None, "a"));
    log.open(2);
    let stored = postcard::to_stdvec(&log.machine).unwrap();
    let restored: Machine = postcard::from_bytes(&stored).unwrap();
    assert_eq!(restored, log.machine);
    assert_eq!(restored.state_hash(), log.machine.state_hash());
    let mut restored = Log { machine: restored, index: log.index };
    assert_eq!(
        restored.run(session, 1, cas("k", None, "a")),
        Outcome::Applied(Response::Cas { swapped: true })
    );
    assert_eq!(restored.open(2), 3, "the nonce is still known");
}

#[test]
fn m07_a_session_never_goes_back() {
    let mut log = Log::of(Machine::new());
    let session = log.open(1);
    assert_eq!(log.run(session, 0, put("k", "zero")), Outcome::StaleSequence, "sequences start at 1");
    log.run(session, 5, put("k", "five"));
    assert_eq!(log.run(session, 4, put("k", "four")), Outcome::StaleSequence);
    assert_eq!(log.run(session, 9, put("k", "nine")), Outcome::Applied(Response::Put));
    assert_eq!(log.value("k"), Some("nine".into()));
    assert_eq!(log.run(session + 1, 1, put("k", "x")), Outcome::SessionExpired, "never opened");
    assert_eq!(log.value("k"), Some("nine".into()));
}

#[test]
fn m06_the_session_unused_for_longest_expires() {
    let mut log = Log::of(Machine::with_session_limit(3));
    let (a, b, c) = (log.open(1), log.open(2), log.open(3));
    log.run(a, 1, put("a", "1"));
    let d = log.open(4);
    assert_eq!(log.run(b, 1, put("b", "1")), Outcome::SessionExpired);
    // A retry is a use, and so is a repeated request to open.
    log.run(c, 1, put("c", "1"));
    log.run(a, 1, put("a", "1"));
    assert_eq!(log.open(4), d);
    let e = log.open(5);
    assert_eq!(log.run(c, 2, put("c", "2")), Outcome::SessionExpired);
    for (session, key) in [(a, "a"), (d, "d"), (e, "e")] {
        assert_eq!(log.run(session, 7, put(key, "7")), Outcome::Applied(Response::Put));
    }
    assert_eq!(log.machine.session_count(), 3);
}

#[test]
fn m08_opening_again_does_not_leak_sessions() {
    let mut log = Log::of(Machine::new());
    let session = log.open(77);
    for _ in 0..100 {
        assert_eq!(log.open(77), session);
    }
    assert_eq!(log.machine.session_count(), 1);
}

#[test]
#[should_panic(expected = "applied after entry")]
fn an_entry_is_never_applied_twice_by_the_host() {
    let mut log = Log::of(Machine::new());
    log.open(1);
    log.index = 0;
    log.open(2);
}

#[test]
fn the_state_hash_stays_what_it_is() {
    // Replicas of different releases compare it.
    let mut log = Log::of(Machine::new());
    assert_eq!(log.machine.state_hash(), 3_407_275_284_133_288_724);
    let session = log.open(9);
    log.run(session, 1, put("k", "v"));
    assert_eq!(log.machine.state_hash(), 14_110_920_141_387_533_491);
}

#[derive(Clone, Debug)]
enum Action {
    Open { nonce: u8 },
    Apply { client: usize, sequence: u64, operation: Operation },
    Junk(Vec<u8>),
}

fn transaction() -> impl Strategy<Value = Operation> {
    let key = || prop::sample::select(vec!["", "a", "b"]).prop_map(Bytes::from);
    let value = || prop::sample::select(vec!["", "x", "y", "z"]).prop_map(Bytes::from);
    let test = prop_oneof![
        prop::option::of(value()).prop_map(Test::Is),
        prop::option::of(value()).prop_map(Test::IsNot),
    ];
    let compare = (key(), test).prop_map(|(key, test)| Compare { key, test });
    let write = || {
        let write = prop_oneof![
            (key(), value()).prop_map(|(key, value)| Write::Put { key, value }),
            key().prop_map(|key| Write::Delete { key }),
        ];
        prop::collection::vec(write, 0..4)
    };
    (prop::collection::vec(compare, 0..3), write(), write()).prop_map(|(compares, success, otherwise)| {
        Operation::Txn(Transaction { compares, success, otherwise })
    })
}

fn action() -> impl Strategy<Value = Action> {
    let key = || prop::sample::select(vec!["", "a", "b"]);
    let value = || prop::sample::select(vec!["", "x", "y", "z"]);
    let operation = prop_oneof![
        (key(), value()).prop_map(|(k, v)| put(k, v)),
        key().prop_map(delete),
        (key(), prop::option::of(value()), value()).prop_map(|(k, e, n)| cas(k, e, n)),
        transaction(),
    ];
    prop_oneof![
        1 => (0u8..6).prop_map(|nonce| Action::Open { nonce }),
        8 => (0usize..8, 0u64..6, operation)
            .prop_map(|(client, sequence, operation)| Action::Apply { client, sequence, operation }),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Action::Junk),
    ]
}

/// Everything by linear search, every answer remembered.
struct Naive {
    limit: usize,
    values: HashMap<Bytes, Bytes>,
    /// The latest used last.
    sessions: Vec<NaiveSession>,
}

struct NaiveSession {
    id: u64,
    nonce: u128,
    answers: Vec<(u64, Response)>,
}

impl Naive {
    fn use_session(&mut self, position: usize) -> &mut NaiveSession {
        let session = self.sessions.remove(position);
        self.sessions.push(session);
        self.sessions.last_mut().unwrap()
    }

    fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        let (id, sequence, operation) = match command {
            Command::OpenSession { nonce } => {
                if let Some(position) = self.sessions.iter().position(|s| s.nonce == *nonce) {
                    return Outcome::SessionOpened { session: self.use_session(position).id };
                }
                if self.sessions.len() == self.limit {
                    self.sessions.remove(0);
                }
                self.sessions.push(NaiveSession { id: index, nonce: *nonce, answers: Vec::new() });
                return Outcome::SessionOpened { session: index };
            }
            Command::Apply { session, sequence, operation } => (*session, *sequence, operation),
        };
        let Some(position) = self.sessions.iter().position(|s| s.id == id) else {
            return Outcome::SessionExpired;
        };
        let answers = self.use_session(position).answers.clone();
        match answers.last() {
            Some((last, response)) if *last == sequence => return Outcome::Applied(*response),
            Some((last, _)) if *last > sequence => return Outcome::StaleSequence,
            None if sequence == 0 => return Outcome::StaleSequence,
            _ => {}
        }
        let response = self.execute(operation);
        self.sessions.last_mut().unwrap().answers.push((sequence, response));
        Outcome::Applied(response)
    }

    fn execute(&mut self, operation: &Operation) -> Response {
        match operation {
            Operation::Put { key, value } => {
                self.values.insert(key.clone(), value.clone());
                Response::Put
            }
            Operation::Delete { key } => Response::Delete { existed: self.values.remove(key).is_some() },
            Operation::Cas { key, expected, new } if self.values.get(key) == expected.as_ref() => {
                self.values.insert(key.clone(), new.clone());
                Response::Cas { swapped: true }
            }
            Operation::Cas { .. } => Response::Cas { swapped: false },
            Operation::Txn(Transaction { compares, success, otherwise }) => {
                let mut succeeded = true;
                for Compare { key, test } in compares {
                    let found = self.values.get(key).cloned();
                    succeeded &= match test {
                        Test::Is(value) => found == *value,
                        Test::IsNot(value) => found != *value,
                    };
                }
                for write in if succeeded { success } else { otherwise } {
                    match write {
                        Write::Put { key, value } => drop(self.values.insert(key.clone(), value.clone())),
                        Write::Delete { key } => drop(self.values.remove(key)),
                    }
                }
                Response::Txn { succeeded }
            }
        }
    }
}

proptest! {
    #[test]
    fn the_machine_agrees_with_the_naive_one(
        actions in prop::collection::vec(action(), 1..120),
        limit in 1usize..5,
        snapshot_at in any::<prop::sample::Index>(),
    ) {
        let mut machine = Machine::with_session_limit(limit);
        let mut replica = Machine::with_session_limit(limit);
        let mut naive = Naive { limit, values: HashMap::new(), sessions: Vec::new() };
        let mut opened = vec![0u64];
        let snapshot_at = snapshot_at.index(actions.len());
        for (position, action) in actions.into_iter().enumerate() {
            // Entries that hold no command are not applied: indices have gaps.
            let index = 2 * position as u64 + 1;
            let command = match action {
                Action::Open { nonce } => Command::OpenSession { nonce: nonce.into() },
                Action::Apply { client, sequence, operation } => {
                    Command::Apply { session: opened[client % opened.len()], sequence, operation }
                }
                Action::Junk(bytes) => {
                    prop_assume!(Command::decode(&bytes).is_err());
                    let before = (machine.len(), machine.session_count());
                    prop_assert_eq!(machine.apply(Index(index), &bytes), Outcome::Malformed);
                    replica.apply(Index(index), &bytes);
                    prop_assert_eq!((machine.len(), machine.session_count()), before);
                    continue;
                }
            };
            let bytes = command.encode().unwrap();
            prop_assert_eq!(Command::decode(&bytes).unwrap(), command.clone());
            let outcome = machine.apply(Index(index), &bytes);
            prop_assert_eq!(&outcome, &naive.apply(index, &command));
            prop_assert_eq!(&outcome, &replica.apply(Index(index), &bytes));
            if let Outcome::SessionOpened { session } = outcome {
                opened.push(session);
            }
            for key in ["", "a", "b"] {
                prop_assert_eq!(machine.get(key.as_bytes()), naive.values.get(key.as_bytes()).cloned());
            }
            prop_assert_eq!(machine.session_count(), naive.sessions.len());
            if position == snapshot_at {
                replica = postcard::from_bytes(&postcard::to_stdvec(&machine).unwrap()).unwrap();
            }
        }
        prop_assert_eq!(machine.state_hash(), replica.state_hash());
        prop_assert_eq!(machine, replica);
    }

    #[test]
    fn no_bytes_make_the_machine_panic(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40)) {
        let (mut one, mut two) = (Machine::new(), Machine::new());
        for (index, bytes) in (1..).zip(&entries) {
            // Half of them look like commands for longer.
            let bytes = if index % 2 == 0 { [&[1, 1], bytes.as_slice()].concat() } else { bytes.clone() };
            prop_assert_eq!(one.apply(Index(index), &bytes), two.apply(Index(index), &bytes));
        }
        prop_assert_eq!(one.state_hash(), two.state_hash());
    }
}
