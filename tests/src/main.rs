//! The umbrella command line: `plumbline run`, `check`, `model`, `bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    plumbline::commands::main()
}
