//! Which of two frames or clips of one prompt is better.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a person says of a pair; in files `"A"`, `"B"` or `"same"`, as in VideoGen-RewardBench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preference {
    /// A is better.
    A,
    /// B is better.
    B,
    /// Neither is.
    Tie,
}

/// A word that is no preference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown preference {found:?} (expected \"A\", \"B\" or \"same\"; \"tie\" is read too)")]
pub struct UnknownPreference {
    /// The word that was read.
    pub found: String,
}

impl Preference {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::Tie => "same",
        }
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preference {
    type Err = UnknownPreference;

    /// Forgives case and spaces around it; `tie` is `same`.
    fn from_str(text: &str) -> Result<Self, UnknownPreference> {
        match text.trim().to_lowercase().as_str() {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            "same" | "tie" => Ok(Self::Tie),
            _ => Err(UnknownPreference {
                found: text.to_owned(),
            }),
        }
    }
}

impl Serialize for Preference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Preference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_tie_is_same() {
        for preference in [Preference::A, Preference::B, Preference::Tie] {
            let json = serde_json::to_string(&preference).unwrap();
            assert_eq!(
                serde_json::from_str::<Preference>(&json).unwrap(),
                preference
            );
        }
        assert_eq!(" Tie ".parse(), Ok(Preference::Tie));
        let error = serde_json::from_str::<Preference>("\"C\"").unwrap_err();
        assert!(error.to_string().contains("\"same\""), "{error}");
    }
}
