//! `percept halbench build`: chooses editor, model and scorer; `percept_halbench` does the
//! rest.

mod args;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use percept_chat::{Cached, ChatModel, EndpointConfig, ImageEndpoint, Local};
use percept_halbench::{Build, BuildConfig, Outcome, Redetector, Step, build};
use percept_kernels::decode::WeightDtype;
use percept_sampler::{EngineConfig, LocalSampler};
use percept_vision::{BuiltIn, ClassScorer, CommandEditor, CommandScorer, Editor};

use crate::shared::endpoint_args::{json_object, seconds};
use crate::shared::model_args::ModelArgs;
use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, open};
pub use args::HalbenchBuild;

/// Lines of progress in a log are this far apart.
const EVERY: Duration = Duration::from_secs(5);

pub fn run(args: &HalbenchBuild, global: &Global) -> Result<Done, Failure> {
    let chooser = Who {
        endpoint: args.server.named(),
        folder: args.model.as_deref(),
        journal: "answers.journal.jsonl",
        task: "choice",
    };
    let detector = Who {
        endpoint: (args.detect_endpoint.as_deref()).zip(args.detect_api_model.as_deref()),
        folder: args.detect_model.as_deref(),
        journal: "detections.journal.jsonl",
        task: "re-detection",
    };
    chooser.ready(args, global, |chooser| {
        detector.ready(args, global, |detector| {
            build_with(args, global, chooser, detector)
        })
    })
}

/// A model that is asked, if any.
struct Who<'a> {
    /// Address and the server's name of it.
    endpoint: Option<(&'a str, &'a str)>,
    folder: Option<&'a Path>,
    /// File of its answers in `steps`.
    journal: &'a str,
    /// What it does, for messages.
    task: &'a str,
}

impl Who<'_> {
    /// Goes on with the model behind its file of answers.
    fn ready<T>(
        &self,
        args: &HalbenchBuild,
        global: &Global,
        then: impl FnOnce(Option<&dyn ChatModel>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.endpoint.is_none() && self.folder.is_none() {
            return then(None);
        }
        let steps = args.out.join("steps");
        std::fs::create_dir_all(&steps)?;
        let journal = steps.join(self.journal);
        if let Some((url, name)) = self.endpoint {
            let endpoint = args.calls.endpoint(url, name, args.seed)?;
            return self.tell(&Cached::open(endpoint, &journal)?, global, then);
        }
        let Some(folder) = self.folder else {
            return then(None);
        };
        let model = ModelArgs {
            model: folder.to_owned(),
            adapter: None,
            device: args.device.clone(),
            attention: None,
            dtype: WeightDtype::F32,
        };
        let identity = open::weights(&model)?;
        let (model, processor) = open::model(&model)?;
        let engine = EngineConfig {
            max_num_seqs: 4,
            ..EngineConfig::default()
        };
        let sampler = LocalSampler::new(&model, &processor, args.seed)?.with_engine(engine);
        let local = Local::new(sampler, identity);
        self.tell(&Cached::open(local, &journal)?, global, then)
    }

    /// Says in the end what was asked.
    fn tell<T>(
        &self,
        model: &dyn ChatModel,
        global: &Global,
        then: impl FnOnce(Option<&dyn ChatModel>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = then(Some(model));
        let usage = model.usage();
        if !global.quiet && !global.json {
            note!(
                "{}: {} requests ({} repeated), {} answers from the file, {} + {} tokens, cost {:.2}",
                self.task,
                usage.requests,
                usage.retries.values().sum::<u64>(),
                usage.cached,
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cost
            );
        }
        done
    }
}

fn build_with(
    args: &HalbenchBuild,
    global: &Global,
    chooser: Option<&dyn ChatModel>,
    detector: Option<&dyn ChatModel>,
) -> Result<Done, Failure> {
    let config = config(args);
    let timeout = seconds("--timeout", args.calls.timeout)?;
    let editor = editor(args, timeout)?;
    let scorer: Option<Box<dyn ClassScorer + '_>> = match (&args.score_command, detector) {
        (Some(command), _) => Some(Box::new(CommandScorer::new(command, timeout)?)),
        (None, Some(model)) => Some(Box::new(Redetector::new(model))),
        (None, None) => None,
    };
    let shown = Mutex::new((None::<Step>, Instant::now()));
    let progress = |step: Step, done: usize, total: usize| {
        if global.quiet || global.json {
            return;
        }
        let mut shown = shown.lock().unwrap_or_else(|e| e.into_inner());
        let (last, when) = *shown;
        if last != Some(step) || done == total || when.elapsed() >= EVERY {
            *shown = (Some(step), Instant::now());
            note!("{:>10}  {done} of {total}", step.name());
        }
    };
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

fn editor(args: &HalbenchBuild, timeout: Duration) -> Result<Box<dyn Editor>, Failure> {
    if let Some(command) = &args.edit_command {
        return Ok(Box::new(CommandEditor::new(command, timeout)?));
    }
    let (Some(url), Some(model)) = (&args.edit_endpoint, &args.edit_model) else {
        return Ok(Box::new(BuiltIn));
    };
    let mut config = EndpointConfig {
        extra_body: json_object("--edit-fields", args.edit_fields.as_deref())?,
        ..args.calls.config(url, model, args.seed)?
    };
    // An edit keeps a server busy for seconds.
    config.client.max_concurrency = args.calls.max_concurrency.min(4);
    Ok(Box::new(ImageEndpoint::new(config)?))
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
