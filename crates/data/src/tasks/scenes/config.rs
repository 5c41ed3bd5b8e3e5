//! What `scenes` draws.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What is asked about a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// "Is there a ring in the image?"
    #[default]
    Presence,
    /// "Describe the image."
    Description,
    /// The same as a preference: the true description before one that names a shape which is not there, and
    /// before the same words with a picture that lost one of the shapes.
    Preference,
}

/// The knobs of [`Scenes`](super::Scenes).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScenesConfig {
    /// Other seeds give other pictures.
    pub seed: u64,
    /// Number of samples.
    pub len: usize,
    /// What is asked.
    pub ask: Ask,
    /// Probability that a companion is there when its lead is; 1 − this when it is not. 0.5: no
    /// company.
    pub cooccurrence: f32,
    /// Probability that a description names a companion that its picture's lead lacks; each is drawn for itself. 0: all are
    /// true. What learns from it names company that it does not see. Preferences do not read it.
    pub hallucination: f32,
    /// Strength of the faint shapes against the ground, from 0 (invisible) to 1.
    pub contrast: f32,
}

impl Default for ScenesConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            len: 4096,
            ask: Ask::Presence,
            cooccurrence: 0.5,
            hallucination: 0.0,
            contrast: 0.5,
        }
    }
}

impl ScenesConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let wrong = |field: &str, found: String, expected: &str| {
            Err(Error::config("a scene cannot be made")
                .field(format!("scenes.{field}"))
                .found(found)
                .expected(expected))
        };
        if self.len == 0 {
            return wrong("len", "0".into(), "at least 1 sample");
        }
        if !share(self.cooccurrence) {
            return wrong("cooccurrence", self.cooccurrence.to_string(), "0 to 1");
        }
        if !share(self.hallucination) {
            return wrong("hallucination", self.hallucination.to_string(), "0 to 1");
        }
        if !(share(self.contrast) && self.contrast > 0.0) {
            let expected = "more than 0, at most 1";
            return wrong("contrast", self.contrast.to_string(), expected);
        }
        Ok(())
    }
}
