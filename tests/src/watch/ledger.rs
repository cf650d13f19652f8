//! What clients have written, whatever the workload: every change that a watcher is told must stand here, and every one that was
//! acknowledged must be told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::system::{Client, Done, Failed, Txn};

/// How often a value was written to a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// So often the write was acknowledged.
    pub acknowledged: u64,
    /// So often nobody knows.
    pub unknown: u64,
}

/// All writes of a run's clients, by key and value.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<(String, String), Fate>>);

impl Ledger {
    /// What was written, and how often.
    #[must_use]
    pub fn writes(&self) -> HashMap<(String, String), Fate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same client, whose writes are noted here.
    #[must_use]
    pub fn noting(self: &Arc<Ledger>, client: Box<dyn Client>) -> Box<dyn Client> {
        Box::new(Noted { client, ledger: Arc::clone(self) })
    }

    fn change(&self, puts: &[(&str, &str)], change: impl Fn(&mut Fate)) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in puts {
            change(writes.entry(((*key).to_owned(), (*value).to_owned())).or_default());
        }
    }

    /// Notes what becomes of a write. One that is given up half-way stays unknown.
    async fn note<T>(
        &self,
        puts: &[(&str, &str)],
        write: Done<'_, T>,
        is_done: impl Fn(&T) -> bool,
    ) -> Result<T, Failed> {
        self.change(puts, |fate| fate.unknown += 1);
        let result = write.await;
        match &result {
            Ok(answer) => {
                let is_done = is_done(answer);
                self.change(puts, |fate| {
                    fate.unknown -= 1;
                    fate.acknowledged += u64::from(is_done);
                });
            }
            Err(failed) if failed.certain => self.change(puts, |fate| fate.unknown -= 1),
            Err(_) => {}
        }
        result
    }
}

/// A client whose writes are noted.
pub struct Noted {
    client: Box<dyn Client>,
    ledger: Arc<Ledger>,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noted").finish_non_exhaustive()
    }
}

impl Client for Noted {
    fn get<'a>(&'a mut self, key: &'a str) -> Done<'a, Option<String>> {
        self.client.get(key)
    }

    fn put<'a>(&'a mut self, key: &'a str, value: &'a str) -> Done<'a, ()> {
        Box::pin(
            async move { self.ledger.note(&[(key, value)], self.client.put(key, value), |()| true).await },
        )
    }

    fn cas<'a>(&'a mut self, key: &'a str, expected: Option<&'a str>, new: &'a str) -> Done<'a, bool> {
        Box::pin(async move {
            self.ledger.note(&[(key, new)], self.client.cas(key, expected, new), |done| *done).await
        })
    }

    fn txn<'a>(&'a mut self, txn: &'a Txn) -> Done<'a, bool> {
        Box::pin(async move {
            let puts: Vec<(&str, &str)> =
                txn.puts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            self.ledger.note(&puts, self.client.txn(txn), |done| *done).await
        })
    }

    fn get_all<'a>(&'a mut self, keys: &'a [String]) -> Done<'a, Vec<Option<String>>> {
        self.client.get_all(keys)
    }
}
