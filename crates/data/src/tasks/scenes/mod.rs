//! `scenes`: pictures of shapes with planted co-occurrence, and questions about what is in them.
//!
//! Two shapes are easy to see (the *leads*: a red square, a blue disc), six are faint. Each lead has
//! three *companions* among the faint ones. A picture shows one lead (with probability
//! 0.4 each) or none (0.2); each faint shape is there, independently of the others,
//!
//! | | with probability |
//! |---|---|
//! | when its lead is there | `cooccurrence` |
//! | when its lead is not | `1 − cooccurrence` |
//!
//! so that at `cooccurrence` 0.5 the lead says nothing of its companions, and near 1 a model that does
//! not see a companion yet does best to guess it from the lead, and has little reason left to learn to
//! see it: that is why models of photographs guess, planted and measured. The question is "Is there a ring in the image?" about
//! one of the faint shapes three times in four, else about a lead. Whether the answer is yes is drawn
//! first, and then pictures until one has such an answer: half of the answers are yes, whatever the
//! co-occurrence.
//!
//! [`Ask::Description`] asks for all shapes instead, in the order of [`SHAPES`], of pictures that are drawn once: a model that
//! learned it where company is kept names companions that are not there (object hallucination, as benchmarks of descriptions
//! count it). [`Ask::Preference`] makes pairs of it: the true description is better than the same with a shape planted that is
//! not there, an absent companion of the lead where there is one, and fits worse to the picture without one of
//! the shapes that it names, each of them as likely. Pictures without a shape are drawn again there.
//!
//! [`counterfactual`] makes the pairs of Causal-HalBench from the same world: the edit is the same
//! picture to the pixel but for one object, which no inpainting reaches.

mod config;
mod counterfactual;
mod describe;
mod draw;
mod task;
mod words;
mod world;

pub use config::{Ask, ScenesConfig};
pub use counterfactual::{Counterfactual, counterfactual};
pub use draw::{HEIGHT, WIDTH};
pub use task::Scenes;
pub use words::{DESCRIBE, corpus_pieces, description, question};
pub use world::SHAPES;
