//! The choice of what the backward pass computes again.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Which activations are kept for the backward pass, and which it computes again. Written as
/// `false`, `"selective"` (Megatron's `recompute_granularity`) or `true` (`transformers`; also
/// `"full"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GradientCheckpointing {
    /// All are kept.
    #[default]
    Off,
    /// What is cheap for the memory it takes is computed again: attention, from the input of its norm
    /// to its output, and in the decoder's MLP the product of gate and up. The rest of the MLP is kept.
    Selective,
    /// Every layer is computed again from its input.
    Full,
}

const NAMES: [&str; 3] = ["none", "selective", "full"];

impl From<bool> for GradientCheckpointing {
    fn from(on: bool) -> Self {
        match on {
            true => Self::Full,
            false => Self::Off,
        }
    }
}

impl Serialize for GradientCheckpointing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::Selective => serializer.serialize_str("selective"),
            Self::Full => serializer.serialize_bool(true),
        }
    }
}

impl<'de> Deserialize<'de> for GradientCheckpointing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoolOrName;
        impl Visitor<'_> for BoolOrName {
            type Value = GradientCheckpointing;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true, false, \"selective\" or \"full\"")
            }
            fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
                Ok(on.into())
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                match name {
                    "none" => Ok(GradientCheckpointing::Off),
                    "selective" => Ok(GradientCheckpointing::Selective),
                    "full" => Ok(GradientCheckpointing::Full),
                    _ => Err(E::unknown_variant(name, &NAMES)),
                }
            }
        }
        deserializer.deserialize_any(BoolOrName)
    }
}

impl JsonSchema for GradientCheckpointing {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GradientCheckpointing".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "enum": NAMES }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_true_or_false_still_is_and_the_rest_has_names() {
        use GradientCheckpointing::{Full, Off, Selective};
        let read = |json: &str| serde_json::from_str::<GradientCheckpointing>(json);
        for (json, mode) in [
            ("false", Off),
            ("true", Full),
            (r#""none""#, Off),
            (r#""selective""#, Selective),
            (r#""full""#, Full),
        ] {
            assert_eq!(read(json).unwrap(), mode);
            let written = serde_json::to_string(&mode).unwrap();
            assert_eq!(read(&written).unwrap(), mode);
        }
        let message = read(r#""attention""#).unwrap_err().to_string();
        assert!(message.contains("selective"), "{message}");
        assert!(read("1").unwrap_err().to_string().contains("selective"));
    }
}
