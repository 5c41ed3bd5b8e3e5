//! How far a command is that works in steps.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use percept_base::lock;
use percept_steps::StepId;

use crate::shared::Global;
use crate::shared::output::note;

/// Lines of progress in a log are this far apart.
const EVERY: Duration = Duration::from_secs(5);

/// Says how far each step is: at its beginning, now and then, at its end.
pub fn step_progress(global: &Global) -> impl Fn(StepId, usize, usize) + Sync {
    let silent = global.quiet || global.json;
    let shown = Mutex::new((None::<StepId>, Instant::now()));
    move |step: StepId, done: usize, total: usize| {
        if silent {
            return;
        }
        let mut shown = lock(&shown);
        let (last, when) = *shown;
        if last != Some(step) || done == total || when.elapsed() >= EVERY {
            *shown = (Some(step), Instant::now());
            note!("{:>10}  {done} of {total}", step.name);
        }
    }
}
