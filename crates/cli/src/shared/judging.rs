//! Who judges clips by their frames, and how: the options of every command that does.

use std::path::{Path, PathBuf};

use clap::Args;
use percept_chat::{ChatModel, Turn};
use percept_frames::sampling::{DynamicSampling, SecondRound};
use percept_react::{
    Clip, ClipRecord, Error, Footage, Journal, Options, Question, Sampling, judge,
};
use serde_json::{Value, json};

use crate::shared::Failure;
use crate::shared::answerer::AnswererArgs;
use crate::shared::output::note;
use crate::shared::progress::Counter;

/// Longest answer about a frame, in tokens, unless --max-tokens says otherwise.
const MAX_TOKENS: usize = 512;

/// How clips are judged.
#[derive(Debug, Clone, Args)]
pub struct JudgingArgs {
    /// Frames per second that are judged, over both rounds.
    #[arg(long, default_value_t = 2.0)]
    pub fps: f64,
    /// The baseline: the same number of frames, spread evenly, in one round.
    #[arg(long)]
    pub uniform: bool,
    /// From this score on a frame counts as clean: where all are, round 2 looks between the frames of round 1.
    #[arg(long, default_value_t = 4.0)]
    pub high: f64,
    /// Below this score a frame counts as broken: round 2 looks beside such frames.
    #[arg(long, default_value_t = 3.0)]
    pub low: f64,
    /// How far round 2 looks from a frame, as a part of the distance between frames of round 1.
    #[arg(long, default_value_t = 0.25)]
    pub neighbour: f64,
    /// How round 2 is spent: neighbours (beside single frames, as in the paper) or gaps (inside the gaps whose
    /// ends score lowest).
    #[arg(long, default_value = "neighbours", value_parser = second_round, value_name = "neighbours|gaps")]
    pub second_round: SecondRound,
    /// Seed of the random times of round 2.
    #[arg(long, default_value_t = 0)]
    pub second_round_seed: u64,
    /// Maximum number of frames of one clip; a longer clip is refused.
    #[arg(long, default_value_t = 256)]
    pub max_frames: usize,
    /// Own question about a frame: `{prompt}` is what the clip was made from, `<image>` the frame's place (default: the question of
    /// training, the frame before it).
    #[arg(long, value_name = "TEXT")]
    pub question: Option<String>,
    /// Clips that are judged together.
    #[arg(long, default_value_t = 16)]
    pub batch_clips: usize,
    /// Who judges.
    #[command(flatten)]
    pub answerer: AnswererArgs,
}

/// A clip as the command line or a file names it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedClip {
    /// In results.
    pub name: String,
    /// What it was made from.
    pub prompt: String,
    /// Where it is.
    pub path: PathBuf,
    /// Rate of a folder of frames.
    pub frame_rate: Option<f64>,
}

impl NamedClip {
    /// Its frames.
    pub fn footage(&self) -> Result<Footage, Error> {
        match self.frame_rate {
            Some(rate) => Footage::folder(&self.path, rate),
            None => Footage::open(&self.path),
        }
    }
}

fn second_round(text: &str) -> Result<SecondRound, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected neighbours or gaps".to_owned())
}

impl JudgingArgs {
    /// Whether somebody is named to judge.
    pub fn named(&self) -> bool {
        self.answerer.named()
    }

    /// Goes on with the model and how clips are judged.
    pub fn with_model<T>(
        &self,
        then: impl FnOnce(&dyn ChatModel, &Options) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let question = self.question.as_deref().map(Question::own).transpose();
        let question = question.map_err(|e| Failure::new(format!("--question: {e}")))?;
        self.answerer.with_model(MAX_TOKENS, |model, turn| {
            let options = Options {
                sampling: self.sampling(),
                max_frames: self.max_frames,
                question: question.unwrap_or_default(),
                system: self.answerer.system.clone(),
                turn,
            };
            then(model, &options)
        })
    }

    fn sampling(&self) -> Sampling {
        match self.uniform {
            true => Sampling::Uniform { fps: self.fps },
            false => Sampling::Dynamic(DynamicSampling {
                fps: self.fps,
                high: self.high,
                low: self.low,
                neighbour: self.neighbour,
                second_round: self.second_round,
                seed: self.second_round_seed,
            }),
        }
    }

    /// Judges clips, some at a time; the results are in their order, none for a clip that could not be judged, which is said. What
    /// `journal` knows is not asked again.
    pub fn judge(
        &self,
        clips: &[NamedClip],
        journal: Option<&Path>,
        quiet: bool,
    ) -> Result<Vec<Option<ClipRecord>>, Failure> {
        self.with_model(|model, options| {
            let mut journal = match journal {
                Some(path) => Some(Journal::open(path, settings(model, options))?),
                None => None,
            };
            let known = |clip: &NamedClip| {
                let journal = journal.as_ref()?;
                journal.get(&clip.name, &clip.prompt).cloned()
            };
            let mut judged: Vec<Option<ClipRecord>> = clips.iter().map(known).collect();
            let missing: Vec<usize> = (0..clips.len())
                .filter(|at| judged[*at].is_none())
                .collect();
            let mut counter = Counter::new("judged ", quiet);
            let mut done = clips.len() - missing.len();
            for places in missing.chunks(self.batch_clips.max(1)) {
                let results = together(model, places, clips, options);
                let mut records = Vec::new();
                for (&at, result) in places.iter().zip(results) {
                    match result {
                        Ok(record) => {
                            records.push(record.clone());
                            judged[at] = Some(record);
                        }
                        Err(error) if error.is_final() => return Err(error.into()),
                        Err(error) => note!("{}: {}", clips[at].name, Failure::from(error).text()),
                    }
                }
                if let Some(journal) = &mut journal {
                    journal.add(records)?;
                }
                done += places.len();
                counter.tell(done, clips.len(), "clips");
            }
            Ok(judged)
        })
    }
}

/// Opens these clips and judges them at once.
fn together(
    model: &dyn ChatModel,
    places: &[usize],
    clips: &[NamedClip],
    options: &Options,
) -> Vec<Result<ClipRecord, Error>> {
    let mut results: Vec<Option<Error>> = Vec::with_capacity(places.len());
    let mut opened = Vec::new();
    for &at in places {
        let named = &clips[at];
        match named.footage() {
            Ok(footage) => {
                opened.push(Clip {
                    name: named.name.clone(),
                    prompt: named.prompt.clone(),
                    footage,
                });
                results.push(None);
            }
            Err(error) => results.push(Some(error)),
        }
    }
    let mut judged = judge(model, opened, options).into_iter();
    let one = |failed: Option<Error>| match failed {
        Some(error) => Err(error),
        None => judged
            .next()
            .unwrap_or(Err(Error::Chat(percept_chat::ChatError::Silent))),
    };
    results.into_iter().map(one).collect()
}

/// What judgements depend on besides the clip.
fn settings(model: &dyn ChatModel, options: &Options) -> Value {
    let Turn {
        temperature,
        top_p,
        max_tokens,
        seed,
        ..
    } = &options.turn;
    json!({
        "model": model.identity(),
        "question": options.question.text("{prompt}"),
        "system": options.system,
        "sampling": options.sampling,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
    })
}
