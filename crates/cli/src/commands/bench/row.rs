//! One measured number.

use serde::{Deserialize, Serialize};

/// The unit of a row's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Less is better.
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "tokens/s")]
    TokensPerSecond,
    #[serde(rename = "GFLOP/s")]
    Gflops,
    #[serde(rename = "GB/s")]
    GigabytesPerSecond,
    /// Peak memory above what was there before; less is better.
    #[serde(rename = "MiB")]
    Mebibytes,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::TokensPerSecond => "tokens/s",
            Self::Gflops => "GFLOP/s",
            Self::GigabytesPerSecond => "GB/s",
            Self::Mebibytes => "MiB",
        }
    }

    /// How many times better `ours` is.
    pub fn ratio(self, ours: f64, other: f64) -> f64 {
        match self {
            Self::Milliseconds | Self::Mebibytes => other / ours,
            _ => ours / other,
        }
    }
}

/// One measured number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// `suite/what`; the peer uses the same names.
    pub name: String,
    pub unit: Unit,
    pub percept: f64,
    /// The same with the part of percept switched off that the row is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<f64>,
    /// What the measured products and copies would allow for that work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roofline: Option<f64>,
    /// PyTorch or transformers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<f64>,
}

impl Row {
    pub fn new(name: &str, unit: Unit, percept: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            percept,
            without: None,
            roofline: None,
            peer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_time_and_more_tokens_are_better() {
        assert_eq!(Unit::Milliseconds.ratio(2.0, 6.0), 3.0);
        assert_eq!(Unit::TokensPerSecond.ratio(6.0, 2.0), 3.0);
    }
}
