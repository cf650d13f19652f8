//! The client library: linearizable reads, and writes that are applied exactly once however often they are retried.
//!
//! A [`Client`] knows some servers, finds the leader among them by following redirects, and retries until its operation's
//! time is over. Writes run in a *session* (diss. 6.3), opened at the first one: each has a number, retries carry the same
//! number, and the state machine applies a number once and remembers its answer, also across leader changes and restarts.
//!
//! When an operation fails, [`ClientError::is_definite`] tells whether it is certain that it had no effect and never will
//! have one. It is not certain once an attempt may have reached a leader and its answer did not come back; then
//! only an applied result of a later attempt can settle it. A later refusal cannot: the earlier attempt may still be in a log.
//!
//! ```no_run
//! # async fn example() -> Result<(), kv_server::client::ClientError> {
//! use std::time::Duration;
//!
//! use kv_server::client::{Client, ClientOptions};
//!
//! let mut client = Client::new(ClientOptions {
//!     endpoints: vec!["127.0.0.1:8001".parse().expect("an address")],
//!     op_timeout: Duration::from_secs(5),
//!     attempt_timeout: Duration::from_secs(1),
//! });
//! client.put(b"colour", b"blue").await?;
//! assert!(client.cas(b"colour", Some(b"blue"), b"green").await?);
//! assert_eq!(client.get(b"colour").await?.as_deref(), Some(&b"green"[..]));
//! # Ok(())
//! # }
//! ```

mod connection;
mod counters;
mod error;
mod operator;
mod route;
mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

pub use self::counters::Counters;
pub use self::error::{ClientError, Trouble};
pub use self::operator::{change_members, leader, state_hash, status, take_snapshot, transfer_leadership};
pub use self::watch::Watch;
pub use crate::protocol::{Revision, Role, Scope, Status};

use self::connection::Connection;
use self::route::Route;
use crate::machine::{Command, CommandError, MAX_KEY_BYTES, Operation, Outcome, Response, Transaction};
use crate::protocol::{Answer, Failure, RequestBody};
use crate::shell::random_seed;

/// Which servers to ask, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientOptions {
    /// Where servers listen for clients. The first is asked first; one is enough if it knows the others' addresses.
    pub endpoints: Vec<SocketAddr>,
    /// How long an operation may take, with all its attempts.
    pub op_timeout: Duration,
    /// How long one server may take for one attempt, before another is asked.
    pub attempt_timeout: Duration,
}

impl ClientOptions {
    /// These endpoints, five seconds for an operation, one for an attempt.
    #[must_use]
    pub fn new(endpoints: Vec<SocketAddr>) -> Self {
        ClientOptions {
            endpoints,
            op_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(1),
        }
    }
}

/// A client with one session, for one operation at a time.
///
/// Dropping the future of an operation is safe, and leaves the operation in doubt.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    route: Route,
    connection: Option<Connection>,
    session: Option<Session>,
    /// Of the session that is to be opened: the same one in every retry.
    nonce: u128,
    counters: Counters,
}

/// An open session. A sequence number is used for one operation only, however that ends.
#[derive(Debug)]
struct Session {
    id: u64,
    last_sequence: u64,
}

/// How an attempt ended.
enum Attempt {
    Answered(Answer),
    /// It had no effect.
    Refused(Trouble),
    /// It may have reached a leader.
    InDoubt(Trouble),
}

/// One operation's time, and what its attempts have left behind.
struct Effort {
    deadline: Instant,
    /// An attempt may take effect, now or later.
    in_doubt: bool,
}

impl Client {
    /// A client that connects when it has something to ask.
    #[must_use]
    pub fn new(options: ClientOptions) -> Client {
        let route = Route::new(options.endpoints.clone());
        Client {
            options,
            route,
            connection: None,
            session: None,
            nonce: random_nonce(),
            counters: Counters::default(),
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The value of a key, as of some moment between this call and its return.
    ///
    /// # Errors
    /// Always definite: a read has no effect.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, ClientError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(ClientError::Invalid(CommandError::KeyTooLong(key.len())));
        }
        let mut effort = self.effort();
        let body = RequestBody::Get { key: Bytes::copy_from_slice(key) };
        match self.ask(&body, &mut effort).await {
            Ok(Answer::Value(value)) => Ok(value),
            Ok(_) => Err(ClientError::Failed { last: Trouble::WrongAnswer }),
            Err(last) => Err(ClientError::Failed { last }),
        }
    }

    /// The values of several keys, all of them as of one moment between this call and its return.
    ///
    /// # Errors
    /// Always definite: a read has no effect. Keys and values have limits: see [`crate::limits`].
    pub async fn get_all(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, ClientError> {
        if let Some(key) = keys.iter().find(|key| key.len() > MAX_KEY_BYTES) {
            return Err(ClientError::Invalid(CommandError::KeyTooLong(key.len())));
        }
        let mut effort = self.effort();
        let keys: Vec<Bytes> = keys.iter().map(|key| Bytes::copy_from_slice(key)).collect();
        let count = keys.len();
        match self.ask(&RequestBody::GetAll { keys }, &mut effort).await {
            Ok(Answer::Values(values)) if values.len() == count => Ok(values),
            Ok(_) => Err(ClientError::Failed { last: Trouble::WrongAnswer }),
            Err(last) => Err(ClientError::Failed { last }),
        }
    }

    /// Sets a key's value.
    ///
    /// # Errors
    /// See [`ClientError::is_definite`].
    pub async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), ClientError> {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.write(Operation::Put { key, value }).await.map(drop)
    }

    /// Removes a key; returns whether it was there.
    ///
    /// # Errors
    /// See [`ClientError::is_definite`].
    pub async fn delete(&mut self, key: &[u8]) -> Result<bool, ClientError> {
        let response = self.write(Operation::Delete { key: Bytes::copy_from_slice(key) }).await?;
        Ok(matches!(response, Response::Delete { existed: true }))
    }

    /// Sets a key's value if it holds `expected` (`None`: if it is absent); returns whether it did.
    ///
    /// # Errors
    /// See [`ClientError::is_definite`].
    pub async fn cas(
        &mut self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, ClientError> {
        let operation = Operation::Cas {
            key: Bytes::copy_from_slice(key),
            expected: expected.map(Bytes::copy_from_slice),
            new: Bytes::copy_from_slice(new),
        };
        let response = self.write(operation).await?;
        Ok(matches!(response, Response::Cas { swapped: true }))
    }

    /// Compares and writes several keys at once; returns whether all comparisons held.
    ///
    /// # Errors
    /// See [`ClientError::is_definite`].
    pub async fn txn(&mut self, transaction: Transaction) -> Result<bool, ClientError> {
        let response = self.write(Operation::Txn(transaction)).await?;
        Ok(matches!(response, Response::Txn { succeeded: true }))
    }

    /// A write, applied once.
    async fn write(&mut self, operation: Operation) -> Result<Response, ClientError> {
        operation.check()?;
        let mut effort = self.effort();
        loop {
            let (session, sequence) = self.next_sequence(&mut effort).await?;
            let command = Command::Apply { session, sequence, operation: operation.clone() }.encode()?;
            let last = match self.ask(&RequestBody::Execute { command }, &mut effort).await {
                Ok(Answer::Executed(Outcome::Applied(response))) => return Ok(response),
                Ok(Answer::Executed(Outcome::SessionExpired)) => {
                    self.session = None;
                    self.nonce = random_nonce();
                    if !effort.in_doubt {
                        continue;
                    }
                    Trouble::SessionExpired
                }
                Ok(_) => Trouble::WrongAnswer,
                Err(last) => last,
            };
            return Err(effort.failed(last));
        }
    }

    /// The session, opened if there is none, and the number for the next operation. To fail here is definite: the
    /// operation itself was not sent.
    async fn next_sequence(&mut self, effort: &mut Effort) -> Result<(u64, u64), ClientError> {
        if self.session.is_none() {
            let command = Command::OpenSession { nonce: self.nonce }.encode()?;
            let mut opening = Effort { deadline: effort.deadline, in_doubt: false };
            match self.ask(&RequestBody::Execute { command }, &mut opening).await {
                Ok(Answer::Executed(Outcome::SessionOpened { session })) => {
                    self.session = Some(Session { id: session, last_sequence: 0 });
                }
                Ok(_) => return Err(ClientError::Failed { last: Trouble::WrongAnswer }),
                Err(last) => return Err(ClientError::Failed { last }),
            }
        }
        let session = self.session.as_mut().ok_or(ClientError::Failed { last: Trouble::SessionExpired })?;
        session.last_sequence += 1;
        Ok((session.id, session.last_sequence))
    }

    fn effort(&self) -> Effort {
        Effort { deadline: after(self.options.op_timeout), in_doubt: false }
    }

    /// Asks one server after the other until one serves the request, or time is over.
    async fn ask(&mut self, body: &RequestBody, effort: &mut Effort) -> Result<Answer, Trouble> {
        self.route.start_over();
        self.counters.requests += 1;
        let mut last = Trouble::NoTime;
        while Instant::now() < effort.deadline {
            let Some(address) = self.route.next() else { return Err(Trouble::NoEndpoints) };
            self.counters.attempts += 1;
            match self.attempt(address, body, effort.deadline).await {
                Attempt::Answered(answer) => return Ok(answer),
                // Another server would refuse it as well.
                Attempt::Refused(trouble @ Trouble::Failure(Failure::Invalid { .. })) => return Err(trouble),
                Attempt::Refused(trouble) => last = trouble,
                Attempt::InDoubt(trouble) => {
                    effort.in_doubt = true;
                    last = trouble;
                }
            }
            self.counters.note(&last);
            let wake = Instant::now() + self.route.after(address, &last);
            sleep_until(wake.min(effort.deadline)).await;
        }
        Err(last)
    }

    /// Asks one server once.
    async fn attempt(&mut self, address: SocketAddr, body: &RequestBody, deadline: Instant) -> Attempt {
        let end = deadline.min(after(self.options.attempt_timeout));
        // Taken out, so that a connection whose attempt fails, or is dropped half-way, is not used again.
        let mut connection = match self.connection.take().filter(|old| old.is_for(address)) {
            Some(connection) => connection,
            None => match tokio::time::timeout_at(end, Connection::open(address)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(trouble)) => return Attempt::Refused(trouble),
                Err(_) => return Attempt::Refused(Trouble::Timeout { address }),
            },
        };
        let answer = tokio::time::timeout_at(end, connection.call(body, end)).await;
        self.counters.strays += std::mem::take(&mut connection.strays);
        match answer {
            Ok(Ok(result)) => {
                self.connection = Some(connection);
                match result {
                    Ok(answer) => Attempt::Answered(answer),
                    Err(failure) => Attempt::of(failure.into()),
                }
            }
            Ok(Err(error)) => Attempt::InDoubt(Trouble::Broken { address, error }),
            Err(_) => Attempt::InDoubt(Trouble::Timeout { address }),
        }
    }
}

impl Attempt {
    fn of(trouble: Trouble) -> Attempt {
        if trouble.leaves_doubt() { Attempt::InDoubt(trouble) } else { Attempt::Refused(trouble) }
    }
}

impl Effort {
    fn failed(&self, last: Trouble) -> ClientError {
        if self.in_doubt { ClientError::InDoubt { last } } else { ClientError::Failed { last } }
    }
}

/// So long from now; "for ever" is a year, which an `Instant` can express.
fn after(duration: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + duration.min(LONGEST)
}

/// Different from any other client's; it need not be hard to guess.
fn random_nonce() -> u128 {
    (u128::from(random_seed()) << 64) | u128::from(random_seed())
}
