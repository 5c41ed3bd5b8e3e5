//! `[reward]` of the recipe.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Accuracy, FunctionKind};

/// How a response is judged: the weighted sum of reward functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// The functions. The first one is what an evaluation reports as accuracy. Default: `accuracy`
    /// alone, because the answer is what is wanted; a format reward is a crutch to be added when
    /// needed.
    pub functions: Vec<FunctionConfig>,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            functions: vec![FunctionConfig::new(FunctionKind::Accuracy(
                Accuracy::default(),
            ))],
        }
    }
}

/// One reward function: its kind, its weight and the kind's own options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("unevaluatedProperties" = false))]
pub struct FunctionConfig {
    /// Factor of its score in the total. 0: judged and reported, not trained on.
    #[serde(default = "one")]
    pub weight: f64,
    /// Its name in metrics and records; by default the kind's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Label of another function: this one counts in the total only where that one scored above 0.
    /// `length` with `requires = "accuracy"` prefers short right answers and no short wrong ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// The kind (`name = "…"`) with its options.
    #[serde(flatten)]
    pub kind: FunctionKind,
}

fn one() -> f64 {
    1.0
}

impl FunctionConfig {
    /// This kind with weight 1.
    pub fn new(kind: FunctionKind) -> Self {
        Self {
            weight: 1.0,
            label: None,
            requires: None,
            kind,
        }
    }

    /// Its name in metrics and records.
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or_else(|| self.kind.name())
    }
}
