//! A forward pass that keeps what its backward pass needs, and that backward pass, with or without
//! gradient checkpointing.
//!
//! With full checkpointing the forward pass keeps the input of every layer and nothing else; the
//! backward pass goes through the layers from the last to the first, computing each once more.
//! That is true recomputation: peak memory holds one layer's graph, whatever the depth, for one
//! more forward pass of time. Selective checkpointing does so with the attention half of every
//! layer and keeps the graph of the other, but for the product of gate and up.
//!
//! An image that other passes show too is not part of this: see `shared_vision.rs`.

use burn::tensor::Tensor;
use percept_weights::{Dropout, Weights, segment};

use crate::pass::part::parts;
use crate::pass::tape::Tape;
use crate::text::model::TextPass;
use crate::vision::encoder::VisionEncoder;
use crate::vision::rows::VisionRows;
use crate::vision::shared::PassImages;
use crate::vision::tape::VisionTape;
use crate::{Error, GradientCheckpointing, Model, PackedBatch, ParamGrads, SharedVision};

/// What [`Model::forward_train`] keeps for [`Model::backward`].
pub struct Activations {
    images: PassImages,
    graph: Graph,
    /// The masks of the forward pass: the model may have others when the backward pass comes.
    dropout: Option<Dropout>,
}

enum Graph {
    /// All of it in one graph; the rows of shared images are leaves of it.
    Whole { leaves: Vec<Tensor<2>> },
    /// In parts, some of which are computed again.
    Parts(Box<Parts>),
}

struct Parts {
    tokens: Vec<u32>,
    pass: TextPass,
    /// Of the images that no other pass shows.
    own: Option<VisionTape>,
    vision: Option<VisionRows>,
    /// Merged rows of the own images and of each shared one.
    counts: Vec<usize>,
    tape: Tape,
    /// The output of the last part, a leaf of the final norm's graph.
    last: Tensor<2>,
}

impl Model {
    /// Computes hidden states, gives them to `loss`, and returns what `loss` returns beside the
    /// gradients of its scalar.
    ///
    /// `loss` receives `[tokens, hidden]` after the final norm and returns a `[1]` tensor and
    /// anything else; it may use [`Model::lm_head`].
    ///
    /// # Errors
    /// [`Error::Batch`] when the batch does not fit the model; the errors of `loss`.
    pub fn forward_backward<T, E: From<Error>>(
        &self,
        batch: &PackedBatch,
        checkpointing: impl Into<GradientCheckpointing>,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<(T, ParamGrads), E> {
        let shared = &mut SharedVision::default();
        let (hidden, activations) = self.forward_train(batch, checkpointing, shared)?;
        let (scalar, output) = loss(hidden)?;
        Ok((output, self.backward(activations, scalar, shared)))
    }

    /// Hidden states after the final norm, `[tokens, hidden]`, and what their backward pass needs, as
    /// one of the passes of an update. `shared` are the images that several of those show: one that
    /// this pass is the first to show is encoded.
    ///
    /// # Errors
    /// [`Error::Batch`] when the batch does not fit the model.
    pub fn forward_train(
        &self,
        batch: &PackedBatch,
        checkpointing: impl Into<GradientCheckpointing>,
        shared: &mut SharedVision,
    ) -> Result<(Tensor<2>, Activations), Error> {
        let images = shared.divide(self.check(batch)?);
        let (hidden, graph) = match checkpointing.into() {
            GradientCheckpointing::Off => self.forward_whole(batch, &images, shared),
            some => self.forward_parts(batch, some, &images, shared),
        };
        let dropout = self.dropout;
        Ok((
            hidden,
            Activations {
                images,
                graph,
                dropout,
            },
        ))
    }

    /// The gradients of `scalar`, a `[1]` tensor made of the hidden states that `activations` belong
    /// to. The gradient that a shared image sends into the tower comes with the last pass that shows
    /// it: only the sum over all passes, and [`SharedVision::finish`], is the update's.
    pub fn backward(
        &self,
        activations: Activations,
        scalar: Tensor<1>,
        shared: &mut SharedVision,
    ) -> ParamGrads {
        let Activations {
            images,
            graph,
            dropout,
        } = activations;
        let mut grads = ParamGrads::new(self.params.len());
        let encoder = self.vision(true);
        if scalar.is_tracked() {
            match graph {
                Graph::Whole { leaves } => {
                    let mut gradients = scalar.backward();
                    grads.collect(&self.params, &mut gradients);
                    if encoder.as_ref().is_some_and(VisionEncoder::trained) {
                        let found = leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients));
                        shared.receive(&images, found);
                    }
                }
                Graph::Parts(parts) => {
                    let weights = Weights {
                        dropout,
                        ..self.weights(true)
                    };
                    let of_shared = self.backward_parts(*parts, scalar, &weights, &mut grads);
                    shared.receive(&images, of_shared.into_iter().map(Some));
                }
            }
        }
        shared.close(encoder.as_ref(), images, &mut grads);
        grads
    }

    /// One graph, but for shared images: their rows are leaves of it.
    fn forward_whole(
        &self,
        batch: &PackedBatch,
        images: &PassImages,
        shared: &mut SharedVision,
    ) -> (Tensor<2>, Graph) {
        let weights = self.weights(true);
        let encoder = self.vision(true);
        let encoder = encoder.as_ref();
        let own = shared.own(encoder, images, |encoder, plan| encoder.encode(plan));
        let own = own.map(|own| images.own_rows(own));
        let mut others = shared.shared(encoder, images, Some(GradientCheckpointing::Off));
        let trained = encoder.is_some_and(VisionEncoder::trained);
        for other in others.iter_mut().filter(|_| trained) {
            other.rows = other.rows.clone().autodiff().require_grad();
        }
        let leaves = others.iter().map(|other| other.rows.clone()).collect();
        let hidden = self.run(&weights, batch, own.into_iter().chain(others).collect());
        (hidden, Graph::Whole { leaves })
    }

    fn forward_parts(
        &self,
        batch: &PackedBatch,
        checkpointing: GradientCheckpointing,
        images: &PassImages,
        shared: &mut SharedVision,
    ) -> (Tensor<2>, Graph) {
        let (plain, tracked) = (self.weights(false), self.weights(true));
        let pass = TextPass::new(&self.config, batch, &self.device);
        let keep = Some(checkpointing);
        let encoder = self.vision(false);
        let encoder = encoder.as_ref();
        let own = shared.own(encoder, images, |encoder, plan| {
            VisionTape::record(encoder, plan, keep, self.dropout)
        });
        let others = shared.shared(encoder, images, keep);
        let parts_of_rows = own
            .iter()
            .map(|tape| images.own_rows((tape.merged.clone(), tape.sources.clone())))
            .chain(others);
        let parts_of_rows: Vec<VisionRows> = parts_of_rows.collect();
        let counts = parts_of_rows.iter().map(|p| p.rows.dims()[0]).collect();
        let vision = VisionRows::join(parts_of_rows);
        let x = self.embed(&plain, &batch.tokens, vision.clone());
        let parts = parts(checkpointing, self.text.layers.len());
        let (tape, x) = Tape::record(parts, x, |part, track, x| {
            let weights = if track { &tracked } else { &plain };
            self.text.part(part, weights, &pass, x)
        });
        let last = x.autodiff().require_grad();
        let hidden = self.text.norm(&tracked, last.clone());
        let parts = Parts {
            tokens: batch.tokens.clone(),
            pass,
            own,
            vision,
            counts,
            tape,
            last,
        };
        (hidden, Graph::Parts(Box::new(parts)))
    }

    /// Returns the gradients of the rows of shared images, where the tower is trained.
    fn backward_parts(
        &self,
        kept: Parts,
        scalar: Tensor<1>,
        weights: &Weights,
        grads: &mut ParamGrads,
    ) -> Vec<Tensor<2>> {
        let mut gradients = scalar.backward();
        grads.collect(&self.params, &mut gradients);
        let dx = kept.last.grad_remove(&mut gradients);
        drop((kept.last, scalar, gradients));
        let pass = &kept.pass;
        let dx = kept.tape.backward(&self.params, grads, dx, |part, x| {
            self.text.part(part, weights, pass, x)
        });
        let rows =
            dx.and_then(|dy| self.backward_inputs(weights, &kept.tokens, grads, kept.vision, dy));
        let encoder = self.vision(true).filter(VisionEncoder::trained);
        let Some((rows, encoder)) = rows.zip(encoder) else {
            return Vec::new();
        };
        let mut found = rows.split_with_sizes(kept.counts, 0).into_iter();
        if let Some((tape, dy)) = kept.own.and_then(|tape| Some((tape, found.next()?))) {
            tape.backward(&encoder, grads, dy);
        }
        found.collect()
    }

    /// Sends the gradient of the first layer's input into the embedding table; returns that of the
    /// rows of images.
    fn backward_inputs(
        &self,
        weights: &Weights,
        tokens: &[u32],
        grads: &mut ParamGrads,
        vision: Option<VisionRows>,
        dy: Tensor<2>,
    ) -> Option<Tensor<2>> {
        let Some(vision) = vision else {
            if self.params[self.text.embed_tokens].trainable() {
                let x = self.text.embed(weights, tokens);
                grads.collect(&self.params, &mut (x * dy).sum().backward());
            }
            return None;
        };
        segment(&self.params, grads, vision.rows.clone(), dy, |rows| {
            let vision = VisionRows { rows, ..vision };
            self.embed(weights, tokens, Some(vision))
        })
    }
}
