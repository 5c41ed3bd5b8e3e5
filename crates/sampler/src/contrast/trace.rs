//! What both models made of the tokens of a response.

/// Both models' numbers for each token of a response (temperature 1, nats).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// Log-probability under the sampler's own model.
    pub log_prob_tuned: Vec<f32>,
    /// Log-probability under the second model.
    pub log_prob_base: Vec<f32>,
    /// Entropy of the sampler's own model.
    pub entropy_tuned: Vec<f32>,
    /// Entropy of the second model.
    pub entropy_base: Vec<f32>,
    /// KL(tuned ‖ base).
    pub kl: Vec<f32>,
    /// Δ of the drafted token, which a gate may have replaced.
    pub drafted_delta: Vec<f32>,
    /// Whether the gate fired.
    pub fired: Vec<bool>,
}
