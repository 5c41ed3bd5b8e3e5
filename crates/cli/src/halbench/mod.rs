//! `percept halbench …`: building counterfactual benchmarks.

mod args;
mod build;

pub use args::{Halbench, HalbenchBuild};

use crate::args::Global;
use crate::{Done, Failure};

pub fn run(command: &Halbench, global: &Global) -> Result<Done, Failure> {
    match command {
        Halbench::Build(args) => build::run(args, global),
    }
}
