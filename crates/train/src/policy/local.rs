//! The local engine: log-probabilities, gradients, optimiser steps.
//!
//! The four operations are those of design §7's `PolicyBackend`: forward, forward_backward,
//! optim_step, save/load. The losses are computed on the host from log-probabilities and
//! entropies; what comes back are their gradients, which this file sends through the model.

use std::path::Path;

use percept_model::{GradientCheckpointing, Model, ParamGrads, SaveDtype, SharedVision};
use percept_nn::{AdamW, Moments};
use percept_report::RunDir;

use crate::batch::pack::{Packed, shared_vision};
use crate::policy::moments;
use crate::{Error, OptimConfig, Recipe};

/// Values at the loss's token rows, in the order of [`Packed::targets`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenValues {
    /// Natural logarithm of the target's probability.
    pub log_prob: Vec<f32>,
    /// Entropy of the distribution, in nats.
    pub entropy: Vec<f32>,
    /// Entropy of its nucleus, in nats, where it was asked for.
    pub nucleus_entropy: Option<Vec<f32>>,
    /// `KL(π_θ ‖ π_ref)` over the vocabulary, in nats, where the loss reads it.
    pub ref_kl: Option<Vec<f32>>,
}

impl TokenValues {
    /// Appends the values of the next response.
    pub(crate) fn extend(&mut self, next: Self) {
        self.log_prob.extend(next.log_prob);
        self.entropy.extend(next.entropy);
        if let Some(values) = next.nucleus_entropy {
            self.nucleus_entropy.get_or_insert_default().extend(values);
        }
    }
}

/// A loss and its gradient with respect to [`TokenValues`].
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

/// A model in training.
pub struct Learner {
    model: Model,
    reference: Option<Model>,
    /// Whether the loss compares whole distributions with the reference's.
    needs_ref_kl: bool,
    gradient_checkpointing: GradientCheckpointing,
    grads: ParamGrads,
    /// Images that several passes of this update show.
    vision: SharedVision,
    /// The same for the reference, where the loss needs its distributions.
    reference_vision: SharedVision,
    moments: Vec<Moments>,
    /// Gradients that each parameter had, as torch counts them: AdamW's bias correction.
    steps: Vec<usize>,
    finite: bool,
    checked: bool,
    saw_images: bool,
}

impl Learner {
    /// Takes a model with its trainable parameters marked.
    pub fn new(model: Model, recipe: &Recipe) -> Self {
        Self {
            moments: fresh_moments(&model),
            steps: vec![0; model.parameters().len()],
            grads: ParamGrads::new(model.parameters().len()),
            gradient_checkpointing: recipe.model.gradient_checkpointing,
            vision: SharedVision::default(),
            reference_vision: SharedVision::default(),
            reference: None,
            needs_ref_kl: recipe.algorithm.loss.needs_ref_kl(),
            finite: true,
            checked: false,
            saw_images: false,
            model,
        }
    }

    /// Changes how many blocks attention chooses.
    pub(crate) fn set_top_k(&mut self, top_k: usize) -> Result<(), Error> {
        let attention = self.model.config().attention.clone().with_top_k(top_k)?;
        Ok(self.model.set_attention(attention)?)
    }

    /// The current weights.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Log-probabilities and entropies without gradients; with `top_p`, also the entropies of the
    /// nucleus. `vision` are the images that passes of this method share, or `default()`.
    ///
    /// # Errors
    /// [`Error::Model`] when the batch does not fit the model.
    pub fn log_probs(
        &self,
        packed: &Packed,
        vision: &mut SharedVision,
        temperature: f32,
        top_p: Option<f64>,
    ) -> Result<TokenValues, Error> {
        token_values(&self.model, packed, vision, temperature, top_p)
    }

    /// Log-probabilities under the frozen reference: the weights at the start of the stage.
    ///
    /// # Errors
    /// As [`Learner::log_probs`].
    pub fn reference_log_probs(
        &self,
        packed: &Packed,
        vision: &mut SharedVision,
        temperature: f32,
    ) -> Result<TokenValues, Error> {
        let model = self.reference.as_ref().unwrap_or(&self.model);
        token_values(model, packed, vision, temperature, None)
    }

    /// Says which passes the next update consists of, before the first of them: the vision tower
    /// then computes an image that several of them show once, forward and backward, and keeps what
    /// [`SharedVision`] says from the first to the last of them. Without this call, once in each.
    pub fn share_images(&mut self, passes: &[Packed]) {
        self.vision = shared_vision(passes);
        if self.needs_ref_kl {
            self.reference_vision = shared_vision(passes);
        }
    }

    /// One forward and backward pass; gradients add up until [`Learner::optim_step`]. Dropout, where
    /// the adapters have it, is on with masks that `dropout_seed` alone decides; a shared image goes
    /// through the tower with masks from the seed of the first pass that shows it. Returns how many
    /// merged vision tokens the tower of the policy computed.
    ///
    /// # Errors
    /// [`Error::Model`] when the batch does not fit the model, and the errors of `objective`.
    pub fn forward_backward(
        &mut self,
        packed: &Packed,
        temperature: f32,
        dropout_seed: u64,
        objective: &mut dyn FnMut(&TokenValues) -> Result<Objective, Error>,
    ) -> Result<usize, Error> {
        self.saw_images |= !packed.batch.images.is_empty();
        // Hidden states and head of the reference, before the policy's activations are there.
        let reference = match self.reference.as_ref().filter(|_| self.needs_ref_kl) {
            None => None,
            Some(reference) => {
                let vision = &mut self.reference_vision;
                let hidden = reference.forward_no_grad_shared(&packed.batch, vision)?;
                let hidden = percept_nn::gather_rows(hidden, &packed.rows);
                Some([hidden, reference.lm_head().inner()])
            }
        };
        self.model.set_dropout_seed(Some(dropout_seed));
        let (model, before) = (&self.model, self.vision.tokens());
        let passed = model.forward_backward_shared(
            &packed.batch,
            self.gradient_checkpointing,
            &mut self.vision,
            |hidden| -> Result<_, Error> {
                let hidden = percept_nn::gather_rows(hidden, &packed.rows);
                let precision = model.precision();
                let (head, targets) = (model.lm_head(), &packed.targets);
                let (stats, kl) = match reference {
                    None => {
                        let stats = percept_nn::linear_log_prob_in(
                            precision,
                            hidden,
                            head,
                            targets,
                            temperature,
                        );
                        (stats, None)
                    }
                    Some(second) => {
                        let (stats, kl) = percept_nn::linear_log_prob_kl_in(
                            precision,
                            hidden,
                            head,
                            targets,
                            temperature,
                            second,
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
                let objective = objective(&values)?;
                // A scalar with exactly the gradient that the objective asks for.
                let mut scalar = percept_nn::dot(stats.log_prob, &objective.d_log_prob);
                if let Some(d_entropy) = &objective.d_entropy {
                    scalar = scalar + percept_nn::dot(stats.entropy, d_entropy);
                }
                if let Some((kl, d_kl)) = kl.zip(objective.d_kl.as_ref()) {
                    scalar = scalar + percept_nn::dot(kl, d_kl);
                }
                Ok((scalar, objective.loss))
            },
        );
        // Sampling, evaluation and log-probabilities without gradients see the whole model.
        self.model.set_dropout_seed(None);
        let (loss, grads) = passed?;
        self.finite &= loss.is_finite();
        self.grads.add(grads);
        Ok(self.vision.tokens() - before)
    }

    /// One AdamW step on the accumulated gradients, which are consumed. A loss or gradient that
    /// is not finite changes nothing.
    ///
    /// # Errors
    /// [`Error::NoGradient`] when a trainable tensor has none in the first step.
    pub fn optim_step(&mut self, config: &OptimConfig, lr: f64) -> Result<Update, Error> {
        let mut grads = std::mem::take(&mut self.grads);
        grads.add(std::mem::take(&mut self.vision).finish(&self.model));
        self.reference_vision = SharedVision::default();
        let finite = std::mem::replace(&mut self.finite, true);
        self.check_reached(&grads)?;
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

    /// In the first step, a trainable tensor without a gradient is a wiring error; for the vision
    /// tower, in the first step with an image.
    fn check_reached(&mut self, grads: &ParamGrads) -> Result<(), Error> {
        if self.checked {
            return Ok(());
        }
        let vision = self.saw_images;
        self.checked = vision || self.model.config().vision.is_none();
        let missing: Vec<&str> = self
            .model
            .parameters()
            .iter()
            .zip(grads.iter())
            .filter(|(param, grad)| param.trainable() && grad.is_none())
            .filter(|(param, _)| vision || !param.name().contains("visual."))
            .map(|(param, _)| param.name())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let shown = missing
            .iter()
            .take(5)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = missing.len().saturating_sub(5);
        let names = if more > 0 {
            format!("{shown} and {more} more")
        } else {
            shown
        };
        Err(Error::NoGradient { names })
    }

    /// Starts the reinforcement-learning stage: fresh moments, and a frozen copy of the weights
    /// (with LoRA of the adapters, on the shared base) when the loss has a Kullback-Leibler term.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::Report`] when the copy cannot be written to the run folder.
    pub fn begin_rl(&mut self, dir: &RunDir, recipe: &Recipe) -> Result<(), Error> {
        self.moments = fresh_moments(&self.model);
        self.steps.fill(0);
        if !recipe.algorithm.loss.needs_reference() {
            return Ok(());
        }
        // A resume needs it.
        let target = dir.path().join(REFERENCE);
        let temporary = percept_report::temporary_path(&target);
        std::fs::create_dir_all(&temporary).map_err(|e| Error::write(&temporary, e))?;
        self.save_weights(&temporary)?;
        percept_report::replace_dir(&temporary, &target)?;
        self.load_reference(dir, recipe)
    }

    /// Whether the run in a folder began its reinforcement learning with a version whose reference
    /// was the base of the adapters: it kept no copy.
    pub fn lacks_reference(&self, dir: &RunDir, recipe: &Recipe) -> bool {
        let wanted = recipe.algorithm.loss.needs_reference() && self.model.lora().is_some();
        wanted && !dir.path().join(REFERENCE).exists()
    }

    /// Opens the reference of a stage that has begun: the weights at its start, after `[sft]`.
    ///
    /// # Errors
    /// [`Error::Model`] when the run folder's copy is unreadable.
    pub fn load_reference(&mut self, dir: &RunDir, recipe: &Recipe) -> Result<(), Error> {
        if !recipe.algorithm.loss.needs_reference() {
            return Ok(());
        }
        let folder = dir.path().join(REFERENCE);
        let mut reference = match self.model.lora() {
            None => Model::load(&folder, self.model.device())?,
            Some(_) => {
                let mut base = self.model.without_lora();
                if folder.exists() {
                    base.load_lora(&folder)?;
                }
                base.parameters_mut()
                    .iter_mut()
                    .for_each(|param| param.set_trainable(false));
                base
            }
        };
        reference.set_precision(self.model.precision());
        self.reference = Some(reference);
        Ok(())
    }

    /// Weights and moments of everything that is trained, by name, one after the other, with the largest magnitude
    /// that a later step could go on from: the square of a larger weight is infinite.
    pub(crate) fn trained_values(&self) -> impl Iterator<Item = (String, f32, Vec<f32>)> {
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

    /// Writes the weights: a Hugging Face folder, or a PEFT adapter folder with LoRA.
    ///
    /// # Errors
    /// [`Error::Model`] when the disk refuses.
    pub fn save_weights(&self, dir: &Path) -> Result<(), Error> {
        match self.model.lora() {
            Some(_) => self.model.save_adapter(dir, SaveDtype::F32)?,
            None => self.model.save(dir, SaveDtype::F32)?,
        }
        Ok(())
    }

    /// Writes the optimiser's moments.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn save_moments(&self, path: &Path) -> Result<(), Error> {
        moments::save(path, self.model.parameters(), &self.moments, &self.steps)
    }

    /// Reads the optimiser's moments. `updates` is the step of every parameter that has moments, where
    /// the file was written by a version that counted no steps of each.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when they do not belong to this model.
    pub fn load_moments(&mut self, path: &Path, updates: usize) -> Result<(), Error> {
        let device = self.model.device();
        (self.moments, self.steps) = moments::load(path, self.model.parameters(), device, updates)?;
        Ok(())
    }
}

/// Folder of the frozen reference in a run folder.
const REFERENCE: &str = "reference";

fn fresh_moments(model: &Model) -> Vec<Moments> {
    let size = |param: &percept_model::Param| if param.trainable() { param.numel() } else { 0 };
    model
        .parameters()
        .iter()
        .map(|param| Moments::zeros(size(param), model.device()))
        .collect()
}

pub(crate) fn token_values(
    model: &Model,
    packed: &Packed,
    vision: &mut SharedVision,
    temperature: f32,
    top_p: Option<f64>,
) -> Result<TokenValues, Error> {
    let hidden = model.forward_no_grad_shared(&packed.batch, vision)?;
    let hidden = percept_nn::gather_rows(hidden, &packed.rows);
    let head = model.lm_head().inner();
    let nucleus_entropy =
        top_p.map(|top_p| percept_nn::nucleus_entropy(&hidden, &head, temperature, top_p));
    let stats = percept_nn::linear_log_prob_in(
        model.precision(),
        hidden,
        head,
        &packed.targets,
        temperature,
    );
    Ok(TokenValues {
        log_prob: percept_nn::to_vec(&stats.log_prob),
        entropy: percept_nn::to_vec(&stats.entropy),
        nucleus_entropy,
        ref_kl: None,
    })
}
