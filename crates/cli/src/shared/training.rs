//! Running a recipe: progress, Ctrl-C, the closing table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_train::{Outcome, Recipe, Start};

use super::output::{note, say};
use super::progress::{Mode, Progress};
use super::{Done, Failure, Global, table};

/// Runs a recipe with progress and the closing table.
pub fn execute(recipe: &Recipe, start: Start, global: &Global) -> Result<Done, Failure> {
    let mode = match (global.quiet, global.json) {
        (_, true) => Mode::Json,
        (true, false) => Mode::Quiet,
        (false, false) => Mode::Human,
    };
    let stop = stop_on_ctrl_c()?;
    let mut progress = Progress::new(mode);
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
            crate::shared::output::result(format_args!(
                "{}",
                table::evaluations(&outcome.evaluations)
            ))?;
            crate::shared::output::result(format_args!("{}", table::changes(&outcome.changes)))?;
            if let Some(checkpoint) = &outcome.checkpoint {
                say!("checkpoint  {}", checkpoint.display());
            }
            say!("report      {}", outcome.report.display());
            if !outcome.finished {
                say!("stopped before the end; resume with --resume");
            }
        }
    }
    Ok(())
}
