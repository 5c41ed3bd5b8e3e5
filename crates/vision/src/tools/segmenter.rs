//! Which pixels of a box belong to what it is around.

use percept_data::coco::Mask;
use serde_json::Value;

use super::{Detection, Shown};
use crate::Error;

/// Finds the pixels of what boxes are around, like SAM.
pub trait Segmenter: Send + Sync {
    /// What segments, as far as the masks depend on it; it holds no secret.
    fn identity(&self) -> Value;

    /// A mask of the picture's size for each box, in their order; an empty one where nothing was found.
    ///
    /// # Errors
    /// [`Error::Unscored`] for a picture that the segmenter makes nothing of, and what can go wrong with it.
    fn masks(&self, picture: &Shown<'_>, boxes: &[Detection]) -> Result<Vec<Mask>, Error>;

    /// Pictures under way at once that the segmenter can use.
    fn at_once(&self) -> usize {
        1
    }
}
