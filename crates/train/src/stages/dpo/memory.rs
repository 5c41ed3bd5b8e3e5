//! What the stage keeps from one step to the next, in checkpoints too.

use percept_credit::preference::PreferenceState;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the loss remembers, and where the order of general rows stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    #[serde(flatten)]
    pub(crate) loss: PreferenceState,
    pub(crate) general_position: u64,
}

impl Memory {
    /// From a checkpoint; that of a first step is null.
    pub(crate) fn read(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    /// For a checkpoint: null where there is nothing to keep.
    pub(crate) fn write(&self) -> Value {
        match *self == Self::default() {
            true => Value::Null,
            false => serde_json::to_value(self).unwrap_or_default(),
        }
    }
}
