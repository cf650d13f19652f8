use super::*;

fn sleeper(folder: &tempfile::TempDir) -> ServerProcess {
    let args = vec!["-c".into(), "echo hello; exec sleep 600".into()];
    ServerProcess::new(1, "/bin/sh".into(), args, folder.path().join("server.log"))
}

#[tokio::test]
async fn a_process_is_started_stopped_continued_and_killed_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = sleeper(&folder);
    assert!(!server.kill().await.unwrap() && !server.pause().await.unwrap());
    assert!(server.start().unwrap() && !server.start().unwrap());
    assert!(server.pause().await.unwrap());
    assert!(server.resume().unwrap() && !server.resume().unwrap());
    assert!(server.pause().await.unwrap());
    assert!(server.kill().await.unwrap() && !server.kill().await.unwrap());
    assert!(!server.resume().unwrap());
    assert_eq!(server.fallen().unwrap(), None, "killed is not fallen");
    assert!(server.start().unwrap());
    assert_eq!(server.starts(), 2);
}

#[tokio::test]
async fn a_process_that_ends_by_itself_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let args = vec!["-c".into(), "exit 7".into()];
    let mut server = ServerProcess::new(1, "/bin/sh".into(), args, folder.path().join("server.log"));
    server.start().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while server.fallen().unwrap().is_none() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(server.fallen().unwrap().unwrap().contains('7'));
    assert!(!server.kill().await.unwrap());
}

#[tokio::test]
async fn dropping_kills_also_a_stopped_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = sleeper(&folder);
    server.start().unwrap();
    let pid = server.pid().unwrap();
    server.pause().await.unwrap();
    drop(server);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let gone = || kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_err();
    while !gone() {
        assert!(std::time::Instant::now() < deadline, "process {pid} is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_server_asked_to_stop_is_told_apart_by_how_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("server.log");
    for (script, expected) in [
        ("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", Exit::Clean),
        (
            "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done",
            Exit::Failed("exit status: 3".into()),
        ),
        ("trap '' TERM; echo ready; while :; do sleep 0.01; done", Exit::Killed),
    ] {
        std::fs::write(&log, "").unwrap();
        let mut server =
            ServerProcess::new(1, "/bin/sh".into(), vec!["-c".into(), script.into()], log.clone());
        server.start().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !std::fs::read_to_string(&log).unwrap().contains("ready") {
            assert!(std::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let patience = Duration::from_millis(if expected == Exit::Killed { 100 } else { 10_000 });
        assert_eq!(server.stop(patience).await.unwrap(), expected, "{script}");
    }
}
