//! `percept halbench build`: chooses editor, model and scorer; `percept_halbench` does the
//! rest.

mod args;

use percept_chat::ChatModel;
use percept_halbench::{Build, BuildConfig, Outcome, Redetector, build};
use percept_vision::{BuiltIn, ClassScorer, CommandScorer};

use crate::shared::asked_model::AskedModel;
use crate::shared::endpoint_args::seconds;
use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, step_progress};
pub use args::HalbenchBuild;

pub fn run(args: &HalbenchBuild, global: &Global) -> Result<Done, Failure> {
    let steps = args.out.join("steps");
    let (answers, detections) = (
        steps.join("answers.journal.jsonl"),
        steps.join("detections.journal.jsonl"),
    );
    let chooser = AskedModel {
        endpoint: args.server.named(),
        folder: args.model.as_deref(),
        device: &args.device,
        calls: &args.calls,
        seed: args.seed,
        journal: &answers,
        task: "choice",
    };
    let detector = AskedModel {
        endpoint: (args.detect_endpoint.as_deref()).zip(args.detect_api_model.as_deref()),
        folder: args.detect_model.as_deref(),
        journal: &detections,
        task: "re-detection",
        ..chooser
    };
    chooser.ready(global, |chooser| {
        detector.ready(global, |detector| {
            build_with(args, global, chooser, detector)
        })
    })
}

fn build_with(
    args: &HalbenchBuild,
    global: &Global,
    chooser: Option<&dyn ChatModel>,
    detector: Option<&dyn ChatModel>,
) -> Result<Done, Failure> {
    let config = config(args);
    let timeout = seconds("--timeout", args.calls.timeout)?;
    let editor = args.editor.open(BuiltIn, &args.calls, args.seed, timeout)?;
    let scorer: Option<Box<dyn ClassScorer + '_>> = match (&args.score_command, detector) {
        (Some(command), _) => Some(Box::new(CommandScorer::new(command, timeout)?)),
        (None, Some(model)) => Some(Box::new(Redetector::new(model))),
        (None, None) => None,
    };
    let progress = step_progress(global);
    let outcome = build(&Build {
        images: &args.images,
        allowed: &args.allow.allow_images,
        annotations: &args.annotations,
        counted: args.count_in.as_deref(),
        out: &args.out,
        config: &config,
        editor: editor.as_ref(),
        chooser,
        scorer: scorer.as_deref(),
        only: args.step,
        from: args.from,
        progress: &progress,
    });
    let outcome = outcome.inspect_err(|_| {
        let place = args.out.display();
        note!("the finished work is in {place}: run the same command to resume");
    })?;
    print(args, global, &outcome)?;
    Ok(Done::Well)
}

fn config(args: &HalbenchBuild) -> BuildConfig {
    BuildConfig {
        seed: args.seed,
        allow_present: args.allow_present,
        max_instances: args.max_instances,
        min_target_share: args.min_target_share,
        max_target_share: args.max_target_share,
        max_edits_per_image: args.max_edits_per_image,
        absent_rule: args.absent.into(),
        image_format: args.image_format.into(),
        ..BuildConfig::default()
    }
}

fn print(args: &HalbenchBuild, global: &Global, outcome: &Outcome) -> Result<(), Failure> {
    if global.json {
        for step in &outcome.steps {
            say!(
                "{}",
                serde_json::json!({"step": step.step.name(), "done_now": step.done_now,
                    "kept": step.kept, "dropped": step.reasons})
            );
        }
        say!(
            "{}",
            serde_json::json!({"pairs": outcome.pairs, "questions": outcome.questions, "out": args.out})
        );
        return Ok(());
    }
    say!("{:<11} {:>6} {:>8}", "step", "kept", "dropped");
    for step in &outcome.steps {
        let before = if step.done_now { "" } else { "  (done before)" };
        let (name, kept, dropped) = (step.step.name(), step.kept, step.dropped());
        say!("{name:<11} {kept:>6} {dropped:>8}{before}");
    }
    if args.step.is_none() {
        let report = args.out.join("report.html");
        say!(
            "{} pairs, {} questions: {}",
            outcome.pairs,
            outcome.questions,
            report.display()
        );
    }
    Ok(())
}
