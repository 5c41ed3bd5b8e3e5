//! The eight ways in which a generated frame is broken.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is broken in a frame; REACT's taxonomy, in its order.
///
/// ```
/// use percept_frames::Distortion;
/// assert_eq!("Extra_Limbs".parse::<Distortion>()?, Distortion::ExtraLimbs);
/// # Ok::<(), percept_frames::UnknownDistortion>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distortion {
    /// A limb of a wrong shape.
    LimbDeformation,
    /// More limbs than there should be.
    ExtraLimbs,
    /// A limb that is missing or incomplete.
    LimbDeficiency,
    /// A torso of a wrong shape.
    TorsoDeformation,
    /// A face of a wrong shape.
    FacialDeformation,
    /// A thing that is no animal, collapsed or of a wrong shape.
    ObjectDistortion,
    /// What moves is smeared.
    MotionBlur,
    /// Bodies whose boundaries cross or merge.
    MeshPenetration,
}

/// A name that is none of the eight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown distortion {found:?} (expected one of: {names})", names = names())]
pub struct UnknownDistortion {
    /// The name that was read.
    pub found: String,
}

impl Distortion {
    /// All of them, in the paper's order.
    pub const ALL: [Self; 8] = [
        Self::LimbDeformation,
        Self::ExtraLimbs,
        Self::LimbDeficiency,
        Self::TorsoDeformation,
        Self::FacialDeformation,
        Self::ObjectDistortion,
        Self::MotionBlur,
        Self::MeshPenetration,
    ];

    /// The name in files and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::LimbDeformation => "limb deformation",
            Self::ExtraLimbs => "extra limbs",
            Self::LimbDeficiency => "limb deficiency",
            Self::TorsoDeformation => "torso deformation",
            Self::FacialDeformation => "facial deformation",
            Self::ObjectDistortion => "object distortion",
            Self::MotionBlur => "motion blur",
            Self::MeshPenetration => "mesh penetration",
        }
    }
}

fn names() -> String {
    Distortion::ALL.map(Distortion::name).join(", ")
}

impl fmt::Display for Distortion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Distortion {
    type Err = UnknownDistortion;

    /// Forgives case, `_`, `-` and spaces; the words are those of [`Distortion::name`].
    fn from_str(text: &str) -> Result<Self, UnknownDistortion> {
        let words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || c == '_' || c == '-')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let name = words.join(" ");
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownDistortion {
            found: text.to_owned(),
        })
    }
}

impl Serialize for Distortion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Distortion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_in_every_spelling_and_others_are_refused_with_the_list() {
        for label in Distortion::ALL {
            let name = label.name();
            for spelling in [
                name.to_owned(),
                name.to_uppercase(),
                name.replace(' ', "_"),
                name.replace(' ', "-"),
                format!("  {} ", name.replace(' ', "  ")),
            ] {
                assert_eq!(spelling.parse(), Ok(label), "{spelling}");
            }
            let json = serde_json::to_string(&label).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Distortion>(&json).unwrap(), label);
        }
        let error = "sixth finger"
            .parse::<Distortion>()
            .unwrap_err()
            .to_string();
        for label in Distortion::ALL {
            assert!(error.contains(label.name()), "{error}");
        }
        assert!(error.contains("sixth finger"), "{error}");
    }
}
