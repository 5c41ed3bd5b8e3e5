//! `percept data react-cot`: a strong model writes the reasoning for labelled frames, and what ends in the right labels and
//! regions is kept.
//!
//! ```text
//! row ──question──▶ model (journal before it) ──trace──▶ labels, regions right? ──▶ column `response`
//! ```

mod args;
mod ask;
mod rows;
mod tally;

use percept_chat::{Cached, ChatModel, Turn};

use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};
pub use args::DataReactCot;

pub fn run(args: &DataReactCot, global: &Global) -> Result<Done, Failure> {
    if args.out.extension().is_none_or(|ending| ending != "jsonl") {
        return Err(Failure::new(format!(
            "--out {}: expected a file that ends in .jsonl",
            args.out.display()
        )));
    }
    for (option, value) in [("-n", args.n), ("--max-tokens", args.max_tokens)] {
        if value == 0 {
            return Err(Failure::new(format!("{option} is 0; expected 1 or more")));
        }
    }
    if !(0.0..=1.0).contains(&args.min_iou) {
        let found = args.min_iou;
        return Err(Failure::new(format!("--min-iou {found}: expected 0 to 1")));
    }
    let Some((url, name)) = args.server.named() else {
        return Err(Failure::new("no model: give --endpoint and --api-model"));
    };
    let frames = rows::read(&args.data, args.limit, &args.allow.allow_images)?;
    let journal = args.out.with_extension("journal.jsonl");
    let endpoint = args.calls.endpoint(url, name, args.seed)?;
    let model = Cached::open(endpoint, &journal)?;
    let job = ask::Job {
        model: &model,
        turn: Turn {
            temperature: args.temperature,
            top_p: args.top_p,
            max_tokens: args.max_tokens,
            seed: args.send_seed.then_some(args.seed),
            ..Turn::default()
        },
        candidates: args.n,
        min_iou: args.min_iou,
        seed: args.seed,
        quiet: global.quiet || global.json,
    };
    let asked = ask::all(&job, &frames).inspect_err(|_| {
        let place = journal.display();
        note!("the answers so far are in {place}: run the same command to resume");
    })?;
    rows::write(&args.out, &frames, &asked.responses)?;
    let tally = tally::Tally::of(&asked, &model.usage(), &args.calls.prices());
    tally.print(args, global)?;
    if tally.failed == 0 {
        return Ok(Done::Well);
    }
    if !global.quiet {
        note!(
            "{} frames have no answer; run the same command to ask them again",
            tally.failed
        );
    }
    Ok(Done::Problems)
}
