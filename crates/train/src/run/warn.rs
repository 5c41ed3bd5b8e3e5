//! What is kept of a run's warnings, and the words for how a run ends badly.

use std::path::PathBuf;

use percept_eval::Record;
use percept_report::RunDir;

use crate::Error;
use crate::reasons::Reasons;
use crate::run::news::News;
use crate::run::state::State;

/// Writes `warnings.jsonl`, so that it is there while a run goes on and after one that was killed.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub(crate) fn write(dir: &RunDir, state: &State) -> Result<(), Error> {
    let path = dir.warnings();
    if state.watch.warnings.is_empty() && !path.exists() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for warning in &state.watch.warnings {
        serde_json::to_writer(&mut lines, warning).map_err(|e| Error::write(&path, e.into()))?;
        lines.push(b'\n');
    }
    Ok(percept_base::files::write_atomic(&path, &lines)?)
}

/// Why responses of an evaluation were not graded.
pub(crate) fn reasons(records: &[Record]) -> Reasons {
    let mut reasons = Reasons::default();
    for record in records.iter().filter(|record| record.score.is_none()) {
        if let Some(part) = record.parts.first() {
            let reason = part.reason.as_deref().unwrap_or("no reason given");
            reasons.add(&record.id, &format!("{}: {reason}", part.name));
        }
    }
    reasons
}

/// Nothing was graded: the last `judged` responses of `steps` steps, and what is known of why.
pub(crate) fn ungraded(
    state: &State,
    news: &News<'_>,
    judged: usize,
    steps: usize,
    reasons: &Reasons,
) -> Error {
    let mut lines = Vec::new();
    if reasons.count() > 0 {
        lines.push(reasons.commonest(3));
    } else {
        // Of a resumed run, or of an evaluation: what was said of it.
        let warnings = state.watch.warnings.iter();
        lines.extend(warnings.map(|warning| format!("  {}", warning.message)));
    }
    lines.extend(news.said().map(|said| format!("reward function {said}")));
    Error::Ungraded {
        judged,
        steps,
        reasons: lines.join("\n"),
    }
}

/// What is left of a run that ended with an error, in words: whether its last checkpoint could be written, which one
/// is the newest, whether the weights of the end were not finite, and where the report is.
pub(crate) fn kept(
    saved: Result<(), Error>,
    newest: Option<PathBuf>,
    not_finite: bool,
    report: Option<PathBuf>,
) -> String {
    let kept = match (saved, newest) {
        (Ok(()), Some(path)) if not_finite => format!(
            "the last checkpoint before that is {}; go on from it with --resume",
            path.display()
        ),
        (Ok(()), Some(path)) => format!(
            "nothing is lost: {} was written; go on from it with --resume",
            path.display()
        ),
        (Err(error), _) => format!("and the checkpoint could not be written: {error}"),
        _ => "no checkpoint was written".to_owned(),
    };
    match report {
        Some(path) => format!("{kept}\n  report: {}", path.display()),
        None => kept,
    }
}
