//! What a picture shows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shown;
use crate::Error;

/// Something that a picture shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name: `traffic light`.
    pub tag: String,
    /// How sure the tagger is, from 0 to 1.
    pub score: f64,
}

/// Names what a picture shows, like Recognize Anything.
pub trait Tagger: Send + Sync {
    /// What tags, as far as the tags depend on it; it holds no secret.
    fn identity(&self) -> Value;

    /// The tags of a picture, each once.
    ///
    /// # Errors
    /// [`Error::Unscored`] for a picture that the tagger makes nothing of, and what can go wrong with it.
    fn tags(&self, picture: &Shown<'_>) -> Result<Vec<Tag>, Error>;

    /// Pictures under way at once that the tagger can use.
    fn at_once(&self) -> usize {
        1
    }
}
