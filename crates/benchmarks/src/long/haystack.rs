//! What the long text is made of.

use crate::Error;
use crate::hallucination::sentences_of;

/// What the long text is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Haystack {
    /// RULER's "The grass is green. The sky is blue. …", over and over.
    Noise,
    /// Sentences of a text.
    Essay(Vec<String>),
}

impl Haystack {
    /// The sentences of a text, white space as single blanks.
    ///
    /// # Errors
    /// [`Error::Row`] when there is no sentence.
    pub fn essay(text: &str, name: &str) -> Result<Self, Error> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let sentences = sentences_of(&words.join(" "));
        match sentences.is_empty() {
            false => Ok(Self::Essay(sentences)),
            true => Err(Error::Row {
                place: name.to_owned(),
                found: "no sentence".to_owned(),
                expected: "a text in plain words",
            }),
        }
    }

    /// The first `n` pieces from piece `start` on.
    pub(super) fn pieces(&self, start: usize, n: usize) -> Vec<String> {
        match self {
            Self::Noise => vec![NOISE.to_owned(); n],
            Self::Essay(sentences) => (0..n)
                .map(|i| sentences[(start + i) % sentences.len()].clone())
                .collect(),
        }
    }

    /// What stands between two pieces.
    pub(super) fn joint(&self) -> &'static str {
        match self {
            Self::Noise => "\n",
            Self::Essay(_) => " ",
        }
    }

    /// How many pieces there are before they begin again.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Noise => 1,
            Self::Essay(sentences) => sentences.len(),
        }
    }
}

pub(super) const NOISE: &str =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
