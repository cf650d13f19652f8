//! Banks, one for each key: money moves between accounts, and the total never changes.

use std::collections::BTreeMap;
use std::time::Duration;

use checker::{History, ModelName, Operation, Value};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::past::{by_key, done, line, number, only, shorten};
use super::update::{NOBODY_WROTE, foreign};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::system::{Capability, Client, Failed, Txn};

/// The accounts of a bank.
const ACCOUNTS: i64 = 5;
/// What an account holds at first: one that is absent in the store holds this.
const START: i64 = 10;
/// The most that moves at once.
const MOST: i64 = 5;

#[derive(Debug)]
pub(super) struct Bank;

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Txn]
    }

    /// Its own laws say all.
    fn model(&self) -> Option<ModelName> {
        None
    }

    fn rotate(&self) -> u64 {
        0
    }

    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor> {
        Box::new(Teller { stream: Stream::new(station), station, limit })
    }

    fn broken(&self, history: &History) -> Vec<String> {
        let mut breaches = Vec::new();
        for (key, operations) in by_key(history) {
            for read in only(&operations, "read") {
                if done(read).is_none() {
                    continue;
                }
                let (balances, at) = (balances(read), format!("{key}, line {}", line(read)));
                let total = balances.values().fold(0, |sum: i64, balance| sum.saturating_add(*balance));
                if total != ACCOUNTS * START || balances.len() as i64 != ACCOUNTS {
                    breaches.push(format!(
                        "{at}: a total of {total}, not {}: {}",
                        ACCOUNTS * START,
                        read.output
                    ));
                }
                if let Some((account, balance)) = balances.iter().find(|(_, balance)| **balance < 0) {
                    breaches.push(format!("{at}: account {account} holds {balance}"));
                }
            }
        }
        shorten(breaches)
    }
}

/// What a read saw in each account.
fn balances(read: &Operation) -> BTreeMap<String, i64> {
    let Value::Map(entries) = &read.output else { return BTreeMap::new() };
    let balance = |(account, balance): &(Value, Value)| {
        let name = account.text().map_or_else(|| account.to_string(), str::to_owned);
        Some((name, number(balance)?))
    };
    entries.iter().filter_map(balance).collect()
}

struct Teller {
    stream: Stream,
    station: Station,
    limit: Duration,
}

impl Actor for Teller {
    fn next(&mut self) -> (Op, f64) {
        let draw = self.stream.draw();
        let from = self.stream.below(ACCOUNTS);
        let to = (from + 1 + self.stream.below(ACCOUNTS - 1)) % ACCOUNTS;
        let amount = 1 + self.stream.below(MOST);
        if self.station.only_reads() || draw.dice < 40 {
            return (Op { f: "read", key: draw.key, value: Value::Nil }, draw.pause);
        }
        let part = |name: &str, value: i64| (Value::keyword(name), Value::Int(value));
        let value = Value::map(vec![part("from", from), part("to", to), part("amount", amount)]);
        (Op { f: "transfer", key: draw.key, value }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Value::Map(parts) = &op.value else { return read(client, op.key).await };
            let part = |name: &str| parts.iter().find(|(key, _)| key.text() == Some(name));
            let part = |name: &str| part(name).and_then(|(_, value)| number(value)).unwrap_or(0);
            match transfer(client, op.key, [part("from"), part("to")], part("amount"), self.limit).await {
                Ok(true) => Outcome::ok(),
                Ok(false) => Outcome::refused(),
                Err(failed) => failed.into(),
            }
        })
    }
}

fn account(bank: usize, account: i64) -> String {
    format!("{}.{account}", key_name(bank))
}

fn balance(found: Option<&str>) -> Result<i64, String> {
    found.map_or(Ok(START), |text| text.parse().map_err(|_| foreign(text)))
}

async fn read(client: &mut dyn Client, bank: usize) -> Outcome {
    let keys: Vec<String> = (0..ACCOUNTS).map(|number| account(bank, number)).collect();
    match client.get_all(&keys).await {
        Ok(found) => {
            let balances = found.iter().map(|found| balance(found.as_deref()));
            let mut error = None;
            let entries = (0..).zip(balances).map(|(account, balance)| {
                let balance = balance.unwrap_or_else(|why| {
                    error = Some(why);
                    NOBODY_WROTE
                });
                (Value::Int(account), Value::Int(balance))
            });
            let entries = entries.collect();
            Outcome { error, ..Outcome::saw(Value::map(entries)) }
        }
        Err(failed) => Outcome::unread(failed),
    }
}

/// Moves money if there is enough; says whether there was.
async fn transfer(
    client: &mut dyn Client,
    bank: usize,
    [from, to]: [i64; 2],
    amount: i64,
    limit: Duration,
) -> Result<bool, Failed> {
    let deadline = Instant::now() + limit;
    let keys = [account(bank, from), account(bank, to)];
    loop {
        let found = client.get_all(&keys).await.map_err(|failed| Failed { certain: true, ..failed })?;
        let mut held = [0; 2];
        for (slot, found) in held.iter_mut().zip(&found) {
            *slot = balance(found.as_deref()).map_err(Failed::certainly)?;
        }
        let [payer, payee] = held;
        if payer < amount {
            return Ok(false);
        }
        let then = [payer - amount, payee.saturating_add(amount)].map(|balance| balance.to_string());
        let txn = Txn {
            expected: keys.iter().cloned().zip(found).collect(),
            puts: keys.iter().cloned().zip(then).collect(),
        };
        if client.txn(&txn).await? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Err(Failed::certainly("others were quicker, again and again"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::history;
    use super::*;

    #[test]
    fn a_total_that_changes_and_an_account_below_zero_are_refused() {
        let read = |balances: &str| {
            Bank.broken(&history(&format!("0 invoke read null\n 0 ok read {balances}"))).join("; ")
        };
        assert_eq!(read(r#"{"0":10,"1":5,"2":15,"3":0,"4":20}"#), "");
        assert!(read(r#"{"0":10,"1":5,"2":15,"3":0,"4":19}"#).contains("a total of 49, not 50"));
        assert!(read(r#"{"0":10,"1":5,"2":15,"3":-1,"4":21}"#).contains("account 3 holds -1"));
        assert!(read(r#"{"0":50}"#).contains("not 50"), "accounts are missing");
    }
}
