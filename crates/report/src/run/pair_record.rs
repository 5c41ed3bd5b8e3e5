//! What a preference step saw of one pair, as it is in rows of Parquet and on a page of the viewer.

use std::sync::Arc;

/// One response of a pair: an answer, with the pictures that it was read with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairResponse {
    /// What it is in its pair, in the words of `percept_credit`'s `Kind::name`: `chosen`, `rejected`,
    /// `chosen_rejected_image`, ….
    pub kind: String,
    /// Number among the responses of its kind, from 0: there may be several rejected answers.
    pub number: u32,
    /// The answer.
    pub completion: String,
    /// Encoded pictures that it was read with, in order; none where they were taken away.
    pub images: Vec<Arc<[u8]>>,
    /// Token ids of the answer.
    pub tokens: Vec<u32>,
    /// Text of each token.
    pub token_text: Vec<String>,
    /// Log-probability of each token under the policy, before the update.
    pub log_probs: Vec<f32>,
    /// The same under the reference; empty where the loss has none.
    pub ref_log_probs: Vec<f32>,
    /// Implicit reward.
    pub reward: Option<f64>,
    /// Reward of the chosen response minus this one's: below 0 the policy prefers this one. None for `chosen`.
    pub margin: Option<f64>,
    /// What the loss gives it: the derivative of the pair's loss with respect to its reward, so that a pull up is
    /// below 0. In AdaViP it moves between the language and the vision contrast.
    pub weight: Option<f64>,
}

/// What a preference step saw of one pair.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairRecord {
    /// Step of the run that trained on it.
    pub step: u64,
    /// Number of the pair within the step, from 0.
    pub pair: u32,
    /// Stable id of the row in its data set.
    pub id: String,
    /// The prompt as a person reads it.
    pub prompt: String,
    /// The pair's loss.
    pub loss: Option<f64>,
    /// What the loss contrasts, the chosen response first.
    pub responses: Vec<PairResponse>,
}

/// End of the names of kinds whose responses are read with rejected pictures.
const REJECTED_IMAGE: &str = "_rejected_image";

impl PairRecord {
    /// The chosen response.
    pub fn chosen(&self) -> Option<&PairResponse> {
        self.responses
            .iter()
            .find(|response| response.kind == "chosen")
    }

    /// The smallest margin: below 0 where the policy prefers one of the others to the chosen response.
    pub fn margin(&self) -> Option<f64> {
        let margins = self.responses.iter().filter_map(|response| response.margin);
        margins.reduce(f64::min)
    }

    /// Says which list is not as long as its response's `tokens`.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.responses.is_empty() {
            return Err(format!("pair {}: no responses", self.id));
        }
        for response in &self.responses {
            let tokens = response.tokens.len();
            let lists = [
                ("token_text", response.token_text.len()),
                ("log_probs", response.log_probs.len()),
                ("ref_log_probs", response.ref_log_probs.len()),
            ];
            if let Some((name, len)) = lists.iter().find(|(_, len)| *len != 0 && *len != tokens) {
                return Err(format!(
                    "pair {}, {}: {name} has {len} entries for {tokens} tokens",
                    self.id, response.kind
                ));
            }
        }
        Ok(())
    }
}

impl PairResponse {
    /// Whether it was read with pictures that are rejected.
    pub fn has_rejected_images(&self) -> bool {
        self.kind.ends_with(REJECTED_IMAGE)
    }
}
