//! How well a text describes a picture.

use image::RgbImage;
use percept_data::coco::Mask;
use serde_json::Value;

use crate::Error;

/// Something that was found in the original picture.
#[derive(Debug, Clone)]
pub struct SeenObject {
    /// Its name.
    pub tag: String,
    /// Its pixels, of all its instances.
    pub mask: Mask,
}

/// A picture, and what is known about it for scorers that do not look at pixels.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The picture.
    pub image: &'a RgbImage,
    /// What was found in it before anything was removed.
    pub objects: &'a [SeenObject],
    /// Pixels that were painted over; none of the original picture.
    pub removed: Option<&'a Mask>,
}

/// Scores texts by a picture, like CLIP: the higher, the better a text describes it. Only differences between scores of
/// one scorer mean something.
pub trait TextImageScorer: Send + Sync {
    /// What scores, as far as the numbers depend on it; it holds no secret.
    fn identity(&self) -> Value;

    /// A finite score for each text; none for one that says nothing of what the scorer looks for.
    ///
    /// # Errors
    /// [`Error::Unscored`] for a picture that the scorer makes nothing of, and what can go wrong with it.
    fn similarities(&self, view: &View<'_>, texts: &[&str]) -> Result<Vec<Option<f64>>, Error>;

    /// Pictures under way at once that the scorer can use.
    fn at_once(&self) -> usize {
        1
    }
}
