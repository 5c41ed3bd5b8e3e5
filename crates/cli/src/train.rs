//! `percept train`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_train::{Outcome, Recipe, Start};

use crate::args::Train;
use crate::output::{note, say};
use crate::progress::{Mode, Progress};
use crate::shared_args::Global;
use crate::{Done, Failure, table};

pub fn run(args: &Train, global: &Global) -> Result<Done, Failure> {
    let mut set: Vec<String> = device_setting(args.device.as_deref()).collect();
    set.extend(args.set.iter().cloned());
    set.extend(strict_setting(args.strict));
    let recipe = percept_train::load(&args.recipe, &set)?;
    execute(&recipe, args.resume, args.overwrite, global)
}

/// `--device` as a setting of the recipe.
pub fn device_setting(device: Option<&str>) -> impl Iterator<Item = String> {
    device
        .map(|name| format!("trainer.device={name}"))
        .into_iter()
}

/// `--strict` as a setting of the recipe.
pub fn strict_setting(strict: bool) -> Option<String> {
    strict.then(|| "trainer.strict=true".to_owned())
}

/// Runs a recipe with progress and the closing table.
pub fn execute(
    recipe: &Recipe,
    resume: bool,
    overwrite: bool,
    global: &Global,
) -> Result<Done, Failure> {
    let mode = match (global.quiet, global.json) {
        (_, true) => Mode::Json,
        (true, false) => Mode::Quiet,
        (false, false) => Mode::Human,
    };
    let stop = stop_on_ctrl_c()?;
    let mut progress = Progress::new(mode);
    let start = match (resume, overwrite) {
        (true, _) => Start::Resume,
        (false, true) => Start::Overwrite,
        (false, false) => Start::New,
    };
    let outcome = percept_train::run(recipe, start, &mut progress, &stop);
    progress.finish();
    let outcome = outcome?;
    close(&outcome, mode)?;
    Ok(if outcome.finished {
        Done::Well
    } else {
        Done::Stopped
    })
}

/// The first Ctrl-C asks for a checkpoint and an orderly end, the second one kills.
pub fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        note!("\nstopping after this step; a checkpoint will be written (Ctrl-C again: stop now)");
    })?;
    Ok(stop)
}

fn close(outcome: &Outcome, mode: Mode) -> Result<(), Failure> {
    match mode {
        Mode::Json => {
            let line = serde_json::json!({
                "event": "finished",
                "finished": outcome.finished,
                "run": outcome.dir,
                "checkpoint": outcome.checkpoint,
                "report": outcome.report,
                "seconds": outcome.seconds,
                "evaluations": outcome.evaluations,
                "changes": outcome.changes,
            });
            say!("{line}");
        }
        Mode::Quiet | Mode::Human => {
            crate::output::result(format_args!("{}", table::evaluations(&outcome.evaluations)))?;
            crate::output::result(format_args!("{}", table::changes(&outcome.changes)))?;
            if let Some(checkpoint) = &outcome.checkpoint {
                say!("checkpoint  {}", checkpoint.display());
            }
            say!("report      {}", outcome.report.display());
            if !outcome.finished {
                say!("stopped before the end; go on with --resume");
            }
        }
    }
    Ok(())
}
