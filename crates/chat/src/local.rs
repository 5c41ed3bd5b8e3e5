//! A percept model in this process.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use percept_base::lock;
use percept_base::random::splitmix;
use percept_data::{Message, Sample};
use percept_model::{Processor, Prompt};
use percept_sampler::{Error, FinishReason, LocalSampler, Response, SamplingParams};
use serde_json::Value;

use crate::{
    Calls, ChatError, ChatFinish, ChatModel, ChatReply, ChatRequest, Prices, TokenLogProb, Turn,
    Usage,
};

/// A [`LocalSampler`] that answers conversations. Neighbouring requests that are sampled alike are decoded together; an
/// answer depends on its request alone (row, candidate, seed), not on its place or neighbours, so that a process that was
/// killed and asks only what is missing gets the same answers.
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
        let streams: Vec<u64> = requests.iter().map(stream).collect();
        let top = first.turn.top_logprobs;
        let responses = self.sampler.respond(&prompts, &streams, &params, top)?;
        let replies = responses.into_iter().zip(&prompts);
        Ok(replies
            .map(|(response, prompt)| reply(processor, response, prompt))
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
        ..SamplingParams::default()
    }
}

/// The stream of a request's draws: candidates of one seed differ, and so do rows.
fn stream(request: &ChatRequest) -> u64 {
    splitmix(request.turn.seed.unwrap_or(0)) ^ request.stream()
}

/// How a request is sampled, without what tells requests apart.
fn manner(request: &ChatRequest) -> Turn {
    Turn {
        seed: None,
        candidate: 0,
        ..request.turn.clone()
    }
}

/// Ranges of neighbours that one call of the sampler can serve.
fn alike(requests: &[ChatRequest]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        match ranges.last_mut() {
            Some(range) if manner(&requests[range.start]) == manner(request) => range.end = at + 1,
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

fn reply(processor: &Processor, response: Response, prompt: &Prompt) -> ChatReply {
    let Response { rollout, first } = response;
    let named = |(id, logprob): (u32, f32)| TokenLogProb {
        token: processor.token_text(id),
        logprob: f64::from(logprob),
    };
    ChatReply {
        first_token: first.into_iter().map(named).collect(),
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
