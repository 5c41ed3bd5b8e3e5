//! Who answers a benchmark's questions, and asking them.

use std::path::{Path, PathBuf};

use clap::Args;
use percept_chat::{Cached, ChatError, ChatModel, ChatRequest, Local, Turn, Usage, ask_all};
use percept_data::{Media, Message, Part, Role, Sample};
use percept_kernels::decode::WeightDtype;
use percept_sampler::LocalSampler;
use serde_json::Value;

use super::endpoint_args::{AllowImages, CallArgs, EndpointArgs};
use crate::shared::attention_arg::AttentionArg;
use crate::shared::memory_args::MemoryArgs;
use crate::shared::model_args::{ModelArgs, dtype};
use crate::shared::output::note;
use crate::shared::progress::AskProgress;
use crate::shared::{Failure, open};

/// Who answers: a local model or a server.
#[derive(Debug, Clone, Args)]
pub struct AnswererArgs {
    /// Local model: a Hugging Face folder, a run folder, or an id in the local Hugging Face cache.
    #[arg(long, conflicts_with = "endpoint")]
    pub model: Option<PathBuf>,
    /// LoRA adapter folder (PEFT format) on top of it.
    #[arg(long, requires = "model")]
    pub adapter: Option<PathBuf>,
    /// Device of --model: cpu, or vulkan:0, cuda:0, … when the build has it.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Attention pattern of --model instead of the checkpoint's (as in percept generate).
    #[arg(long, value_name = "NAME", requires = "model")]
    pub attention: Option<AttentionArg>,
    /// Data type of --model's weights: float32, bfloat16 (on processors with AMX or AVX-512 BF16) or int8.
    #[arg(long, default_value = "float32", value_parser = dtype)]
    pub dtype: WeightDtype,
    /// A server.
    #[command(flatten)]
    pub server: EndpointArgs,
    /// Sampling temperature; 0 is greedy decoding.
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f32,
    /// Nucleus sampling: keep the likeliest tokens whose probabilities sum to this (1: off).
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Maximum length of an answer in tokens (default: the benchmark's).
    #[arg(long)]
    pub max_tokens: Option<usize>,
    /// Random seed; sent to a server only if given.
    #[arg(long)]
    pub sampling_seed: Option<u64>,
    /// System message of every question.
    #[arg(long)]
    pub system: Option<String>,
    /// From where images may be sent.
    #[command(flatten)]
    pub allow: AllowImages,
    /// How a server is asked.
    #[command(flatten)]
    pub calls: CallArgs,
    /// Maximum number of sequences that --model decodes at once.
    #[arg(long, default_value_t = 64)]
    pub max_num_seqs: usize,
    /// Memory of keys and values of --model.
    #[command(flatten)]
    pub memory: MemoryArgs,
}

/// Who judges.
#[derive(Debug, Clone, Args)]
pub struct JudgeArgs {
    /// OpenAI-compatible server of a judge (key: PERCEPT_API_KEY).
    #[arg(long, value_name = "URL", requires = "judge_model")]
    pub judge_endpoint: Option<String>,
    /// Judge's model name as the server knows it; recorded in the results.
    #[arg(long, value_name = "NAME", requires = "judge_endpoint")]
    pub judge_model: Option<String>,
}

/// A question.
pub struct Query {
    /// For messages and records.
    pub id: String,
    /// Text after the image.
    pub text: String,
    /// The image.
    pub image: Option<Media>,
}

/// What was answered, in the order of the questions, and by whom.
pub struct Answers {
    pub texts: Vec<String>,
    /// Who answered, as the results record it.
    pub identity: Value,
    pub usage: Usage,
}

impl AnswererArgs {
    /// The image of this name in a folder; it is sent from there, and from the folders that are allowed besides.
    pub fn picture(&self, folder: &Path, path: PathBuf) -> Media {
        let folders = std::iter::once(folder.to_owned()).chain(self.allow.allow_images.clone());
        Media::from_path(path).within(&folders.collect())
    }

    /// Whether anybody is named.
    pub fn named(&self) -> bool {
        self.model.is_some() || self.server.endpoint.is_some()
    }

    /// Asks all questions. Answers go through the file `log`, where one is given: a command that was
    /// stopped goes on where it was.
    pub fn ask(
        &self,
        queries: Vec<Query>,
        max_tokens: usize,
        log: Option<&Path>,
        quiet: bool,
    ) -> Result<Answers, Failure> {
        let system = self.system.as_deref();
        self.with_model(max_tokens, |model, turn| {
            logged(model, log, &requests(queries, system, &turn), quiet)
        })
    }

    /// Goes on with the model, loaded, and how its answers are sampled.
    pub fn with_model<T>(
        &self,
        max_tokens: usize,
        then: impl FnOnce(&dyn ChatModel, Turn) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let turn = Turn {
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens.unwrap_or(max_tokens),
            seed: self.sampling_seed,
            ..Turn::default()
        };
        if let Some(folder) = &self.model {
            let args = ModelArgs {
                model: folder.clone(),
                adapter: self.adapter.clone(),
                device: self.device.clone(),
                attention: self.attention.clone(),
                dtype: self.dtype,
            };
            let identity = open::weights(&args)?;
            let (model, processor) = open::model(&args)?;
            crate::shared::sampling::say_unused_of(&processor, self.temperature, self.top_p);
            let sampler = LocalSampler::new(&model, &processor, 0)?
                .with_engine(self.memory.engine(self.max_num_seqs));
            return then(&Local::new(sampler, identity), turn);
        }
        let Some((url, name)) = self.server.named() else {
            return Err(Failure::new(
                "no model to ask: give --model DIR, or --endpoint URL --api-model NAME, or a file of answers",
            ));
        };
        then(&self.calls.endpoint(url, name, 0)?, turn)
    }
}

impl JudgeArgs {
    /// Whether there is a judge.
    pub fn named(&self) -> bool {
        self.judge_endpoint.is_some()
    }

    /// Asks the judge, greedily.
    pub fn ask(
        &self,
        calls: &CallArgs,
        queries: Vec<Query>,
        log: Option<&Path>,
        quiet: bool,
    ) -> Result<Answers, Failure> {
        let (Some(url), Some(name)) = (&self.judge_endpoint, &self.judge_model) else {
            return Err(Failure::new(
                "no judge: give --judge-endpoint URL --judge-model NAME",
            ));
        };
        let turn = Turn {
            temperature: 0.0,
            ..Turn::default()
        };
        let requests = requests(queries, None, &turn);
        logged(calls.endpoint(url, name, 0)?, log, &requests, quiet)
    }
}

fn requests(queries: Vec<Query>, system: Option<&str>, turn: &Turn) -> Vec<ChatRequest> {
    let one = |query: Query| {
        let mut messages: Vec<Message> = system
            .iter()
            .map(|text| Message::text(Role::System, *text))
            .collect();
        let mut question = Message::text(Role::User, query.text);
        if query.image.is_some() {
            question.content.insert(0, Part::Image(0));
        }
        messages.push(question);
        let mut sample = Sample::new(query.id, messages);
        sample.images.extend(query.image);
        ChatRequest::of(&sample, turn.clone())
    };
    queries.into_iter().map(one).collect()
}

fn logged<M: ChatModel>(
    model: M,
    log: Option<&Path>,
    requests: &[ChatRequest],
    quiet: bool,
) -> Result<Answers, Failure> {
    let Some(path) = log else {
        return all(&model, requests, quiet);
    };
    let model = Cached::open(model, path)?;
    all(&model, requests, quiet).inspect_err(|_| {
        let place = path.display();
        note!("the answers so far are in {place}: run the same command to resume");
    })
}

/// Asks all questions as the model likes to be called. A benchmark with questions left out is
/// another benchmark, so one that stays without an answer is a failure.
fn all(model: &dyn ChatModel, requests: &[ChatRequest], quiet: bool) -> Result<Answers, Failure> {
    let mut progress = AskProgress::new("answers", requests.len(), quiet);
    let request = |at: usize| Ok(requests[at].clone());
    let mut tell = |done, error: Option<&ChatError>| progress.tell(done, error);
    let replies = ask_all(model, requests.len(), request, &mut tell)?;
    let missing = replies.iter().filter(|reply| reply.is_err()).count();
    if missing > 0 {
        return Err(Failure::new(format!(
            "{missing} of {} questions have no answer; run the same command to ask them again",
            requests.len()
        )));
    }
    let texts = replies.into_iter().flatten().map(|reply| reply.text);
    Ok(Answers {
        texts: texts.collect(),
        identity: model.identity(),
        usage: model.usage(),
    })
}
