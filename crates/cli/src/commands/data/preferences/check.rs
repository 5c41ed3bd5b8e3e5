//! What is refused before anything is asked.

use percept_preferences::Row;

use super::args::{DataPreferences, Tie};
use super::judge_args::{Claims, JudgeArgs, JudgeKind, Questions};
use crate::shared::Failure;
use crate::shared::output::note;

/// Rows that cannot be read are named up to this number.
const NAMED: usize = 5;

/// Options outside their range, and options that would do nothing.
pub fn options(args: &DataPreferences) -> Result<(), Failure> {
    let least = |option: &str, value: usize, least: usize, why: &str| match value < least {
        true => refuse(format!(
            "{option} is {value}; expected {least} or more{why}"
        )),
        false => Ok(()),
    };
    least(
        "--num-generations",
        args.num_generations,
        2,
        ": one answer makes no pair",
    )?;
    least("--max-tokens", args.max_tokens, 1, "")?;
    least("--judge-max-tokens", args.judge.judge_max_tokens, 1, "")?;
    least("--max-num-seqs", args.max_num_seqs, 1, "")?;
    if !(args.temperature > 0.0 && args.temperature.is_finite()) {
        return refuse(format!(
            "--temperature {}: expected a number above 0: greedy answers to one prompt are all equal",
            args.temperature
        ));
    }
    if !(args.top_p > 0.0 && args.top_p <= 1.0) {
        return refuse(format!(
            "--top-p {}: expected above 0 and at most 1",
            args.top_p
        ));
    }
    if !(args.min_gap > 0.0 && args.min_gap.is_finite()) {
        return refuse(format!(
            "--min-gap {}: expected a number above 0",
            args.min_gap
        ));
    }
    if args.stop.iter().any(String::is_empty) {
        return refuse("--stop: found an empty text".into());
    }
    if args.tie_break == Tie::Coverage && args.judge.judge != JudgeKind::Annotations {
        return refuse(
            "--tie-break coverage: only --judge annotations knows the image's objects".into(),
        );
    }
    judge(&args.judge)
}

/// What each judge needs, and options that belong to another one.
fn judge(args: &JudgeArgs) -> Result<(), Failure> {
    let kind = args.judge;
    let given = [
        (
            "--instances",
            !args.instances.is_empty(),
            JudgeKind::Annotations,
        ),
        ("--objects", args.objects.is_some(), JudgeKind::Annotations),
        ("--words", args.words.is_some(), JudgeKind::Annotations),
        ("--reward", !args.reward.is_empty(), JudgeKind::Verifier),
        (
            "--judge-model",
            args.judge_model.is_some(),
            JudgeKind::Model,
        ),
        (
            "--judge-endpoint",
            args.judge_endpoint.is_some(),
            JudgeKind::Endpoint,
        ),
    ];
    if let Some((option, ..)) = given.iter().find(|(_, given, of)| *given && *of != kind) {
        return refuse(format!(
            "{option} is not an option of --judge {}",
            name(kind)
        ));
    }
    let asks = matches!(kind, JudgeKind::Model | JudgeKind::Endpoint);
    let of_models = [
        ("--claims model", args.claims == Claims::Model),
        ("--questions model", args.questions == Questions::Model),
        ("--no-judge-logprobs", args.no_judge_logprobs),
    ];
    if let Some((option, _)) = of_models.iter().find(|(_, given)| *given && !asks) {
        return refuse(format!(
            "{option} is an option of --judge model and --judge endpoint"
        ));
    }
    let has = |option: &str| {
        given
            .iter()
            .any(|(name, given, _)| *given && *name == option)
    };
    let missing = match kind {
        JudgeKind::Annotations if !has("--instances") && !has("--objects") => {
            "--instances FILE (COCO), or --objects COLUMN of the rows"
        }
        JudgeKind::Verifier if !has("--reward") => "--reward NAME",
        JudgeKind::Model if !has("--judge-model") => "--judge-model DIR",
        JudgeKind::Endpoint if !has("--judge-endpoint") => {
            "--judge-endpoint URL --judge-api-model NAME"
        }
        _ => return Ok(()),
    };
    refuse(format!("--judge {} needs {missing}", name(kind)))
}

/// Rows that cannot be asked are said; where there is no other, nothing can be done.
pub fn rows(name: &str, rows: &[Row], quiet: bool) -> Result<(), Failure> {
    let unreadable: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.unreadable.as_deref())
        .collect();
    if unreadable.len() == rows.len() {
        let first = unreadable
            .first()
            .map_or(String::new(), |why| format!("\n  first: {why}"));
        return refuse(format!(
            "{name}: none of {} rows can be asked{first}",
            rows.len()
        ));
    }
    if !quiet {
        for why in unreadable.iter().take(NAMED) {
            note!("left out: {why}");
        }
    }
    Ok(())
}

fn name(kind: JudgeKind) -> &'static str {
    match kind {
        JudgeKind::Annotations => "annotations",
        JudgeKind::Verifier => "verifier",
        JudgeKind::Model => "model",
        JudgeKind::Endpoint => "endpoint",
    }
}

fn refuse(text: String) -> Result<(), Failure> {
    Err(Failure::new(text))
}
