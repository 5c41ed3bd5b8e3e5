//! A percept model in this process.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use percept_base::lock;
use percept_data::{Message, Sample};
use percept_model::Prompt;
use percept_sampler::{Error, FinishReason, LocalSampler, Rollout, Sampler, SamplingParams};
use serde_json::Value;

use crate::{Calls, ChatError, ChatFinish, ChatModel, ChatReply, ChatRequest, Prices, Usage};

/// A [`LocalSampler`] that answers conversations. Neighbouring requests that are sampled alike are
/// decoded together; an answer depends on its place among them, as the draws of a
/// [`Sampler::generate`] do.
pub struct Local<'a> {
    sampler: LocalSampler<'a>,
    identity: Value,
    usage: Mutex<Usage>,
}

impl<'a> Local<'a> {
    /// `identity` names the weights: the folder and what tells its versions apart.
    pub fn new(sampler: LocalSampler<'a>, identity: Value) -> Self {
        Self {
            sampler,
            identity,
            usage: Mutex::default(),
        }
    }

    fn batch(&self, requests: &[ChatRequest]) -> Result<Vec<ChatReply>, Error> {
        let processor = self.sampler.processor();
        let prompts = requests
            .iter()
            .map(|request| Ok(Arc::new(processor.prompt(&sample(request))?)))
            .collect::<Result<Vec<Arc<Prompt>>, Error>>()?;
        let Some(first) = requests.first() else {
            return Ok(Vec::new());
        };
        let params = params(first);
        let rollouts = self.sampler.generate(&prompts, &params, &mut |_| {})?;
        let replies = rollouts.into_iter().zip(&prompts);
        Ok(replies
            .map(|(rollout, prompt)| reply(rollout, prompt))
            .collect())
    }
}

impl ChatModel for Local<'_> {
    fn identity(&self) -> Value {
        self.identity.clone()
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for range in alike(requests) {
            let group = &requests[range];
            // One prompt that cannot be read must not take its neighbours with it.
            match self.batch(group) {
                Ok(replies) => answers.extend(replies.into_iter().map(Ok)),
                Err(Error::Model(_)) if group.len() > 1 => {
                    let alone = group.iter().map(std::slice::from_ref);
                    answers.extend(alone.flat_map(|request| self.chat(request)));
                    continue;
                }
                Err(error) => answers.extend(failures(error, group)),
            }
            let mut usage = lock(&self.usage);
            usage.requests += group.len() as u64;
            for reply in answers.iter().rev().take(group.len()).flatten() {
                usage.add(reply, &Prices::default());
            }
        }
        answers
    }

    fn calls(&self) -> Calls {
        Calls {
            at_once: 1,
            requests: self.sampler.engine().max_num_seqs,
        }
    }

    fn usage(&self) -> Usage {
        lock(&self.usage).clone()
    }
}

/// How a request is sampled.
fn params(first: &ChatRequest) -> SamplingParams {
    let turn = &first.turn;
    SamplingParams {
        temperature: turn.temperature,
        top_p: turn.top_p,
        max_tokens: turn.max_tokens,
        stop: turn.stop.clone(),
        // Candidates of one seed differ, and so do the draws of two calls.
        seed: turn.seed.unwrap_or(0) ^ first.stream(),
        ..SamplingParams::default()
    }
}

/// Ranges of neighbours that one call of the sampler can serve.
fn alike(requests: &[ChatRequest]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        match ranges.last_mut() {
            Some(range) if requests[range.start].turn == request.turn => range.end = at + 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}

/// The error of a batch, for each of its requests.
fn failures(error: Error, group: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
    if let [_] = group {
        return vec![Err(error.into())];
    }
    let message = error.to_string();
    let failures = group.iter().map(|request| {
        Err(ChatError::Batch {
            id: request.id.clone(),
            message: message.clone(),
        })
    });
    failures.collect()
}

fn sample(request: &ChatRequest) -> Sample {
    let messages: Vec<Message> = request.turns().to_vec();
    Sample {
        images: request.images.clone(),
        videos: request.videos.clone(),
        ..Sample::new(request.id.clone(), messages)
    }
}

fn reply(rollout: Rollout, prompt: &Prompt) -> ChatReply {
    ChatReply {
        text: rollout.text,
        reasoning: None,
        finish_reason: match rollout.finish_reason {
            FinishReason::Stop => ChatFinish::Stop,
            FinishReason::Length => ChatFinish::Length,
        },
        prompt_tokens: prompt.tokens.len() as u64,
        completion_tokens: rollout.tokens.len() as u64,
        model: "local".into(),
        cached: false,
    }
}
