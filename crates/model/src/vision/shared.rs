//! Images that several passes of one update show, such as the parts of a group that is larger than a
//! pass: the tower computes each of them once, forward and backward.
//!
//! The first pass that shows an image runs the tower, every pass reads what it made as a leaf of its
//! graph, and their gradients add up until the last one sends the sum back through the tower: the
//! backward pass is linear in it. Images of one pass alone stay with that pass.
//!
//! Between its first and its last pass an image holds its merged rows and their gradient, `[merged
//! tokens, hidden]` each, and of a tower that is trained its pixels and what gradient checkpointing
//! keeps: the input of every block (`Full`), also the activations of the MLPs (`Selective`), or of
//! all (`Off`).

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_data::Patches;
use percept_weights::{Dropout, Stream};

use crate::vision::encoder::VisionEncoder;
use crate::vision::plan::VisionPlan;
use crate::vision::rows::{PlacedImage, VisionRows};
use crate::vision::tape::VisionTape;
use crate::{GradientCheckpointing, ParamGrads};

/// The images that more than one pass of an update shows. Made from all passes, then given to each
/// of them; [`SharedVision::finish`] before the weights change.
///
/// An empty one, `SharedVision::default()`, shares nothing.
#[derive(Default)]
pub struct SharedVision {
    images: Vec<SharedImage>,
    tokens: usize,
}

struct SharedImage {
    patches: Arc<Patches>,
    /// Among all images of the update: no two draw the same dropout masks.
    number: u64,
    /// Passes that will still show it.
    passes_left: usize,
    tape: Option<VisionTape>,
    d_merged: Option<Tensor<2>>,
}

/// The images of one pass.
#[derive(Default)]
pub(crate) struct PassImages {
    own: Vec<Arc<Patches>>,
    own_places: Vec<u32>,
    /// Index among the shared images, and the token rows of each time that the pass shows it.
    shared: Vec<(usize, Vec<Vec<u32>>)>,
}

impl SharedVision {
    /// Finds the pictures that at least two of `passes` show, each given as
    /// [its images](crate::PackedBatch::images). The same pixels are the same picture.
    pub fn new<'a>(passes: impl IntoIterator<Item = &'a [Arc<Patches>]>) -> Self {
        let mut images: Vec<SharedImage> = Vec::new();
        for pass in passes {
            // Those that this pass has shown already.
            let mut seen: Vec<usize> = Vec::new();
            for patches in pass {
                let found = position(&images, patches).unwrap_or(images.len());
                if found == images.len() {
                    images.push(SharedImage {
                        patches: Arc::clone(patches),
                        number: found as u64,
                        passes_left: 0,
                        tape: None,
                        d_merged: None,
                    });
                }
                if !seen.contains(&found) {
                    images[found].passes_left += 1;
                    seen.push(found);
                }
            }
        }
        images.retain(|image| image.passes_left > 1);
        Self { images, tokens: 0 }
    }

    /// Merged vision tokens that the tower has computed in the passes so far, of all images.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Divides the images of a pass.
    pub(crate) fn divide(&self, placed: Vec<PlacedImage<'_>>) -> PassImages {
        let mut out = PassImages::default();
        for (patches, places) in placed {
            let Some(index) = position(&self.images, patches) else {
                out.own.push(Arc::clone(patches));
                out.own_places.extend(places);
                continue;
            };
            match out.shared.iter_mut().find(|(other, _)| *other == index) {
                Some((_, again)) => again.push(places.to_vec()),
                None => out.shared.push((index, vec![places.to_vec()])),
            }
        }
        out
    }

    /// What the tower makes of the pass's own images, as `run` computes it.
    pub(crate) fn own<T>(
        &mut self,
        encoder: Option<&VisionEncoder<'_>>,
        images: &PassImages,
        run: impl FnOnce(&VisionEncoder<'_>, VisionPlan) -> T,
    ) -> Option<T> {
        let encoder = encoder.filter(|_| !images.own.is_empty())?;
        let plan = encoder.plan(&images.own);
        self.tokens += plan.merged;
        Some(run(encoder, plan))
    }

    /// Rows of the pass's shared images, in its order and without autodiff. Those that no pass has
    /// shown before are encoded; `keep` is what a backward pass will find of that.
    pub(crate) fn shared(
        &mut self,
        encoder: Option<&VisionEncoder<'_>>,
        images: &PassImages,
        keep: Option<GradientCheckpointing>,
    ) -> Vec<VisionRows> {
        let Some(encoder) = encoder else {
            return Vec::new();
        };
        let mut out = Vec::with_capacity(images.shared.len());
        for (index, times) in &images.shared {
            let image = &mut self.images[*index];
            let dropout = image.dropout(encoder.weights.dropout);
            let (tape, tokens) = (&mut image.tape, &mut self.tokens);
            let tape = tape.get_or_insert_with(|| {
                let plan = encoder.plan(std::slice::from_ref(&image.patches));
                let tape = VisionTape::record(encoder, plan, keep, dropout);
                *tokens += tape.merged.dims()[0];
                tape
            });
            out.push(VisionRows {
                rows: tape.merged.clone(),
                sources: tape.sources.repeat(times.len()),
                places: times.concat(),
            });
        }
        out
    }

    /// Adds up the gradients of the rows of [`SharedVision::shared`], in its order.
    pub(crate) fn receive(
        &mut self,
        images: &PassImages,
        gradients: impl IntoIterator<Item = Option<Tensor<2>>>,
    ) {
        for ((index, _), found) in images.shared.iter().zip(gradients) {
            let sum = &mut self.images[*index].d_merged;
            *sum = match (sum.take(), found) {
                (Some(sum), Some(found)) => Some(sum + found),
                (sum, found) => sum.or(found),
            };
        }
    }

    /// Ends a pass: images that no other one will show send their gradient back and are forgotten.
    pub(crate) fn close(
        &mut self,
        encoder: Option<&VisionEncoder<'_>>,
        images: PassImages,
        grads: &mut ParamGrads,
    ) {
        for (index, _) in images.shared {
            self.images[index].passes_left -= 1;
        }
        let done = self.images.extract_if(.., |image| image.passes_left == 0);
        for image in done {
            image.backward(encoder, grads);
        }
    }

    /// Sends back the gradients of images that were announced for more passes than there were;
    /// nothing, when all passes are done.
    pub(crate) fn backward_rest(self, encoder: Option<&VisionEncoder<'_>>, grads: &mut ParamGrads) {
        for image in self.images {
            image.backward(encoder, grads);
        }
    }
}

impl PassImages {
    pub(crate) fn own_rows(&self, (rows, sources): (Tensor<2>, Vec<u32>)) -> VisionRows {
        VisionRows {
            rows,
            sources,
            places: self.own_places.clone(),
        }
    }
}

impl SharedImage {
    /// Dropout of its run through the tower: one seed for all passes that show it, from that of the
    /// first.
    fn dropout(&self, dropout: Option<Dropout>) -> Option<Dropout> {
        dropout.map(|dropout| Dropout {
            seed: Stream::new(dropout.seed, "shared image").bits(self.number),
            ..dropout
        })
    }

    fn backward(self, encoder: Option<&VisionEncoder<'_>>, grads: &mut ParamGrads) {
        if let (Some(encoder), Some((tape, dy))) = (encoder, self.tape.zip(self.d_merged)) {
            tape.backward(encoder, grads, dy);
        }
    }
}

fn position(images: &[SharedImage], patches: &Patches) -> Option<usize> {
    let same = |image: &SharedImage| image.patches.same_picture(patches);
    images.iter().position(same)
}
