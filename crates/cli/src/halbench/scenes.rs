//! `percept halbench scenes`

use percept_eval::causal::write_scenes;

use super::args::HalbenchScenes;
use crate::output::say;
use crate::{Done, Failure};

pub fn run(args: &HalbenchScenes) -> Result<Done, Failure> {
    if args.pairs == 0 {
        return Err(Failure::new("--pairs is 0; expected 1 or more"));
    }
    if !(args.contrast > 0.0 && args.contrast <= 1.0) {
        return Err(Failure::new(format!(
            "--contrast {}: expected more than 0, at most 1",
            args.contrast
        )));
    }
    if args.out.join("qa.json").exists() {
        return Err(Failure::new(format!(
            "{} holds a data set; choose another folder",
            args.out.display()
        )));
    }
    write_scenes(&args.out, args.pairs, args.seed, args.contrast)?;
    say!("{}", args.out.join("qa.json").display());
    Ok(Done::Well)
}
