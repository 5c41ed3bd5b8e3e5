//! The `percept` binary: argument parsing, wiring, progress, exit codes.
//!
//! Exit code 0: done. 1: the command ran and found problems (`data check`, `grade --strict`) or failed. 2: the
//! command line is wrong. 130: stopped by Ctrl-C after writing a checkpoint.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod analyze_direction;
mod analyze_tokens;
mod answerer;
mod args;
mod attention_arg;
mod bench;
mod benchmark;
mod calls;
mod check;
mod compare;
mod config;
mod direction_page;
mod eval;
mod expert;
mod failure;
mod generate;
mod grade;
mod halbench;
mod merge;
mod open;
mod output;
mod progress;
mod questions;
mod quickstart;
mod reward_arg;
mod sampling;
mod score;
mod shared_args;
mod table;
mod train;
mod view;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Analyze, Cli, Command, Data};
use failure::Failure;
use shared_args::{Color, Global};

/// A training step makes and drops hundreds of large arrays; this keeps their memory mapped.
#[global_allocator]
static MEMORY: percept_nn::Recycler = percept_nn::Recycler::new(1 << 30);

/// What a command that did not fail has to say.
enum Done {
    /// All is well.
    Well,
    /// It ran to its end and found problems.
    Problems,
    /// Stopped by Ctrl-C.
    Stopped,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Problems) => ExitCode::from(1),
        Ok(Done::Stopped) => ExitCode::from(130),
        Err(failure) => {
            failure.print(colour(&cli.global, std::io::stderr().is_terminal()));
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(cli: &Cli) -> Result<Done, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Quickstart(args) => quickstart::run(args, global),
        Command::Train(args) => train::run(args, global),
        Command::Config(args) => config::run(args),
        Command::Data(Data::Check(args)) => check::run(args, global),
        Command::Data(Data::Export(args)) => check::export(args),
        Command::Data(Data::Expert(args)) => expert::run(args, global),
        Command::Generate(args) => generate::run(args, global),
        Command::Grade(args) => grade::run(args, global),
        Command::Score(args) => score::run(args),
        Command::Eval(args) => eval::run(args, global),
        Command::Halbench(command) => halbench::run(command, global),
        Command::Compare(args) => compare::run(args, global),
        Command::Analyze(Analyze::Direction(args)) => analyze_direction::run(args, global),
        Command::Analyze(Analyze::Tokens(args)) => analyze_tokens::run(args),
        Command::Bench(args) => bench::run(args, global),
        Command::View(args) => view::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "percept", &mut script);
            output::result(format_args!("{}", String::from_utf8_lossy(&script)))?;
            Ok(Done::Well)
        }
    }
}

/// Whether to colour a stream that is or is not a terminal.
fn colour(global: &Global, terminal: bool) -> bool {
    match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}
