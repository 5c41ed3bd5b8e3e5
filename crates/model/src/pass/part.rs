//! Parts of a decoder or of a vision tower, of which some are computed again in the backward pass.

use crate::GradientCheckpointing;

/// A part of a decoder or of a vision tower, by the index of its layer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Layer(usize),
    /// Norm, attention and the sum with the part's input.
    Attention(usize),
    /// Norm, MLP and the sum with the part's input.
    Mlp(usize),
}

/// The parts of `layers` layers in order, and whether the backward pass finds their activations.
pub(crate) fn parts(
    checkpointing: GradientCheckpointing,
    layers: usize,
) -> impl Iterator<Item = (Part, bool)> {
    (0..layers).flat_map(move |layer| match checkpointing {
        GradientCheckpointing::Off => vec![(Part::Layer(layer), true)],
        GradientCheckpointing::Selective => {
            vec![(Part::Attention(layer), false), (Part::Mlp(layer), true)]
        }
        GradientCheckpointing::Full => vec![(Part::Layer(layer), false)],
    })
}
