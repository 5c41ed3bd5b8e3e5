//! What `adavip` works with.

use percept_vision::Editor;
use percept_vision::tools::{Detector, Segmenter, Tagger, TextImageScorer};

/// The five tools of `adavip`.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// What a picture shows.
    pub tagger: &'a dyn Tagger,
    /// Where.
    pub detector: &'a dyn Detector,
    /// Which pixels.
    pub segmenter: &'a dyn Segmenter,
    /// The picture without it.
    pub remover: &'a dyn Editor,
    /// How well the answer still describes it.
    pub scorer: &'a dyn TextImageScorer,
}
