//! What goes to and fro between a policy and a loss: numbers of tokens, and gradients with respect to them.

use percept_kernels::train::KlDirection;

/// Values at the loss's token rows, in the order of [`Packed::targets`](crate::Packed::targets).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenValues {
    /// Natural logarithm of the target's probability.
    pub log_prob: Vec<f32>,
    /// Entropy of the distribution, in nats.
    pub entropy: Vec<f32>,
    /// Entropy of its nucleus, in nats, where it was asked for.
    pub nucleus_entropy: Option<Vec<f32>>,
    /// `KL(π_θ ‖ π_ref)` over the vocabulary, or the other way round, in nats, where the loss reads it.
    pub ref_kl: Option<Vec<f32>>,
}

/// A loss and its gradient with respect to [`TokenValues`]: all that a backward pass needs to know of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objective {
    /// The scalar; a value that is not finite makes the update be skipped.
    pub loss: f64,
    /// `[targets]`.
    pub d_log_prob: Vec<f32>,
    /// `[targets]`; none when the loss does not use the entropy.
    pub d_entropy: Option<Vec<f32>>,
    /// `[targets]`; none when the loss does not use the divergence from the reference.
    pub d_kl: Option<Vec<f32>>,
}

/// What an optimiser step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Update {
    /// Weights changed.
    Done {
        /// Global gradient norm before clipping.
        grad_norm: f64,
    },
    /// Loss or gradient was not finite; weights and moments are as before.
    NotFinite,
}

/// What the forward passes of an update are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassOptions {
    /// Softmax temperature.
    pub temperature: f32,
    /// Which way [`TokenValues::ref_kl`] is wanted, if at all. A policy without a reference leaves it out.
    pub ref_kl: Option<KlDirection>,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            ref_kl: None,
        }
    }
}

/// A forward pass whose backward pass is still to come. `S` is what the policy saves for that.
pub struct Pass<S> {
    /// What the pass says of its targets.
    pub values: TokenValues,
    /// Merged vision tokens that the tower computed for it.
    pub vision_tokens: usize,
    /// For [`Policy::backward`](crate::Policy::backward).
    pub saved: S,
}

/// Whose values are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The policy's.
    Current,
    /// The frozen reference's; the policy's where there is none.
    Reference,
}

/// What forward passes without a gradient are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreOptions {
    /// Whose values.
    pub weights: Weights,
    /// Softmax temperature.
    pub temperature: f32,
    /// Nucleus size for [`TokenValues::nucleus_entropy`].
    pub top_p: Option<f64>,
}

/// Where the reference of a stage that has begun came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceSource {
    /// The copy that the stage made at its start.
    Copy,
    /// The base of the adapters: the run began with a version that made no copy.
    Base,
}
