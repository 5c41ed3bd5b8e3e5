//! The policy on this machine: forward and backward passes of a [`Model`], AdamW on its gradients.

use std::path::Path;

use burn::tensor::Tensor;
use percept_kernels::sparse::AttentionConfig;
use percept_model::{Activations, GradientCheckpointing, Model, ParamGrads, SharedVision};
use percept_nn::{AdamW, Moments};
use rayon::prelude::*;

use crate::batch::balance::in_order;
use crate::batch::pack::{Packed, shared_vision};
use crate::policy::reached::Reached;
use crate::policy::schedule::chosen_blocks;
use crate::policy::values::{
    Objective, Pass, PassOptions, ReferenceSource, ScoreOptions, TokenValues, Update, Weights,
};
use crate::policy::{LocalModel, Policy, moments, reference};
use crate::{Error, OptimConfig, Recipe, TopKAnnealing};

/// A model in training.
pub struct Learner {
    model: Model,
    reference: Option<Model>,
    gradient_checkpointing: GradientCheckpointing,
    /// How the blocks that attention chooses become fewer, and how few at last.
    annealing: Option<(TopKAnnealing, usize)>,
    grads: ParamGrads,
    /// Images that several passes of this update show.
    vision: SharedVision,
    /// The same for the reference, where the loss needs its distributions.
    reference_vision: SharedVision,
    moments: Vec<Moments>,
    /// Gradients that each parameter had, as torch counts them: AdamW's bias correction.
    steps: Vec<usize>,
    finite: bool,
    reached: Reached,
}

/// A forward pass that waits for its backward pass.
pub struct SavedPass {
    activations: Activations,
    log_prob: Tensor<1>,
    entropy: Tensor<1>,
    kl: Option<Tensor<1>>,
}

impl Learner {
    /// Takes a model with its trainable parameters marked.
    pub fn new(model: Model, recipe: &Recipe) -> Self {
        let attention = recipe.model.attention.as_ref();
        let top_k = attention.and_then(AttentionConfig::top_k);
        Self {
            moments: fresh_moments(&model),
            steps: vec![0; model.parameters().len()],
            grads: ParamGrads::new(model.parameters().len()),
            gradient_checkpointing: recipe.model.gradient_checkpointing,
            annealing: recipe.model.top_k_annealing.clone().zip(top_k),
            vision: SharedVision::default(),
            reference_vision: SharedVision::default(),
            reference: None,
            finite: true,
            reached: Reached::default(),
            model,
        }
    }

    fn weights(&self, whose: Weights) -> &Model {
        match whose {
            Weights::Current => &self.model,
            Weights::Reference => self.reference.as_ref().unwrap_or(&self.model),
        }
    }

    /// Hidden states of the loss's rows and the head, of the reference.
    fn reference_hidden(&mut self, packed: &Packed) -> Result<Option<[Tensor<2>; 2]>, Error> {
        let Some(reference) = &self.reference else {
            return Ok(None);
        };
        let vision = &mut self.reference_vision;
        let hidden = reference.forward_no_grad_shared(&packed.batch, vision)?;
        let hidden = percept_nn::gather_rows(hidden, &packed.rows);
        Ok(Some([hidden, reference.lm_head().inner()]))
    }

    /// Weights and moments of everything that is trained, by name, one after the other, with the largest magnitude
    /// that a later step could go on from: the square of a larger weight is infinite.
    fn trained_values(&self) -> impl Iterator<Item = (String, f32, Vec<f32>)> {
        let all = self.model.parameters().iter().zip(&self.moments);
        let trained = all.filter(|(param, _)| param.trainable());
        trained.flat_map(|(param, moments)| {
            let name = param.name();
            let values =
                |of: &str, values| (format!("{of}{name}"), f32::MAX, percept_nn::to_vec(values));
            [
                (name.to_owned(), f32::MAX.sqrt(), param.to_vec()),
                values("the optimiser's first moment of ", &moments.first),
                values("the optimiser's second moment of ", &moments.second),
            ]
        })
    }
}

impl LocalModel for Learner {
    fn model(&self) -> &Model {
        &self.model
    }
}

impl Policy for Learner {
    type Saved = SavedPass;

    /// `model.top_k_annealing`: the blocks that attention chooses in this step.
    fn begin_step(&mut self, done: usize, total: usize) -> Result<(), Error> {
        let Some((annealing, top_k)) = &self.annealing else {
            return Ok(());
        };
        let top_k = chosen_blocks(annealing, *top_k, done, total);
        let attention = self.model.config().attention.clone().with_top_k(top_k)?;
        Ok(self.model.set_attention(attention)?)
    }

    /// The vision tower computes an image that several passes show once, forward and backward, and keeps
    /// what [`SharedVision`] says from the first to the last of them.
    fn plan_update(&mut self, passes: &[Packed], options: &PassOptions) {
        self.vision = shared_vision(passes);
        if options.ref_kl.is_some() {
            self.reference_vision = shared_vision(passes);
        }
    }

    /// A shared image goes through the tower with dropout masks from the seed of the first pass that shows it.
    fn forward(
        &mut self,
        packed: &Packed,
        options: &PassOptions,
        dropout_seed: u64,
    ) -> Result<Pass<SavedPass>, Error> {
        self.reached.see(!packed.batch.images.is_empty());
        // Of the reference first, before the policy's activations are there.
        let second = match options.ref_kl {
            Some(direction) => self.reference_hidden(packed)?.map(|it| (it, direction)),
            None => None,
        };
        let before = self.vision.tokens();
        self.model.set_dropout_seed(Some(dropout_seed));
        let passed =
            self.model
                .forward_train(&packed.batch, self.gradient_checkpointing, &mut self.vision);
        // Sampling, evaluation and log-probabilities without gradients see the whole model.
        self.model.set_dropout_seed(None);
        let (hidden, activations) = passed?;
        let hidden = percept_nn::gather_rows(hidden, &packed.rows);
        let (precision, head) = (self.model.precision(), self.model.lm_head());
        let (targets, temperature) = (&packed.targets, options.temperature);
        let (stats, kl) = match second {
            None => {
                let stats =
                    percept_nn::linear_log_prob_in(precision, hidden, head, targets, temperature);
                (stats, None)
            }
            Some((second, direction)) => {
                let (stats, kl) = percept_nn::linear_log_prob_kl_in(
                    precision,
                    hidden,
                    head,
                    targets,
                    temperature,
                    second,
                    direction,
                );
                (stats, Some(kl))
            }
        };
        let values = TokenValues {
            log_prob: percept_nn::to_vec(&stats.log_prob),
            entropy: percept_nn::to_vec(&stats.entropy),
            nucleus_entropy: None,
            ref_kl: kl.as_ref().map(percept_nn::to_vec),
        };
        Ok(Pass {
            values,
            vision_tokens: self.vision.tokens() - before,
            saved: SavedPass {
                activations,
                log_prob: stats.log_prob,
                entropy: stats.entropy,
                kl,
            },
        })
    }

    fn backward(&mut self, saved: SavedPass, objective: &Objective) -> Result<(), Error> {
        // A scalar with exactly the gradient that the objective asks for.
        let mut scalar = percept_nn::dot(saved.log_prob, &objective.d_log_prob);
        if let Some(d_entropy) = &objective.d_entropy {
            scalar = scalar + percept_nn::dot(saved.entropy, d_entropy);
        }
        if let Some((kl, d_kl)) = saved.kl.zip(objective.d_kl.as_ref()) {
            scalar = scalar + percept_nn::dot(kl, d_kl);
        }
        let grads = self
            .model
            .backward(saved.activations, scalar, &mut self.vision);
        self.finite &= objective.loss.is_finite();
        self.grads.add(grads);
        Ok(())
    }

    fn optim_step(&mut self, config: &OptimConfig, lr: f64) -> Result<Update, Error> {
        let mut grads = std::mem::take(&mut self.grads);
        grads.add(std::mem::take(&mut self.vision).finish(&self.model));
        self.reference_vision = SharedVision::default();
        let finite = std::mem::replace(&mut self.finite, true);
        self.reached.check(&self.model, &grads)?;
        let (indices, mut grads): (Vec<usize>, Vec<_>) = grads
            .into_iter()
            .enumerate()
            .filter_map(|(index, grad)| Some((index, grad?.into_flat())))
            .unzip();
        let grad_norm = percept_nn::global_norm(&mut grads);
        if !finite || !grad_norm.is_finite() {
            return Ok(Update::NotFinite);
        }
        let scale = match config.clip_grad {
            limit if limit > 0.0 && grad_norm > limit => limit / (grad_norm + 1e-6),
            _ => 1.0,
        };
        let params = self.model.parameters_mut();
        for (index, grad) in indices.into_iter().zip(grads) {
            let param = &mut params[index];
            let matrix = param.shape().len() > 1;
            let step = AdamW {
                lr,
                beta1: config.beta1,
                beta2: config.beta2,
                eps: config.eps,
                weight_decay: if matrix { config.weight_decay } else { 0.0 },
                grad_scale: scale,
            };
            let (moments, count) = (&mut self.moments[index], &mut self.steps[index]);
            *count += 1;
            param.replace(|values| step.step(values, grad, moments, *count));
        }
        Ok(Update::Done { grad_norm })
    }

    fn score(&self, passes: &[Packed], options: &ScoreOptions) -> Result<Vec<TokenValues>, Error> {
        let model = self.weights(options.weights);
        score_passes(model, passes, options.temperature, options.top_p)
    }

    /// Passes side by side: one of a small model leaves most threads idle, and no kernel's sums depend on the threads.
    fn score_each(
        &self,
        passes: &[Packed],
        options: &ScoreOptions,
        tokens: usize,
    ) -> Result<Vec<TokenValues>, Error> {
        let model = self.weights(options.weights);
        let (temperature, top_p) = (options.temperature, options.top_p);
        let lengths: Vec<usize> = passes.iter().map(|pass| pass.batch.tokens.len()).collect();
        let mut all = Vec::with_capacity(passes.len());
        for together in in_order(&lengths, tokens) {
            let found: Vec<Vec<TokenValues>> = together
                .into_par_iter()
                .with_max_len(1)
                .map(|pass| score_passes(model, &passes[pass..=pass], temperature, top_p))
                .collect::<Result<_, Error>>()?;
            all.extend(found.into_iter().flatten());
        }
        Ok(all)
    }

    fn reset_optimizer(&mut self) {
        self.moments = fresh_moments(&self.model);
        self.steps.fill(0);
    }

    fn keep_reference(&self, folder: &Path) -> Result<(), Error> {
        reference::keep(&self.model, folder)
    }

    fn release_reference(&mut self) {
        self.reference = None;
    }

    fn load_reference(&mut self, folder: &Path) -> Result<ReferenceSource, Error> {
        let (reference, source) = reference::open(&self.model, folder)?;
        self.reference = Some(reference);
        Ok(source)
    }

    fn check(&self) -> Result<(), String> {
        for (name, largest, values) in self.trained_values() {
            // Also NaN is not at most the largest.
            let holds = |value: &f32| value.abs() <= largest;
            if let Some(value) = values.iter().find(|value| !holds(value)) {
                return Err(format!("{name} holds {value:e}"));
            }
        }
        Ok(())
    }

    fn save_weights(&self, dir: &Path) -> Result<(), Error> {
        reference::write_weights(&self.model, dir)
    }

    fn save_optimizer(&self, path: &Path) -> Result<(), Error> {
        moments::save(path, self.model.parameters(), &self.moments, &self.steps)
    }

    fn load_optimizer(&mut self, path: &Path, updates: usize) -> Result<(), Error> {
        let device = self.model.device();
        (self.moments, self.steps) = moments::load(path, self.model.parameters(), device, updates)?;
        Ok(())
    }
}

fn fresh_moments(model: &Model) -> Vec<Moments> {
    let size = |param: &percept_model::Param| if param.trainable() { param.numel() } else { 0 };
    model
        .parameters()
        .iter()
        .map(|param| Moments::zeros(size(param), model.device()))
        .collect()
}

/// Values of the targets of each pass under `model`, without gradients; an image that several passes
/// show is encoded once. With `top_p`, also the entropies of the nucleus.
///
/// # Errors
/// [`Error::Model`] when a batch does not fit the model.
pub(crate) fn score_passes(
    model: &Model,
    passes: &[Packed],
    temperature: f32,
    top_p: Option<f64>,
) -> Result<Vec<TokenValues>, Error> {
    let mut vision = shared_vision(passes);
    let values = |packed: &Packed| -> Result<TokenValues, Error> {
        let hidden = model.forward_no_grad_shared(&packed.batch, &mut vision)?;
        let hidden = percept_nn::gather_rows(hidden, &packed.rows);
        let head = model.lm_head().inner();
        let nucleus_entropy =
            top_p.map(|top_p| percept_nn::nucleus_entropy(&hidden, &head, temperature, top_p));
        let precision = model.precision();
        let targets = &packed.targets;
        let stats = percept_nn::linear_log_prob_in(precision, hidden, head, targets, temperature);
        Ok(TokenValues {
            log_prob: percept_nn::to_vec(&stats.log_prob),
            entropy: percept_nn::to_vec(&stats.entropy),
            nucleus_entropy,
            ref_kl: None,
        })
    };
    passes.iter().map(values).collect()
}
