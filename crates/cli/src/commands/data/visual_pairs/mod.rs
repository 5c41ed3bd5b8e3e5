//! `percept data visual-pairs`: opens rows and tools; `percept_pairs` does the rest.

mod args;
mod onnx_args;
mod onnx_tools;
mod tools;
#[cfg(feature = "onnx")]
mod with_onnx;
#[cfg(not(feature = "onnx"))]
mod without_onnx;

use percept_data::{ColumnMap, FileDataset};
use percept_pairs::{Build, Method, Outcome, PairsConfig, Step, Tools, build};
use percept_steps::file_sha256;
use serde_json::{Value, json};

use crate::shared::asked_model::AskedModel;
use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, step_progress};
pub use args::DataVisualPairs;
use tools::Opened;

/// Reasons after which a row that was given is in no form in the output.
const UNREAD: [&str; 2] = ["the row cannot be read", "a picture cannot be read"];

pub fn run(args: &DataVisualPairs, global: &Global) -> Result<Done, Failure> {
    let config = config(args);
    config.check()?;
    let from = from(args, config.method)?;
    if config.method != Method::Adavip {
        return make(args, global, &config, from, None);
    }
    let journal = args.out.join("steps/answers.journal.jsonl");
    let model = AskedModel {
        endpoint: args.server.named(),
        folder: args.model.as_deref(),
        device: &args.device,
        calls: &args.calls,
        seed: args.seed,
        journal: &journal,
        task: "tags and boxes",
    };
    model.ready(global, |model| {
        let opened = Opened::of(args, model)?;
        make(args, global, &config, from, Some(opened.tools()))
    })
}

fn make(
    args: &DataVisualPairs,
    global: &Global,
    config: &PairsConfig,
    from: Option<Step>,
    tools: Option<Tools<'_>>,
) -> Result<Done, Failure> {
    let data = FileDataset::open(&args.data, &ColumnMap::default(), args.images.as_deref())?;
    let data = args.allow.rows(Box::new(data));
    let outcome = build(&Build {
        data: data.as_ref(),
        source: source(args)?,
        out: &args.out,
        config,
        tools,
        from,
        workers: workers(args)?,
        progress: &step_progress(global),
    });
    let outcome = outcome.inspect_err(|_| {
        let place = args.out.display();
        note!("the finished work is in {place}: run the same command to resume");
    })?;
    print(args, global, &outcome)?;
    let most = outcome.skipped.iter().max_by_key(|(_, count)| **count);
    if outcome.visual == 0 {
        let (reason, count) = most.map_or(("there were no rows", 0), |(r, c)| (r.as_str(), *c));
        return Err(Failure::new(format!(
            "no row got a rejected picture; most often ({count} rows): {reason}\n  help: see {}",
            args.out.join("index.html").display()
        )));
    }
    match UNREAD
        .iter()
        .any(|kind| outcome.skipped.contains_key(*kind))
    {
        true => Ok(Done::Problems),
        false => Ok(Done::Well),
    }
}

fn config(args: &DataVisualPairs) -> PairsConfig {
    PairsConfig {
        method: args.method.into(),
        seed: args.seed,
        limit: args.limit,
        tag_threshold: args.tag_threshold,
        box_threshold: args.box_threshold,
        text_threshold: args.text_threshold,
        dilate: args.dilate,
        min_area: args.min_area,
        max_area: args.max_area,
        max_candidates: args.max_candidates,
        min_drop: args.min_drop,
        skip_failures: args.skip_failures,
        // clap asks for two.
        crop_scale: match args.crop_scale[..] {
            [low, high] => (low, high),
            _ => PairsConfig::default().crop_scale,
        },
        noise_step: args.noise_step,
        noise_side: args.noise_side,
        mask_share: args.mask_share,
        level: args.level,
    }
}

fn from(args: &DataVisualPairs, method: Method) -> Result<Option<Step>, Failure> {
    let Some(name) = &args.from else {
        return Ok(None);
    };
    match Step::named(method, name) {
        Some(step) => Ok(Some(step)),
        None => {
            let names: Vec<&str> = Step::of(method).iter().map(|step| step.name()).collect();
            Err(Failure::new(format!(
                "--from {name}: expected one of {}",
                names.join(", ")
            )))
        }
    }
}

fn workers(args: &DataVisualPairs) -> Result<usize, Failure> {
    match args.workers {
        Some(0) => Err(Failure::new("--workers is 0; expected 1 or more")),
        Some(workers) => Ok(workers),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// What names the rows: the content of their files, and where pictures are looked for.
fn source(args: &DataVisualPairs) -> Result<Value, Failure> {
    let mut files = Vec::new();
    for path in &args.data {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push(json!({"file": name, "sha256": file_sha256(path)?}));
    }
    Ok(json!({"data": files, "images": args.images, "allow_images": args.allow.allow_images}))
}

fn print(args: &DataVisualPairs, global: &Global, outcome: &Outcome) -> Result<(), Failure> {
    if global.json {
        for step in &outcome.steps {
            say!(
                "{}",
                json!({"step": step.step, "done_now": step.done_now, "kept": step.kept,
                    "left_out": step.left_out})
            );
        }
        say!(
            "{}",
            json!({"visual_pairs": outcome.visual, "language_pairs": outcome.language,
                "dropped": outcome.dropped, "no_rejected_picture": outcome.skipped,
                "earlier_rejected_pictures_left_out": outcome.had_pictures, "out": args.out})
        );
        return Ok(());
    }
    say!("{:<11} {:>6} {:>8}", "step", "kept", "left out");
    for step in &outcome.steps {
        let before = if step.done_now { "" } else { "  (done before)" };
        let left_out: usize = step.left_out.values().sum();
        say!("{:<11} {:>6} {left_out:>8}{before}", step.step, step.kept);
    }
    if !outcome.skipped.is_empty() {
        say!("rows without a rejected picture:");
        for (reason, count) in &outcome.skipped {
            say!("{count:>6}  {reason}");
        }
    }
    if outcome.had_pictures > 0 {
        say!(
            "{} rows had rejected pictures before, which are not in pairs.jsonl",
            outcome.had_pictures
        );
    }
    say!(
        "{} pairs with a rejected picture, {} of answers alone, {} rows dropped: {}",
        outcome.visual,
        outcome.language,
        outcome.dropped,
        args.out.join("pairs.jsonl").display()
    );
    say!("page: {}", args.out.join("index.html").display());
    Ok(())
}
