//! The `percept` binary: argument parsing, wiring, progress, exit codes.
//!
//! Exit code 0: done. 1: the command ran and found problems (`data check`, `grade --strict`) or failed. 2: the
//! command line is wrong. 130: stopped by Ctrl-C after writing a checkpoint.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod commands;
mod shared;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use commands::Command;
use shared::{Done, Failure, Global, output};

/// A training step makes and drops hundreds of large arrays; this keeps their memory mapped.
#[global_allocator]
static MEMORY: percept_kernels::Recycler = percept_kernels::Recycler::new(1 << 30);

/// Train vision-language models to reason from what they see, and measure them.
#[derive(Debug, Parser)]
#[command(
    name = "percept",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  percept quickstart                                  train a small model on digit-sum, end to end
  percept train recipe.toml --set rl.optim.lr=2e-6    train your model on your data
  percept train recipe.toml --resume                  go on where a killed run stopped
  percept eval --model DIR --data test.jsonl --reward math
  percept view runs/quickstart                        look at curves and rollouts")]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
    /// Options of every command.
    #[command(flatten)]
    global: Global,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Verb {
    /// A command.
    #[command(flatten)]
    Command(Command),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = &cli.global;
    let done = match &cli.verb {
        Verb::Command(command) => commands::run(command, global),
        Verb::Completions { shell } => completions(*shell),
    };
    match done {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Problems) => ExitCode::from(1),
        Ok(Done::Stopped) => ExitCode::from(130),
        Err(failure) => {
            output::failure(&failure, global.colours(std::io::stderr().is_terminal()));
            ExitCode::from(failure.code())
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<Done, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "percept", &mut script);
    output::result(format_args!("{}", String::from_utf8_lossy(&script)))?;
    Ok(Done::Well)
}
