//! Asking a local model about long texts, through a file from which a stopped command goes on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use percept_base::AppendLog;
use percept_benchmarks::long::Question;
use percept_data::{Message, Role, Sample};
use percept_model::{Model, Processor, Prompt};
use percept_sampler::{EngineConfig, LocalSampler, Sampler, SamplingParams};
use serde_json::{Value, json};

use crate::shared::Failure;
use crate::shared::progress::Counter;

/// Who is asked and how.
pub struct Asking<'a> {
    pub model: &'a Model,
    pub processor: &'a Processor,
    /// Names the weights: answers of others are not taken over.
    pub identity: &'a Value,
    pub chat: bool,
    /// What is decoded together.
    pub engine: EngineConfig,
    pub quiet: bool,
}

/// Greedy answers, in the order of the questions.
pub fn answers(
    asking: &Asking<'_>,
    questions: &[Question],
    log: Option<&Path>,
) -> Result<Vec<String>, Failure> {
    let (log, lines) = match log {
        None => (None, Vec::new()),
        Some(path) => {
            let (log, lines) = AppendLog::open(path)?;
            (Some(log), lines)
        }
    };
    let text = |line: &Value, field: &str| line[field].as_str().map(str::to_owned);
    let known: HashMap<String, String> = lines
        .iter()
        .filter_map(|line| Some((text(line, "key")?, text(line, "pred")?)))
        .collect();
    let keys: Vec<String> = questions
        .iter()
        .map(|q| q.key(asking.identity, asking.chat))
        .collect();
    let mut found: Vec<Option<String>> = keys.iter().map(|k| known.get(k).cloned()).collect();
    let open: Vec<usize> = (0..questions.len())
        .filter(|&i| found[i].is_none())
        .collect();
    let sampler =
        LocalSampler::new(asking.model, asking.processor, 0)?.with_engine(asking.engine.clone());
    let mut done = questions.len() - open.len();
    let mut counter = Counter::new("", asking.quiet);
    // Neighbours have the same length of answer, but for the border between two tasks.
    for part in open.chunk_by(|&a, &b| limit(&questions[a]) == limit(&questions[b])) {
        for part in part.chunks(asking.engine.max_num_seqs) {
            let prompts = part
                .iter()
                .map(|&i| prompt(asking, &questions[i]).map(Arc::new))
                .collect::<Result<Vec<_>, _>>()?;
            let params = SamplingParams {
                temperature: 0.0,
                max_tokens: limit(&questions[part[0]]),
                n: 1,
                ..SamplingParams::default()
            };
            let rollouts = sampler.generate(&prompts, &params, &mut |_| {})?;
            let mut fresh = Vec::new();
            for (&i, rollout) in part.iter().zip(rollouts) {
                fresh.push(json!({ "key": keys[i], "pred": rollout.text }));
                found[i] = Some(rollout.text);
            }
            if let Some(log) = &log {
                log.append(&fresh)?;
            }
            done += part.len();
            counter.tell(done, questions.len(), "questions");
        }
    }
    Ok(found.into_iter().flatten().collect())
}

fn limit(question: &Question) -> usize {
    question.tokens_to_generate
}

fn prompt(asking: &Asking<'_>, question: &Question) -> Result<Prompt, Failure> {
    let processor = asking.processor;
    if asking.chat {
        let mut prompt = chat_prompt(processor, &question.input)?;
        prompt.extend(&processor.encode(&question.answer_prefix)?);
        return Ok(prompt);
    }
    let text = question.input.clone() + &question.answer_prefix;
    Ok(Prompt::text(processor.encode_document(&text)?, text))
}

/// The text as a turn of the user, and the opening of the assistant's.
pub fn chat_prompt(processor: &Processor, text: &str) -> Result<Prompt, Failure> {
    let sample = Sample::new("question", vec![Message::text(Role::User, text)]);
    Ok(processor.prompt(&sample)?)
}
