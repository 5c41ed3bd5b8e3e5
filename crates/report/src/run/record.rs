//! One stored rollout, as it is in a row of Parquet and on a page of the viewer.

use std::sync::Arc;

/// One named part of a reward.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RewardPart {
    /// `accuracy`, `format`, ….
    pub name: String,
    /// The score; `None` when it could not be graded.
    pub value: Option<f64>,
    /// Why it could not be graded, or a remark of the verifier.
    pub reason: Option<String>,
}

/// One stored rollout. Per-token lists have one entry per token; an empty one (`weights`:
/// `None`) was not measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RolloutRecord {
    /// Step of the run that trained on it.
    pub step: u64,
    /// Version of the weights that sampled it.
    pub weight_version: u64,
    /// Stable id of the row in its data set.
    pub prompt_id: String,
    /// Index within the group of one prompt.
    pub sample: u32,
    /// Whether it is an expert's trajectory that entered the group, and no sample of the policy.
    pub is_expert: bool,
    /// Kind of question, where the data set names it.
    pub question_type: Option<String>,
    /// Ground truth.
    pub answer: Option<String>,
    /// The prompt as a person reads it.
    pub prompt: String,
    /// The response.
    pub completion: String,
    /// `stop` or `length`.
    pub finish_reason: String,
    /// Total reward; `None` when ungraded.
    pub reward: Option<f64>,
    /// Advantage of the whole response.
    pub advantage: Option<f64>,
    /// What the total is made of.
    pub reward_parts: Vec<RewardPart>,
    /// Token ids of the response.
    pub tokens: Vec<u32>,
    /// Text of each token.
    pub token_text: Vec<String>,
    /// Log-probabilities under the sampling policy.
    pub log_probs: Vec<f32>,
    /// Entropy of the policy at each token, in nats.
    pub entropy: Vec<f32>,
    /// Advantage of each token, weight included.
    pub token_advantages: Vec<f32>,
    /// Weight of each token, where the method has one.
    pub weights: Option<Vec<f32>>,
    /// Entropy of the nucleus at each token, in nats, where a method asks for it.
    pub nucleus_entropy: Option<Vec<f32>>,
    /// Log-probability of each token with the image taken away, where a method asks for it.
    pub log_prob_no_image: Option<Vec<f32>>,
    /// ToR's sets: 0 neither, 1 perception, 2 reasoning, 3 both.
    pub token_set: Option<Vec<f32>>,
    /// Encoded images of the prompt, in order.
    pub images: Vec<Arc<[u8]>>,
}

/// What the verifier said about a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Full score.
    Right,
    /// Between none and full.
    Partial,
    /// No score.
    Wrong,
    /// Could not be graded.
    Ungraded,
}

impl Verdict {
    /// `right`, `partial`, `wrong` or `ungraded`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Right => "right",
            Verdict::Partial => "partial",
            Verdict::Wrong => "wrong",
            Verdict::Ungraded => "ungraded",
        }
    }
}

impl RolloutRecord {
    /// By the reward part `accuracy`; by the total where there is none.
    pub fn verdict(&self) -> Verdict {
        let accuracy = self
            .reward_parts
            .iter()
            .find(|part| part.name == "accuracy");
        match accuracy.map_or(self.reward, |part| part.value) {
            Some(value) if value >= 1.0 => Verdict::Right,
            Some(value) if value > 0.0 => Verdict::Partial,
            Some(_) => Verdict::Wrong,
            None => Verdict::Ungraded,
        }
    }

    /// Says which list is not as long as `tokens`.
    pub(crate) fn check(&self) -> Result<(), String> {
        let lists = [
            ("token_text", self.token_text.len()),
            ("log_probs", self.log_probs.len()),
            ("entropy", self.entropy.len()),
            ("token_advantages", self.token_advantages.len()),
            ("weights", self.weights.as_ref().map_or(0, Vec::len)),
            (
                "nucleus_entropy",
                self.nucleus_entropy.as_ref().map_or(0, Vec::len),
            ),
            (
                "log_prob_no_image",
                self.log_prob_no_image.as_ref().map_or(0, Vec::len),
            ),
            ("token_set", self.token_set.as_ref().map_or(0, Vec::len)),
        ];
        let wrong = lists
            .iter()
            .find(|(_, len)| *len != 0 && *len != self.tokens.len());
        match wrong {
            None => Ok(()),
            Some((name, len)) => Err(format!(
                "rollout {}#{}: {name} has {len} entries for {} tokens",
                self.prompt_id,
                self.sample,
                self.tokens.len()
            )),
        }
    }
}
