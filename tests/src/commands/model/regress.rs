//! `plumbline model regress`: a saved counterexample as a test of the core.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct RegressArgs {
    /// A file that `check` or `mutants` saved.
    file: PathBuf,
    /// Where to write the test, usually raft-core/tests/suite/replayed/NAME.rs (and `mod NAME;` in the mod.rs beside it);
    /// otherwise it is printed.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &RegressArgs) -> anyhow::Result<ExitCode> {
    let story = super::read(&args.file)?;
    let source = story.regression().with_context(|| args.file.display().to_string())?;
    match &args.out {
        Some(path) => {
            std::fs::write(path, &source).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{}: run it with cargo test -p raft-core --test suite replayed", name(path));
        }
        None => super::say(source.trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
