//! Penalties on tokens that stand in prompt or response, with vLLM's names and definitions.
//!
//! On the logits, before temperature and truncation:
//! 1. `repetition_penalty` r, for tokens of the prompt and of the response: `l / r` where `l > 0`, else `l · r`
//!    (Keskar et al. 2019, arXiv 1909.05858; also Hugging Face `generate`);
//! 2. `frequency_penalty` f and `presence_penalty` p, for tokens that stand c times in the response: `l − f · c − p`.

use std::collections::BTreeMap;

use crate::SamplingParams;

/// The tokens of one sequence that are penalised.
pub(crate) struct Penalties {
    /// Tokens of the prompt, each once, ascending.
    prompt: Vec<u32>,
    /// How often the response has a token.
    counts: BTreeMap<u32, u32>,
}

impl Penalties {
    /// Those of an empty response to this prompt; none where nothing is penalised.
    pub fn new(params: &SamplingParams, prompt: &[u32]) -> Option<Self> {
        if !params.penalises() {
            return None;
        }
        let mut prompt = match params.repetition_penalty == 1.0 {
            true => Vec::new(),
            false => prompt.to_vec(),
        };
        prompt.sort_unstable();
        prompt.dedup();
        Some(Self {
            prompt,
            counts: BTreeMap::new(),
        })
    }

    /// The response gets a token.
    pub fn push(&mut self, token: u32) {
        *self.counts.entry(token).or_default() += 1;
    }

    /// Changes a row of logits.
    pub fn apply(&self, params: &SamplingParams, logits: &mut [f32]) {
        let r = params.repetition_penalty;
        if r != 1.0 {
            let only_prompt = self
                .prompt
                .iter()
                .filter(|id| !self.counts.contains_key(id));
            for &id in only_prompt.chain(self.counts.keys()) {
                if let Some(logit) = logits.get_mut(id as usize) {
                    *logit = if *logit > 0.0 { *logit / r } else { *logit * r };
                }
            }
        }
        for (&id, &count) in &self.counts {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit -= params.frequency_penalty * count as f32 + params.presence_penalty;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_and_response_repeat_but_only_the_response_is_frequent_or_present() {
        let params = SamplingParams {
            repetition_penalty: 2.0,
            frequency_penalty: 0.25,
            presence_penalty: 0.5,
            ..Default::default()
        };
        // Token 0 in the prompt, 1 in both, 2 twice in the response, 3 nowhere, 9 beyond the row.
        let mut penalties = Penalties::new(&params, &[1, 0, 0, 9]).unwrap();
        for token in [2, 1, 2] {
            penalties.push(token);
        }
        let mut logits = [4.0, -4.0, 6.0, 4.0];
        penalties.apply(&params, &mut logits);
        assert_eq!(logits, [2.0, -8.0 - 0.75, 3.0 - 1.0, 4.0]);
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_penalised() {
        assert!(Penalties::new(&SamplingParams::default(), &[1, 2]).is_none());
    }
}
