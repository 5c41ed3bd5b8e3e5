//! Visual tools behind traits: editing a picture inside a mask ([`Editor`]) and saying how much a
//! picture shows of a class ([`ClassScorer`]); what is shown, where, which pixels and how well a text says it ([`tools`]);
//! pictures made worse ([`ruin`]).
//!
//! [`BuiltIn`] edits offline: it takes an object away by copying patches of its surroundings and
//! puts another one in its place by blending a cut-out in the gradient domain. It stands in for the
//! diffusion models (FLUX.1 with an inpainting ControlNet, in Causal-HalBench) that paint what a
//! text asks for: light, shadow and contact with the ground are not adapted, and it can only insert
//! what another picture shows. Good enough to study and to test; an image service ([`Editor`] in
//! `percept-chat`) or a local program ([`CommandEditor`]) is the faithful way.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod builtin;
mod command;
mod cutout;
mod editor;
mod error;
mod fits;
mod inpaint;
#[cfg(feature = "onnx")]
pub mod onnx;
mod picture;
mod poisson;
mod random;
mod remover;
pub mod ruin;
mod scorer;
pub mod tools;

pub use builtin::BuiltIn;
pub use command::CommandEditor;
pub use cutout::{Cutout, Placement};
pub use editor::{Edit, Edited, Editor, changed_outside, composite, transparent_mask};
pub use error::Error;
pub use remover::BuiltInRemover;
pub use scorer::{ClassScorer, CommandScorer};
