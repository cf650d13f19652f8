//! Any system at all: its servers by a command, its clients by a program that speaks JSON lines.
//!
//! # Servers
//!
//! A command for a shell, in which `{id}` is the server's number, `{data}` its folder, `{client}` and `{peer}` the addresses at
//! which it is to listen, `{peers}` where it reaches the others: `2=127.0.0.1:4002,3=127.0.0.1:4003`. It must stay in the
//! foreground, and end on SIGTERM.
//!
//! # Clients
//!
//! A command for a shell. One process of it is one client: it reads requests from its standard input, one JSON object on a line,
//! and answers each in one line on its standard output, in order. Its environment has `PLUMBLINE_ENDPOINTS` (where the
//! servers listen for clients, with commas) and `PLUMBLINE_TURN` (the client's number). It ends when its input does.
//!
//! | request | answer |
//! |---|---|
//! | `{"id":1,"op":"get","key":"k"}` | `{"id":1,"value":"v"}`, or `null` |
//! | `{"id":2,"op":"put","key":"k","value":"v"}` | `{"id":2}` |
//! | `{"id":3,"op":"cas","key":"k","expected":"v","new":"w"}` (`null`: absent) | `{"id":3,"done":true}` |
//! | `{"id":4,"op":"txn","expected":[["k","v"]],"puts":[["k","w"]]}` | `{"id":4,"done":true}` |
//! | `{"id":5,"op":"get-all","keys":["k","l"]}` | `{"id":5,"values":["v",null]}` |
//! | `{"id":6,"op":"status","endpoint":"127.0.0.1:4001"}` | `{"id":6,"term":3,"leads":true}` |
//!
//! What did not succeed is `{"id":2,"error":"…","certain":true}`: `certain` says that it was not done and never will be. To leave
//! that out, to say nothing in time, or to end, leaves it open. No two servers may ever claim to lead in one term.
//! `cas`, `txn` and `get-all` are asked for only if the program was said to know them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{Capability, Client, ClientSettings, Done, Failed, Seat, ServerStatus, System, Txn};
use crate::schedule::NodeId;

/// The longest answer that is taken.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// How long a program has to start and to say for the first time how its server is: an interpreter takes longer than an answer.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// A system that is made up of commands.
#[derive(Clone, Debug)]
pub struct Exec {
    /// The command of a server.
    pub server: String,
    /// The command of a client.
    pub client: String,
    /// What they can do.
    pub capabilities: Vec<Capability>,
    lookouts: Arc<Mutex<BTreeMap<NodeId, Program>>>,
}

impl Exec {
    /// A system of these commands.
    #[must_use]
    pub fn new(server: String, client: String, capabilities: Vec<Capability>) -> Exec {
        Exec { server, client, capabilities, lookouts: Arc::default() }
    }
}

impl System for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    fn launch(&self, seat: &Seat) -> anyhow::Result<Vec<OsString>> {
        let peers: Vec<String> = seat.peers.iter().map(|(id, address)| format!("{id}={address}")).collect();
        let command = self
            .server
            .replace("{id}", &seat.id.to_string())
            .replace("{data}", &quoted(&seat.data.to_string_lossy()))
            .replace("{client}", &seat.client_listen.to_string())
            .replace("{peer}", &seat.peer_listen.to_string())
            .replace("{peers}", &peers.join(","));
        // The server takes the shell's place, so that it is the server that is killed and stopped.
        Ok(vec!["-c".into(), format!("exec {command}").into()])
    }

    fn ends_by_signal(&self) -> bool {
        true
    }

    fn status(
        &self,
        id: NodeId,
        endpoint: SocketAddr,
        patience: Duration,
    ) -> BoxFuture<'_, Option<ServerStatus>> {
        Box::pin(async move {
            let known = self.lookouts.lock().await.remove(&id);
            let mut program = match known {
                Some(program) => program,
                None => Program::start(&self.client, &[endpoint], id).ok()?,
            };
            let request = json!({"op": "status", "endpoint": endpoint.to_string()});
            let patience = if program.number == 0 { patience.max(FIRST_ANSWER) } else { patience };
            let told = program.ask(request, Instant::now() + patience).await;
            if !program.is_silent {
                self.lookouts.lock().await.insert(id, program);
            }
            let told = told.ok()?;
            let leads = told.get("leads")?.as_bool()?;
            Some(ServerStatus { term: told.get("term")?.as_u64()?, leads, snapshot: 0 })
        })
    }

    fn client(&self, settings: &ClientSettings) -> Box<dyn Client> {
        Box::new(ExecClient { command: self.client.clone(), settings: settings.clone(), program: None })
    }
}

/// A word of a shell that means just this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One process that answers requests.
#[derive(Debug)]
struct Program {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    number: u64,
    /// It did not answer, or is gone: what it says from now on is not about what it is asked.
    is_silent: bool,
}

impl Program {
    fn start(command: &str, endpoints: &[SocketAddr], turn: u64) -> Result<Program, Failed> {
        let failed = |what: &str| Failed::certainly(format!("the client's program {what}: {command}"));
        let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("exec {command}")]).process_group(0).kill_on_drop(true);
        shell.env("PLUMBLINE_ENDPOINTS", endpoints.join(",")).env("PLUMBLINE_TURN", turn.to_string());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn().map_err(|error| failed(&format!("cannot be started ({error})")))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(failed("has no input or output"));
        };
        Ok(Program { _child: child, input, output: BufReader::new(output), number: 0, is_silent: false })
    }

    /// Asks for something. Nothing is certain that the program does not say is.
    async fn ask(&mut self, mut request: Json, deadline: Instant) -> Result<Json, Failed> {
        self.number += 1;
        if let Some(fields) = request.as_object_mut() {
            fields.insert("id".to_owned(), self.number.into());
        }
        // Until it has answered.
        self.is_silent = true;
        let mut line = request.to_string();
        line.push('\n');
        let mut answer = Vec::new();
        let conversation = async {
            self.input.write_all(line.as_bytes()).await?;
            (&mut self.output).take(MAX_LINE_BYTES).read_until(b'\n', &mut answer).await
        };
        match timeout_at(deadline, conversation).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(_)) => return Err(Failed::perhaps("the client's program ended")),
            Ok(Err(error)) => return Err(Failed::perhaps(format!("the client's program is gone: {error}"))),
            Err(_) => return Err(Failed::perhaps("the client's program did not answer in time")),
        }
        let told: Json = serde_json::from_slice(&answer).map_err(|error| {
            Failed::perhaps(format!("the client's program wrote a line that is no JSON: {error}"))
        })?;
        if told.get("id").and_then(Json::as_u64) != Some(self.number) {
            return Err(Failed::perhaps("the client's program answered something else than what was asked"));
        }
        self.is_silent = false;
        match told.get("error") {
            None => Ok(told),
            Some(error) => {
                let certain = told.get("certain").and_then(Json::as_bool).unwrap_or(false);
                let why = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
                Err(Failed { certain, why })
            }
        }
    }
}

struct ExecClient {
    command: String,
    settings: ClientSettings,
    program: Option<Program>,
}

impl ExecClient {
    async fn ask(&mut self, request: Json) -> Result<Json, Failed> {
        let deadline = Instant::now() + self.settings.op_timeout;
        let mut program = match self.program.take() {
            Some(program) => program,
            None => Program::start(&self.command, &self.settings.endpoints, self.settings.turn)?,
        };
        let told = program.ask(request, deadline).await;
        if !program.is_silent {
            self.program = Some(program);
        }
        told
    }

    async fn read(&mut self, request: Json) -> Result<Json, Failed> {
        self.ask(request).await.map_err(|failed| Failed { certain: true, ..failed })
    }

    async fn decide(&mut self, request: Json) -> Result<bool, Failed> {
        let told = self.ask(request).await?;
        let done = told.get("done").and_then(Json::as_bool);
        done.ok_or_else(|| Failed::perhaps(format!("no `done` in the answer: {told}")))
    }
}

/// A value in an answer: text, or null.
fn text(value: Option<&Json>) -> Result<Option<String>, Failed> {
    match value {
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(Json::Null) => Ok(None),
        other => Err(Failed::certainly(format!("neither text nor null in the answer: {other:?}"))),
    }
}

impl Client for ExecClient {
    fn get<'a>(&'a mut self, key: &'a str) -> Done<'a, Option<String>> {
        Box::pin(async move { text(self.read(json!({"op": "get", "key": key})).await?.get("value")) })
    }

    fn put<'a>(&'a mut self, key: &'a str, value: &'a str) -> Done<'a, ()> {
        let request = json!({"op": "put", "key": key, "value": value});
        Box::pin(async move { self.ask(request).await.map(drop) })
    }

    fn cas<'a>(&'a mut self, key: &'a str, expected: Option<&'a str>, new: &'a str) -> Done<'a, bool> {
        let request = json!({"op": "cas", "key": key, "expected": expected, "new": new});
        Box::pin(self.decide(request))
    }

    fn txn<'a>(&'a mut self, txn: &'a Txn) -> Done<'a, bool> {
        let request = json!({"op": "txn", "expected": txn.expected, "puts": txn.puts});
        Box::pin(self.decide(request))
    }

    fn get_all<'a>(&'a mut self, keys: &'a [String]) -> Done<'a, Vec<Option<String>>> {
        Box::pin(async move {
            let told = self.read(json!({"op": "get-all", "keys": keys})).await?;
            let values = told.get("values").and_then(Json::as_array);
            let values = values.filter(|values| values.len() == keys.len());
            let values =
                values.ok_or_else(|| Failed::certainly("the answer has not as many values as keys"))?;
            values.iter().map(|value| text(Some(value))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(script: &str) -> Box<dyn Client> {
        let command = format!("sh -c {}", quoted(script));
        let exec = Exec::new(String::new(), command, Vec::new());
        let endpoints = vec![SocketAddr::from(([127, 0, 0, 1], 7))];
        exec.client(&ClientSettings { endpoints, turn: 3, op_timeout: Duration::from_secs(10) })
    }

    #[tokio::test]
    async fn a_program_is_asked_in_lines_and_believed_in_what_it_is_certain_of() {
        let script = r#"
            read get; echo "{\"id\":1,\"value\":\"$PLUMBLINE_TURN at $PLUMBLINE_ENDPOINTS\"}"
            read put; echo '{"id":2,"error":"full","certain":true}'
            read put; echo '{"id":3,"error":"slow"}'
            read cas; echo '{"id":4,"done":false}'
            read all; echo '{"id":5,"values":["a",null]}'
            read put; echo '{"id":5}'"#;
        let mut client = client(script);
        assert_eq!(client.get("k").await, Ok(Some("3 at 127.0.0.1:7".to_owned())));
        assert_eq!(client.put("k", "v").await, Err(Failed::certainly("full")));
        assert_eq!(client.put("k", "v").await, Err(Failed::perhaps("slow")));
        assert_eq!(client.cas("k", None, "v").await, Ok(false));
        let keys = ["a".to_owned(), "b".to_owned()];
        assert_eq!(client.get_all(&keys).await, Ok(vec![Some("a".to_owned()), None]));
        let stray = client.put("k", "v").await.unwrap_err();
        assert!(!stray.certain && stray.why.contains("something else"), "{stray:?}");
        // It is not asked again, but another one is: from the start.
        assert!(client.get("k").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_program_that_ends_or_babbles_leaves_a_write_open_and_a_read_failed() {
        for script in ["read it; exit", "read it; echo nonsense"] {
            let error = client(script).put("k", "v").await.unwrap_err();
            assert!(!error.certain, "{script}: {error:?}");
            let error = client(script).get("k").await.unwrap_err();
            assert!(error.certain, "{script}: {error:?}");
        }
    }

    /// Once every program that took longer to start than an answer may take was given up, again and again.
    #[tokio::test]
    async fn a_program_has_time_to_start_before_it_says_how_its_server_is() {
        let script = r#"read it; echo '{"id":1,"term":3,"leads":true}'; read it"#;
        let exec = Exec::new(String::new(), format!("sh -c {}", quoted(script)), Vec::new());
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 7));
        let status = exec.status(1, endpoint, Duration::ZERO).await;
        assert_eq!(status, Some(ServerStatus { term: 3, leads: true, snapshot: 0 }));
        assert_eq!(exec.status(1, endpoint, Duration::ZERO).await, None, "it is there by now");
    }

    #[test]
    fn a_server_s_command_has_what_it_needs() {
        let seat = Seat {
            id: 2,
            data: "/tmp/it's".into(),
            peer_listen: SocketAddr::from(([127, 0, 0, 1], 10)),
            client_listen: SocketAddr::from(([127, 0, 0, 1], 11)),
            peers: vec![(1, SocketAddr::from(([127, 0, 0, 1], 12)))],
            trace: None,
        };
        let command = "run {id} {data} {client} {peer} {peers}";
        let exec = Exec::new(command.to_owned(), String::new(), Vec::new());
        let args = exec.launch(&seat).unwrap();
        assert_eq!(args[1], r"exec run 2 '/tmp/it'\''s' 127.0.0.1:11 127.0.0.1:10 1=127.0.0.1:12");
    }
}
