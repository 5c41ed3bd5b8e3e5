//! Arguments of `percept bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::suite::Suite;

/// Benchmark this machine: operators, training steps, sampling; next to PyTorch where it is installed.
#[derive(Debug, Args)]
pub struct Bench {
    /// Suites to run (default: all).
    #[arg(long, value_enum, value_delimiter = ',')]
    pub suite: Vec<Suite>,
    /// Device of operators and training steps; CPU-only suites are skipped on other devices.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Repetitions of each measurement; the fastest counts.
    #[arg(long, default_value_t = 5)]
    pub repeat: usize,
    /// Python interpreter with torch and transformers, for the comparison.
    #[arg(long, default_value = "python3")]
    pub python: String,
    /// Do not compare with PyTorch.
    #[arg(long)]
    pub no_peer: bool,
    /// Write the numbers as JSON.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Run one suite in this process and print its rows as JSON.
    #[arg(long, hide = true)]
    pub child: Option<Suite>,
    /// Where such a suite leaves what its peer needs.
    #[arg(long, hide = true)]
    pub folder: Option<PathBuf>,
    /// Results of an earlier run (a file written by --output) to show next to these.
    #[arg(long)]
    pub baseline: Option<PathBuf>,
}

impl Bench {
    /// The suites to run, in their order.
    pub fn suites(&self) -> Vec<Suite> {
        let all = Suite::value_variants().iter().copied();
        let wanted = |suite: &Suite| match self.suite.is_empty() {
            true => self.device == "cpu" || suite.uses_device(),
            false => self.suite.contains(suite),
        };
        all.filter(wanted).collect()
    }
}
