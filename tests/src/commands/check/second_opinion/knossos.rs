//! Knossos itself, on the JVM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use checker::{History, Model, Value};

use super::export::Asked;
use crate::commands::subprocess::{finish, tail};

/// The release that is asked for where one is fetched.
const VERSION: &str = "0.3.15";
/// Our side of the conversation.
const SCRIPT: &str = include_str!("knossos.clj");
/// What a JVM, and a first download, may take beyond the time for the histories.
const START: Duration = Duration::from_secs(120);
/// The most keys: each is a file and an analysis.
const MOST_KEYS: usize = 10_000;

const ABSENT: &str = "no Knossos here. Set KNOSSOS_CLASSPATH to a class path with Knossos (its `src` folder or its jar), \
                      Clojure and its dependencies; or install Clojure's command line tools (`clojure`, from clojure.org) or \
                      Leiningen (`lein`, from leiningen.org), which fetch it";

/// Knossos' verdict on all keys together, and its words.
pub(super) fn judge(
    path: &Path,
    history: &History,
    model: &Model,
    limit: Duration,
) -> Result<(Option<bool>, String), String> {
    let asked = Asked::new(model, history)?;
    let folder = Folder::new()?;
    let (keys, files) = questions(&asked, path, history, &folder)?;
    let script =
        folder.write("second_opinion.clj", |out| std::io::Write::write_all(out, SCRIPT.as_bytes()))?;
    let mut command = start(&folder, &script)?;
    command.arg(asked.model).arg(asked.initial.to_string()).arg(limit.as_millis().to_string()).args(&files);
    let all = limit.saturating_mul(u32::try_from(files.len()).unwrap_or(u32::MAX)).saturating_add(START);
    let finished = finish(command, all).map_err(|error| format!("cannot run Knossos: {error}\n{ABSENT}"))?;
    let Some(finished) = finished else { return Ok((None, format!("no answer in {all:?}"))) };
    let answers: Vec<&str> =
        finished.stdout.lines().filter_map(|line| line.strip_prefix("second-opinion ")).collect();
    if answers.len() != files.len() {
        return Err(format!(
            "Knossos answered about {} of {} histories and ended with {:?}\n{}\n{ABSENT}",
            answers.len(),
            files.len(),
            finished.code,
            tail(&finished.stderr)
        ));
    }
    summary(&keys, &answers)
}

/// All are valid, or one is not, or nobody knows.
fn summary(keys: &[Option<Value>], answers: &[&str]) -> Result<(Option<bool>, String), String> {
    let mut valid = Some(true);
    let mut words = String::new();
    for (key, answer) in keys.iter().zip(answers) {
        let map = Value::from_edn(answer).map_err(|error| format!("Knossos' answer is not EDN: {error}"))?;
        let get = |name: &str| match &map {
            Value::Map(entries) => {
                entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
            }
            _ => None,
        };
        let said = match get("valid?") {
            Some(Value::Bool(said)) => Some(*said),
            Some(_) => None,
            None => return Err(format!("Knossos' answer has no :valid?: {answer}")),
        };
        match said {
            Some(true) => continue,
            Some(false) => valid = Some(false),
            None if valid == Some(true) => valid = None,
            None => {}
        }
        if words.is_empty() || said == Some(false) {
            let key = key.as_ref().map_or(String::new(), |key| format!("key {key}: "));
            words = format!("{key}{answer}");
        }
        if said == Some(false) {
            break;
        }
    }
    Ok((valid, words))
}

/// A history for each key.
fn questions(
    asked: &Asked,
    path: &Path,
    history: &History,
    folder: &Folder,
) -> Result<(Vec<Option<Value>>, Vec<PathBuf>), String> {
    if asked.reads_the_file(history) {
        let whole =
            path.canonicalize().map_err(|error| format!("cannot find {}: {error}", path.display()))?;
        return Ok((vec![None], vec![whole]));
    }
    let mut keys: Vec<Option<Value>> = history.operations.iter().map(|op| op.key).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() > MOST_KEYS {
        return Err(format!("Knossos is asked about at most {MOST_KEYS} keys, and there are {}", keys.len()));
    }
    let write = |(at, key): (usize, &Option<Value>)| {
        folder.write(&format!("history-{at}.edn"), |out| asked.write(history, key.as_ref(), out))
    };
    let files = keys.iter().enumerate().map(write).collect::<Result<_, _>>()?;
    Ok((keys, files))
}

/// The command up to the script, in the first of three ways that is there.
fn start(folder: &Folder, script: &Path) -> Result<Command, String> {
    if let Some(classpath) = std::env::var_os("KNOSSOS_CLASSPATH").filter(|path| !path.is_empty()) {
        let mut java = Command::new("java");
        java.arg("-cp").arg(classpath).arg("clojure.main").arg(script);
        return Ok(java);
    }
    // Clojure's own command line tools can fetch; the `clojure` of some systems is a bare JVM launcher and cannot.
    let tools = Command::new("clojure").arg("-Sdescribe").output();
    if tools.is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"{")) {
        let mut clojure = Command::new("clojure");
        clojure.arg("-Sdeps").arg(format!("{{:deps {{knossos/knossos {{:mvn/version \"{VERSION}\"}}}}}}"));
        clojure.arg("-M").arg(script);
        return Ok(clojure);
    }
    if Command::new("lein").arg("version").output().is_ok_and(|output| output.status.success()) {
        let project = format!(
            "(defproject second-opinion \"0\" :dependencies [[org.clojure/clojure \"1.12.4\"] [knossos \"{VERSION}\"]])\n"
        );
        folder.write("project.clj", |out| std::io::Write::write_all(out, project.as_bytes()))?;
        let mut lein = Command::new("lein");
        lein.current_dir(&folder.0).args(["run", "-m", "clojure.main"]).arg(script);
        return Ok(lein);
    }
    Err(ABSENT.to_owned())
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let stamp =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_nanos());
        let path = std::env::temp_dir().join(format!("plumbline-{}-{stamp}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut std::io::BufWriter<fs::File>) -> std::io::Result<()>,
    ) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        let written = fs::File::create(&path).map(std::io::BufWriter::new).and_then(|mut out| {
            write(&mut out)?;
            std::io::Write::flush(&mut out)
        });
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the folder for what may go.
        let _ = fs::remove_dir_all(&self.0);
    }
}
