//! Opening the judge, and having it judge.

use percept_benchmarks::hallucination::Vocabulary;
use percept_benchmarks::hallucination::files::text;
use percept_chat::{Cached, ChatError, ChatModel, Usage};
use percept_data::Dataset;
use percept_data::coco::{CocoCaptions, CocoInstances};
use percept_preferences::{
    Annotations, Candidate, CandidateStatus, ClaimJudge, ClaimOptions, Judge, Judgement,
    ObjectSource, Places, QuestionForm, SplitBy, VerifierJudge,
};
use percept_reward::{RewardConfig, RewardSet};
use serde_json::Value;

use super::args::DataPreferences;
use super::journal::{resume, said};
use super::judge_args::{Claims, JudgeArgs, JudgeKind, Questions};

use crate::shared::Failure;
use crate::shared::chat_model::{ChatArgs, OpenedChat};
use crate::shared::output::note;
use crate::shared::progress::AskProgress;

/// A judge whose files are read; a model is loaded when it is its turn.
pub enum Opened {
    Annotations(Box<Annotations>),
    Verifier(RewardSet),
    Model,
}

/// Who judged, and what was sent for it.
pub struct Judged {
    pub identity: Value,
    pub usage: Usage,
}

/// Reads what the judge needs, before anything is asked.
pub fn open(args: &JudgeArgs) -> Result<Opened, Failure> {
    Ok(match args.judge {
        JudgeKind::Annotations => Opened::Annotations(Box::new(annotations(args)?)),
        JudgeKind::Verifier => {
            let functions = args.reward.iter().map(|arg| arg.function().clone());
            Opened::Verifier(RewardSet::build(&RewardConfig {
                functions: functions.collect(),
            })?)
        }
        JudgeKind::Model | JudgeKind::Endpoint => Opened::Model,
    })
}

fn annotations(args: &JudgeArgs) -> Result<Annotations, Failure> {
    let words = match &args.words {
        Some(path) => Vocabulary::parse(&text(path)?),
        None => Vocabulary::chair(),
    };
    if words.classes().is_empty() {
        return Err(Failure::new(
            "--words: the file names no class; expected a class per line",
        ));
    }
    let source = match &args.objects {
        Some(column) => ObjectSource::Column(column.clone()),
        None => {
            let instances = args.instances.iter().map(CocoInstances::open);
            let captions = args.references.iter().map(CocoCaptions::open);
            ObjectSource::Coco {
                instances: instances.collect::<Result<_, _>>()?,
                captions: captions.collect::<Result<_, _>>()?,
            }
        }
    };
    Ok(Annotations::new(words, source))
}

impl Opened {
    /// Judges every answer that is to be judged.
    pub fn judge(
        &self,
        args: &DataPreferences,
        candidates: &mut [Candidate],
        data: &dyn Dataset,
        places: &Places,
        quiet: bool,
    ) -> Result<Judged, Failure> {
        match self {
            Self::Annotations(judge) => put(judge.as_ref(), candidates, data, Usage::default()),
            Self::Verifier(rewards) => {
                let judged = put(
                    &VerifierJudge::new(rewards),
                    candidates,
                    data,
                    Usage::default(),
                );
                for message in rewards.messages() {
                    note!("{message}");
                }
                judged
            }
            Self::Model => by_model(args, candidates, data, places, quiet),
        }
    }
}

/// Judges, and notes each judgement on its answer.
fn put(
    judge: &dyn Judge,
    candidates: &mut [Candidate],
    data: &dyn Dataset,
    usage: Usage,
) -> Result<Judged, Failure> {
    let places = unjudged(candidates);
    let answers: Vec<&Candidate> = places.iter().map(|&at| &candidates[at]).collect();
    let judgements: Vec<Judgement> = judge.judge(&answers, data)?;
    for (at, judgement) in places.into_iter().zip(judgements) {
        judgement.put(&mut candidates[at]);
    }
    Ok(Judged {
        identity: judge.identity(),
        usage,
    })
}

fn by_model(
    args: &DataPreferences,
    candidates: &mut [Candidate],
    data: &dyn Dataset,
    places: &Places,
    quiet: bool,
) -> Result<Judged, Failure> {
    let judge = &args.judge;
    let opened = OpenedChat::open(&ChatArgs {
        model: judge.judge_model.as_deref(),
        adapter: None,
        device: &args.device,
        server: judge
            .judge_endpoint
            .as_deref()
            .zip(judge.judge_api_model.as_deref()),
        calls: &args.calls,
        max_num_seqs: args.max_num_seqs,
        sampled: None,
    })?;
    let model = Cached::open(opened.chat()?, &places.judge)?;
    said(&model, quiet);
    let options = ClaimOptions {
        split: match judge.claims {
            Claims::Sentences => SplitBy::Sentences,
            Claims::Model => SplitBy::Model,
        },
        questions: match judge.questions {
            Questions::Statement => QuestionForm::Statement,
            Questions::Model => QuestionForm::Model,
        },
        max_tokens: judge.judge_max_tokens,
        logprobs: !judge.no_judge_logprobs,
    };
    let progress = move |unit: &'static str, count: usize| {
        let mut progress = AskProgress::new(unit, count, quiet);
        let tell = move |done: usize, error: Option<&ChatError>| progress.tell(done, error);
        Box::new(tell) as Box<dyn FnMut(usize, Option<&ChatError>) + Send>
    };
    let claims = ClaimJudge::new(&model, options, &progress);
    let judged = put(&claims, candidates, data, Usage::default());
    let judged = judged.inspect_err(|_| resume(&places.judge))?;
    Ok(Judged {
        usage: model.usage(),
        ..judged
    })
}

/// Answers that a judge has to look at.
fn unjudged(candidates: &[Candidate]) -> Vec<usize> {
    let is_open = |at: &usize| candidates[*at].status == CandidateStatus::Unjudged;
    (0..candidates.len()).filter(is_open).collect()
}
