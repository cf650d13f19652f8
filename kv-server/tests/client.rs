//! What the client library makes of servers that fail in every way: here they are played, line by line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use kv_server::client::{Client, ClientOptions};
use kv_server::machine::{Command, Outcome, Response as Done};
use kv_server::protocol::{
    Answer, Codec, Failure, Hello, Rejection, Request, RequestBody, Response, Welcome,
};
use raft_core::NodeId;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

/// What the played server does with one request.
#[derive(Clone)]
enum Line {
    Say(Result<Answer, Failure>),
    /// No answer ever.
    Silence,
    /// The connection ends.
    HangUp,
    /// Another request's answer, from long ago, then this one's.
    SayAfterAStrayAnswer(Result<Answer, Failure>),
}

use Line::{HangUp, Say, Silence};

fn session(id: u64) -> Line {
    Say(Ok(Answer::Executed(Outcome::SessionOpened { session: id })))
}

fn done() -> Line {
    Say(Ok(Answer::Executed(Outcome::Applied(Done::Put))))
}

fn outcome(outcome: Outcome) -> Line {
    Say(Ok(Answer::Executed(outcome)))
}

fn fail(failure: Failure) -> Line {
    Say(Err(failure))
}

/// A server that speaks these lines, whatever it is asked, one for each request; then it is silent.
struct Played {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<RequestBody>>>,
}

impl Played {
    async fn new(lines: impl IntoIterator<Item = Line>) -> Played {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut lines: Vec<_> = lines.into_iter().collect();
        lines.reverse();
        let script = Arc::new(Mutex::new(lines));
        let played = Played { address, heard: Arc::clone(&heard) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play(stream, Arc::clone(&script), Arc::clone(&heard)));
            }
        });
        played
    }

    fn commands(&self) -> Vec<Command> {
        let command = |body: &RequestBody| match body {
            RequestBody::Execute { command } => Some(Command::decode(command).unwrap()),
            _ => None,
        };
        self.heard.lock().unwrap().iter().filter_map(command).collect()
    }

    /// Session and sequence number of every write that came in.
    fn sequences(&self) -> Vec<(u64, u64)> {
        let number = |command: &Command| match command {
            Command::Apply { session, sequence, .. } => Some((*session, *sequence)),
            Command::OpenSession { .. } => None,
        };
        self.commands().iter().filter_map(number).collect()
    }

    fn client(&self) -> Client {
        client(vec![self.address])
    }
}

async fn play(stream: TcpStream, script: Arc<Mutex<Vec<Line>>>, heard: Arc<Mutex<Vec<RequestBody>>>) {
    let mut framed = Framed::new(stream, Codec::<Hello, Result<Welcome, Rejection>>::handshake());
    framed.next().await.unwrap().unwrap().check_client().unwrap();
    framed.send(&Ok(Welcome { cluster: "played".into(), id: NodeId(1) })).await.unwrap();
    let mut framed = framed.map_codec(|_| Codec::<Request, Response>::new(1 << 22));
    while let Some(Ok(request)) = framed.next().await {
        heard.lock().unwrap().push(request.body);
        let line = script.lock().unwrap().pop().unwrap_or(Silence);
        let result = match line {
            Say(result) => result,
            Silence => continue,
            HangUp => return,
            Line::SayAfterAStrayAnswer(result) => {
                let stray =
                    Response { id: request.id + 1000, result: Ok(Answer::Value(Some("stray".into()))) };
                framed.send(&stray).await.unwrap();
                result
            }
        };
        framed.send(&Response { id: request.id, result }).await.unwrap();
    }
}

fn client(endpoints: Vec<SocketAddr>) -> Client {
    Client::new(ClientOptions {
        endpoints,
        op_timeout: Duration::from_millis(600),
        attempt_timeout: Duration::from_millis(150),
    })
}

/// Nobody listens here.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_write_that_is_applied_is_done() {
    let server = Played::new([session(5), done(), done()]).await;
    let mut client = server.client();
    client.put(b"k", b"v").await.unwrap();
    client.put(b"k", b"w").await.unwrap();
    assert_eq!(server.sequences(), [(5, 1), (5, 2)]);
}

#[tokio::test]
async fn a_write_without_an_answer_is_in_doubt_and_its_number_is_not_used_again() {
    let server = Played::new([session(5), Silence, Silence, Silence, Silence, Silence]).await;
    let mut client = server.client();
    let error = client.put(b"k", b"v").await.unwrap_err();
    assert!(!error.is_definite(), "{error}");
    let sent = server.sequences();
    assert!(sent.len() > 1 && sent.iter().all(|number| *number == (5, 1)), "{sent:?}");
    let _ = client.put(b"k", b"w").await;
    assert_eq!(server.sequences().last(), Some(&(5, 2)));
}

#[tokio::test]
async fn refusals_do_not_settle_an_earlier_doubt() {
    let refusals = [Failure::Overloaded, Failure::NoLeader, Failure::Stopping].map(fail);
    for doubt in [Silence, HangUp, fail(Failure::OutcomeUnknown)] {
        let lines = [session(5), doubt].into_iter().chain(refusals.iter().cycle().take(100).cloned());
        let server = Played::new(lines).await;
        let error = server.client().put(b"k", b"v").await.unwrap_err();
        assert!(!error.is_definite(), "{error}");
    }
}

#[tokio::test]
async fn an_applied_retry_settles_the_doubt() {
    for doubt in [Silence, HangUp, fail(Failure::OutcomeUnknown)] {
        let server = Played::new([session(5), doubt, fail(Failure::Overloaded), done()]).await;
        server.client().put(b"k", b"v").await.unwrap();
        assert_eq!(server.sequences(), [(5, 1); 3]);
    }
}

#[tokio::test]
async fn refusals_alone_are_definite() {
    for failure in [Failure::Overloaded, Failure::NoLeader, Failure::Stopping] {
        let server = Played::new([session(5)].into_iter().chain(vec![fail(failure); 200])).await;
        let error = server.client().put(b"k", b"v").await.unwrap_err();
        assert!(error.is_definite(), "{error}");
    }
}

#[tokio::test]
async fn what_was_never_sent_is_definite() {
    let error = client(vec![nowhere().await]).put(b"k", b"v").await.unwrap_err();
    assert!(error.is_definite(), "{error}");
    let error = client(Vec::new()).put(b"k", b"v").await.unwrap_err();
    assert!(error.is_definite(), "{error}");
    // It accepts connections, and says nothing, as a stopped process does.
    let stopped = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = client(vec![stopped.local_addr().unwrap()]).put(b"k", b"v").await.unwrap_err();
    assert!(error.is_definite(), "{error}");
}

#[tokio::test]
async fn a_session_that_cannot_be_opened_leaves_the_write_definite_and_keeps_its_nonce() {
    let server = Played::new([Silence, fail(Failure::OutcomeUnknown)]).await;
    let mut client = server.client();
    let error = client.put(b"k", b"v").await.unwrap_err();
    assert!(error.is_definite(), "{error}");
    let opened = server.commands();
    assert!(opened.len() > 2 && opened.iter().all(|command| *command == opened[0]), "{opened:?}");
    assert!(matches!(opened[0], Command::OpenSession { .. }));
}

#[tokio::test]
async fn an_expired_session_is_replaced_where_the_write_is_not_in_doubt() {
    let server = Played::new([session(5), outcome(Outcome::SessionExpired), session(9), done()]).await;
    server.client().put(b"k", b"v").await.unwrap();
    assert_eq!(server.sequences(), [(5, 1), (9, 1)]);
    let opened: Vec<_> = server
        .commands()
        .into_iter()
        .filter(|command| matches!(command, Command::OpenSession { .. }))
        .collect();
    assert_ne!(opened[0], opened[1], "the old nonce would find the old session");
}

#[tokio::test]
async fn an_expired_session_leaves_a_write_in_doubt_in_doubt() {
    let server =
        Played::new([session(5), Silence, outcome(Outcome::SessionExpired), session(9), done()]).await;
    let mut client = server.client();
    let error = client.put(b"k", b"v").await.unwrap_err();
    assert!(!error.is_definite(), "{error}");
    client.put(b"k", b"w").await.unwrap();
    assert_eq!(server.sequences(), [(5, 1), (5, 1), (9, 1)]);
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let leader = Played::new([session(5), done()]).await;
    let redirect = Failure::NotLeader { leader: NodeId(2), address: Some(leader.address) };
    let follower = Played::new([fail(redirect)]).await;
    let mut client = client(vec![nowhere().await, follower.address]);
    client.put(b"k", b"v").await.unwrap();
    assert_eq!(leader.sequences(), [(5, 1)]);
}

#[tokio::test]
async fn a_read_is_retried_and_its_failure_is_definite() {
    let value = Say(Ok(Answer::Value(Some("v".into()))));
    let server = Played::new([Silence, HangUp, fail(Failure::NoLeader), value]).await;
    let mut client = server.client();
    assert_eq!(client.get(b"k").await.unwrap().as_deref(), Some(&b"v"[..]));
    let error = client.get(b"k").await.unwrap_err();
    assert!(error.is_definite(), "{error}");
}

#[tokio::test]
async fn no_timeout_is_too_long() {
    let server = Played::new([session(5), done()]).await;
    let (op_timeout, attempt_timeout) = (Duration::MAX, Duration::MAX);
    let mut client =
        Client::new(ClientOptions { endpoints: vec![server.address], op_timeout, attempt_timeout });
    client.put(b"k", b"v").await.unwrap();
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_taken_for_this_ones() {
    let answer = |value: &'static str| Ok(Answer::Value(Some(value.into())));
    let server = Played::new([Line::SayAfterAStrayAnswer(answer("v"))]).await;
    assert_eq!(server.client().get(b"k").await.unwrap().as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn an_operation_that_was_dropped_half_way_does_not_confuse_the_next() {
    let server = Played::new([session(5), done(), Silence, done()]).await;
    let mut client = server.client();
    client.put(b"k", b"v").await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(50), client.put(b"k", b"w")).await;
    assert!(dropped.is_err());
    client.put(b"k", b"x").await.unwrap();
    assert_eq!(server.sequences(), [(5, 1), (5, 2), (5, 3)]);
}
