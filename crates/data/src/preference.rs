//! A preference: answers to one prompt, or pictures of one answer, of which one is better.

use crate::{Media, Message};

/// What a preference loss contrasts. Answers are assistant turns, mostly one; they hold text and no media.
#[derive(Debug, Clone, Default)]
pub struct Preference {
    /// The better answer.
    pub chosen: Vec<Message>,
    /// Worse answers to the same pictures; none where the pair differs in its pictures alone.
    pub rejected: Vec<Vec<Message>>,
    /// Pictures with which the chosen answer is worse. Each entry stands in the place of
    /// [`Sample::images`](crate::Sample::images), as many as there.
    pub rejected_images: Vec<Vec<Media>>,
    /// A worse answer as a better model corrected it (OPA-DPO).
    pub corrected: Option<Vec<Message>>,
    /// How sure the annotator is, from 0 to 1 (V-DPO).
    pub confidence: Option<f64>,
    /// Similarity of picture and text by CLIP, chosen minus rejected answer (DAMA).
    pub clip_gap: Option<f64>,
}
