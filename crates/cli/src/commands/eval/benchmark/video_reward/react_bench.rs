//! `percept eval react-bench`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use percept_benchmarks::video_reward::files::{ClipPair, LabelledFrame, react_frames, react_pairs};
use percept_benchmarks::video_reward::scores::Scores;
use percept_benchmarks::video_reward::{
    FrameCalibration, FrameScores, JudgedFrame, frame_calibration, frame_scores,
};
use percept_chat::{Cached, ChatModel};
use percept_react::{FrameTask, judge_frames};
use percept_report::Page;
use serde_json::{Value, json};

use super::args::ScorerArgs;
use super::measure::{Numbers, measure};
use super::scorers::Scorer;
use super::{page, run};
use crate::commands::eval::benchmark::output::{add_table, cells, percent, print};
use crate::shared::output::note;
use crate::shared::progress::Counter;
use crate::shared::{Done, Failure, Global};

/// Frames that are asked about at once.
const TOGETHER: usize = 256;

/// REACT-Bench: which of two clips is less distorted (--pairs), and is a frame distorted, and how (--frames)? Its files are not
/// public; docs/react.md has the format of one's own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept eval react-bench --pairs pairs.jsonl --videos clips/ --model DIR --output runs/react-video
  percept eval react-bench --frames frames.jsonl --model DIR --output runs/react-frame
  percept eval react-bench --frames frames.jsonl --scores gpt=answers.jsonl --scores react=mine.jsonl")]
pub struct ReactBenchArgs {
    /// Pairs of clips: rows with path_A, path_B, prompt and preference (A, B or same).
    #[arg(long, required_unless_present = "frames", conflicts_with = "frames")]
    pub pairs: Option<PathBuf>,
    /// Frames: rows with images (one path), prompt (the question) and labels, as percept annotate exports them; with pair_id, side
    /// and preference, pairs of frames are judged as well.
    #[arg(long)]
    pub frames: Option<PathBuf>,
    /// Folder of the pictures of --frames (default: that of the file).
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Who scores.
    #[command(flatten)]
    pub scorers: ScorerArgs,
}

pub fn run(args: &ReactBenchArgs, global: &Global) -> Result<Done, Failure> {
    if let Some(file) = &args.pairs {
        let pairs = react_pairs(file)?;
        let title = "REACT-Video";
        return run::run("react-video", title, file, pairs, &args.scorers, global);
    }
    match &args.frames {
        Some(file) => frames(args, file, global),
        None => Err(Failure::new("give --pairs FILE or --frames FILE")),
    }
}

fn frames(args: &ReactBenchArgs, file: &Path, global: &Global) -> Result<Done, Failure> {
    let frames = args.scorers.output.cut(react_frames(file)?);
    let mut scorers = args.scorers.in_files()?;
    if args.scorers.judging.named() {
        scorers.push(judged(args, file, &frames, global.quiet || global.json)?);
    }
    if scorers.is_empty() {
        return Err(Failure::new(
            "nobody judges the frames: give --model DIR, or --endpoint URL --api-model NAME, or --scores NAME=FILE",
        ));
    }
    let measured: Vec<(String, FrameScores, FrameCalibration)> = scorers
        .iter()
        .map(|scorer| {
            let judged = judgements(&frames, &scorer.scores);
            let name = scorer.name.clone();
            (name, frame_scores(&judged), frame_calibration(&judged))
        })
        .collect();
    let pairs = measure(&pairs(&frames), &scorers, args.scorers.theta);
    let table = table(&measured);
    let mut objects: Vec<Value> = measured
        .iter()
        .map(|(name, scores, calibration)| {
            json!({"benchmark": "react-frame", "reward_model": name, "scores": scores,
                "calibration": calibration})
        })
        .collect();
    for n in &pairs {
        objects.push(
            json!({"benchmark": "react-frame-pairs", "reward_model": n.scorer, "accuracy": n.accuracy,
            "calibration": n.calibration}),
        );
    }
    print(global, &table, &objects)?;
    say_unread(&measured, global);
    let mut report = Page::new("REACT-Frame");
    add_table(&mut report, &table);
    page::frames(&mut report, &measured);
    if !pairs.is_empty() {
        report.section("Pairs of frames");
        let head = [
            "reward model",
            "pairs",
            "acc. w/o ties %",
            "acc. w/ ties %",
            "ECE",
        ];
        let row = |n: &Numbers| {
            let a = &n.accuracy;
            vec![
                n.scorer.clone(),
                a.pairs.to_string(),
                percent(&a.without_ties),
                percent(&a.with_ties),
                format!("{:.3}", n.calibration.ece),
            ]
        };
        let rows: Vec<Vec<String>> = pairs.iter().map(row).collect();
        report.table(&head, &rows);
    }
    let records: Vec<Value> = frames.iter().map(|frame| record(frame, &scorers)).collect();
    let summary = json!({"benchmark": "react-frame", "frames": frames.len(), "results": objects});
    args.scorers.output.write(&records, &summary, &report)?;
    Ok(Done::Well)
}

/// Asks about every frame; answers go through a file, so that a stopped command goes on.
fn judged(
    args: &ReactBenchArgs,
    file: &Path,
    frames: &[LabelledFrame],
    quiet: bool,
) -> Result<Scorer, Failure> {
    let folder = args.images.as_deref();
    let folder = folder.unwrap_or(file.parent().unwrap_or(Path::new("")));
    let log = args.scorers.output.log("answers.jsonl")?;
    let judging = &args.scorers.judging;
    judging.with_model(|model, options| {
        let cached = match &log {
            Some(path) => Some(Cached::open(model, path)?),
            None => None,
        };
        let model: &dyn ChatModel = match &cached {
            Some(cached) => cached,
            None => model,
        };
        let mut scores = Scores::empty();
        let mut counter = Counter::new("judged ", quiet);
        let mut done = 0;
        for some in frames.chunks(TOGETHER) {
            let task = |frame: &LabelledFrame| FrameTask {
                id: frame.image.clone(),
                question: frame.prompt.clone(),
                image: judging.answerer.picture(folder, folder.join(&frame.image)),
            };
            let answers = judge_frames(model, some.iter().map(task).collect(), options);
            for (frame, answer) in some.iter().zip(answers) {
                let answer = answer.map_err(|error| {
                    let error = Failure::from(error);
                    Failure::new(format!("frame {}: {}", frame.id, error.text()))
                })?;
                let labels = answer.score.map(|_| answer.labels);
                scores.add(&frame.image, answer.score, labels);
            }
            done += some.len();
            counter.tell(done, frames.len(), "frames");
        }
        Ok(Scorer {
            name: "react".into(),
            scores,
            source: model.identity(),
        })
    })
}

fn judgements<'a>(frames: &'a [LabelledFrame], scores: &'a Scores) -> Vec<JudgedFrame<'a>> {
    let one = |frame: &'a LabelledFrame| JudgedFrame {
        group: frame.video.as_deref().unwrap_or(&frame.image),
        gold: &frame.labels,
        predicted: scores.labels(&frame.image),
        score: scores.of(&frame.image, "score"),
    };
    frames.iter().map(one).collect()
}

/// The pairs of frames.
fn pairs(frames: &[LabelledFrame]) -> Vec<ClipPair> {
    let mut sides: BTreeMap<&str, [Option<&LabelledFrame>; 2]> = BTreeMap::new();
    for frame in frames {
        if let Some((pair, side, _)) = &frame.pair {
            sides.entry(pair).or_default()[usize::from(side == "B")] = Some(frame);
        }
    }
    let pair = |(id, [a, b]): (&str, [Option<&LabelledFrame>; 2])| {
        let (a, b) = (a?, b?);
        Some(ClipPair {
            id: id.to_owned(),
            a: a.image.clone(),
            b: b.image.clone(),
            prompt: a.prompt.clone(),
            models: None,
            preferences: vec![("Distortion", a.pair.as_ref()?.2)],
        })
    };
    sides.into_iter().filter_map(pair).collect()
}

fn table(all: &[(String, FrameScores, FrameCalibration)]) -> Vec<Vec<String>> {
    let mut rows = vec![cells([
        "reward model",
        "class",
        "frames",
        "precision %",
        "recall %",
        "F1 %",
        "unreadable",
        "label F1 (macro, micro) %",
        "AUROC",
    ])];
    for (name, scores, calibration) in all {
        let classes = [("distorted", &scores.distorted), ("normal", &scores.normal)];
        for (at, (class, found)) in classes.into_iter().enumerate() {
            let mut row = vec![name.clone(), class.to_owned(), found.support.to_string()];
            row.extend([&found.precision, &found.recall, &found.f1].map(percent));
            row.extend(match at {
                0 => [
                    scores.unreadable.to_string(),
                    format!(
                        "{:.1}, {:.1}",
                        scores.macro_f1 * 100.0,
                        scores.micro_f1 * 100.0
                    ),
                    format!("{:.3}", calibration.auroc),
                ],
                _ => Default::default(),
            });
            rows.push(row);
        }
    }
    rows
}

fn say_unread(all: &[(String, FrameScores, FrameCalibration)], global: &Global) {
    for (name, scores, _) in all {
        if scores.unreadable > 0 && !global.quiet {
            note!(
                "{name}: {} of {} frames have no judgement that can be read; they are in neither class",
                scores.unreadable,
                scores.frames
            );
        }
    }
}

fn record(frame: &LabelledFrame, scorers: &[Scorer]) -> Value {
    let of = |scorer: &Scorer| {
        let said = json!({"labels": scorer.scores.labels(&frame.image),
            "score": scorer.scores.of(&frame.image, "score")});
        (scorer.name.clone(), said)
    };
    let said: serde_json::Map<String, Value> = scorers.iter().map(of).collect();
    json!({"id": frame.id, "image": frame.image, "video": frame.video, "labels": frame.labels,
        "judgements": said})
}
