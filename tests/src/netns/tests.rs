//! What the rules do to real packets. They need root and the two programs, and say so where these are missing.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::*;

/// Long enough for anything that is not held up; a first retry of TCP takes a second.
const SOON: Duration = Duration::from_secs(20);
/// How long one waits for what must not come.
const NEVER: Duration = Duration::from_millis(300);
const PORT: u16 = 9_000;
const ONE_TO_TWO: LinkId = LinkId { from: 1, to: 2 };

/// Two servers, or `None` with a notice where no namespaces can be had.
async fn two() -> Option<Namespaces> {
    if let Some(why) = Namespaces::missing().await {
        println!("skipped: {why}");
        return None;
    }
    Some(Namespaces::create(2).await.unwrap())
}

/// A program in Python, in a namespace.
fn inside(network: &Namespaces, node: NodeId, script: &str) -> Command {
    let words = network.entrance(node);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["python3", "-c", script]);
    command
}

/// A program in a namespace that prints a line for each thing it hears on its port, and one when it is ready.
struct Listener {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Listener {
    async fn start(network: &Namespaces, node: NodeId) -> Listener {
        let script = format!(
            "import socket,sys\ns=socket.socket()\ns.bind(('{}',{PORT}))\ns.listen()\nprint('ready',flush=True)\n\
             while True:\n c,_=s.accept()\n while True:\n  b=c.recv(65536)\n  if not b: break\n  print(len(b),flush=True)\n",
            network.address(node)
        );
        let mut command = inside(network, node, &script);
        command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap(), "ready");
        Listener { _child: child, lines }
    }

    async fn hears(&mut self, patience: Duration) -> Option<String> {
        timeout(patience, self.lines.next_line()).await.ok()?.unwrap()
    }
}

/// A connection out of a namespace: a program that sends what it is given, and says how that ended.
fn dial(network: &Namespaces, from: NodeId, to: NodeId) -> Child {
    let script = format!(
        "import socket,sys\ntry:\n s=socket.create_connection(('{}',{PORT}))\n print('connected',flush=True)\n \
         for l in sys.stdin: s.sendall(l.encode())\nexcept OSError as e: print(type(e).__name__,flush=True)\n",
        network.address(to)
    );
    let mut command = inside(network, from, &script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

async fn says(child: &mut Child, patience: Duration) -> Option<String> {
    let out = child.stdout.as_mut().unwrap();
    let mut line = Vec::new();
    let read = async {
        loop {
            match out.read_u8().await.unwrap_or(b'\n') {
                b'\n' => return String::from_utf8(line).unwrap(),
                byte => line.push(byte),
            }
        }
    };
    timeout(patience, read).await.ok()
}

async fn send(child: &mut Child, text: &str) {
    let input = child.stdin.as_mut().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    input.flush().await.unwrap();
}

async fn hits(network: &Namespaces) -> u64 {
    network.packets(ONE_TO_TWO).await.unwrap().hit
}

#[tokio::test]
async fn a_dropped_syn_is_lost_and_tcp_retries_after_the_heal() {
    let Some(network) = two().await else { return };
    let _listener = Listener::start(&network, 2).await;
    network.set(ONE_TO_TWO, Some(PacketFault::Drop)).await.unwrap();
    let mut dialer = dial(&network, 1, 2);
    let deadline = Instant::now() + SOON;
    while hits(&network).await == 0 {
        assert!(Instant::now() < deadline, "no packet was dropped");
    }
    assert_eq!(says(&mut dialer, NEVER).await, None, "connected through a cut");
    network.set(ONE_TO_TWO, None).await.unwrap();
    assert_eq!(says(&mut dialer, SOON).await.as_deref(), Some("connected"));
}

#[tokio::test]
async fn a_cut_is_one_way_and_what_was_dropped_is_sent_again() {
    let Some(network) = two().await else { return };
    let (mut at_two, mut at_one) = (Listener::start(&network, 2).await, Listener::start(&network, 1).await);
    let (mut forth, mut back) = (dial(&network, 1, 2), dial(&network, 2, 1));
    assert_eq!(says(&mut forth, SOON).await.as_deref(), Some("connected"));
    assert_eq!(says(&mut back, SOON).await.as_deref(), Some("connected"));
    network.set(ONE_TO_TWO, Some(PacketFault::Drop)).await.unwrap();
    let before = hits(&network).await;
    send(&mut forth, "lost\n").await;
    send(&mut back, "heard\n").await;
    assert_eq!(at_one.hears(SOON).await.as_deref(), Some("6"), "the other way is open");
    assert_eq!(at_two.hears(NEVER).await, None);
    assert!(hits(&network).await > before);
    network.set(ONE_TO_TWO, None).await.unwrap();
    assert_eq!(at_two.hears(SOON).await.as_deref(), Some("5"), "TCP sends it again");
}

#[tokio::test]
async fn a_reset_ends_the_sender_s_connection() {
    let Some(network) = two().await else { return };
    let _listener = Listener::start(&network, 2).await;
    let mut dialer = dial(&network, 1, 2);
    assert_eq!(says(&mut dialer, SOON).await.as_deref(), Some("connected"));
    network.set(ONE_TO_TWO, Some(PacketFault::Reset)).await.unwrap();
    send(&mut dialer, "first\n").await;
    let deadline = Instant::now() + SOON;
    while hits(&network).await == 0 {
        assert!(Instant::now() < deadline, "no packet was answered with a reset");
    }
    send(&mut dialer, "second\n").await;
    let how = says(&mut dialer, SOON).await.unwrap();
    assert!(["ConnectionResetError", "BrokenPipeError"].contains(&how.as_str()), "{how}");
}

#[tokio::test]
async fn loss_and_limits_hit_some_packets_and_not_all() {
    let Some(network) = two().await else { return };
    let mut listener = Listener::start(&network, 2).await;
    let mut dialer = dial(&network, 1, 2);
    assert_eq!(says(&mut dialer, SOON).await.as_deref(), Some("connected"));
    let chunk = format!("{}\n", "x".repeat(500_000));
    for fault in [PacketFault::Lose { per_mille: 300 }, PacketFault::Limit { kib_per_second: 200 }] {
        let before = network.packets(ONE_TO_TWO).await.unwrap();
        network.set(ONE_TO_TWO, Some(fault)).await.unwrap();
        send(&mut dialer, &chunk).await;
        let mut heard = 0;
        while heard < chunk.len() {
            heard += listener.hears(SOON).await.expect("TCP gets through").parse::<usize>().unwrap();
        }
        let now = network.packets(ONE_TO_TWO).await.unwrap().since(&before);
        assert!(now.hit > 0 && now.hit < now.all, "{fault:?}: {now:?}");
        network.set(ONE_TO_TWO, None).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_left_behind_and_what_a_dead_harness_left_is_removed() {
    let Some(network) = two().await else { return };
    let (bridge, name) = (network.claim.bridge(), network.name(2));
    let is_there = || {
        std::path::Path::new("/run/netns").join(&name).exists()
            || std::path::Path::new("/sys/class/net").join(&bridge).exists()
    };
    assert!(is_there());
    drop(network);
    assert!(!is_there());
    // A number of a network whose harness was killed: it is there, and nobody holds it.
    command::run(Tool::Ip, &["netns", "add", &name], "").await.unwrap();
    command::run(Tool::Ip, &["link", "add", &bridge, "type", "bridge"], "").await.unwrap();
    let deadline = Instant::now() + SOON;
    loop {
        // Other tests claim numbers too: whoever gets this one cleans up.
        let network = Namespaces::create(1).await.unwrap();
        drop(network);
        if !is_there() {
            return;
        }
        assert!(Instant::now() < deadline, "{name} or {bridge} is still there");
    }
}

#[tokio::test]
async fn links_that_do_not_exist_are_refused() {
    let Some(network) = two().await else { return };
    for (from, to) in [(1, 1), (0, 1), (1, 3), (3, 1), (u64::MAX, 1)] {
        let link = LinkId { from, to };
        assert!(network.set(link, None).await.unwrap_err().to_string().contains("no link"), "{link}");
        assert!(network.packets(link).await.is_err());
    }
    assert!(Namespaces::create(0).await.is_err() && Namespaces::create(251).await.is_err());
    assert_eq!(network.address(2).octets()[3], 2);
}
