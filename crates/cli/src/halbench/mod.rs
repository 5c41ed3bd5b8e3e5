//! `percept halbench …`: building counterfactual benchmarks, and what answers follow.

mod args;
mod build;
mod scenes;
mod scm;

pub use args::{Halbench, HalbenchBuild};

use crate::shared_args::Global;
use crate::{Done, Failure};

pub fn run(command: &Halbench, global: &Global) -> Result<Done, Failure> {
    match command {
        Halbench::Build(args) => build::run(args, global),
        Halbench::Scenes(args) => scenes::run(args),
        Halbench::Scm(args) => scm::run(args, global),
    }
}
