//! In what data type products with weights are computed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::gemm::has_bf16;

/// In what numbers activations are multiplied with weights, forward and backward. Values, sums,
/// weights and gradients are f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Precision {
    /// 24 bits of mantissa.
    #[default]
    #[serde(rename = "float32")]
    F32,
    /// Factors rounded to bfloat16 (8 bits of mantissa), as `torch.autocast` does it. Where the
    /// processor cannot, f32; ask for it by [`Precision::bf16`].
    #[serde(rename = "bfloat16")]
    Bf16,
}

impl Precision {
    /// bfloat16.
    ///
    /// # Errors
    /// As [`Precision::checked`].
    pub fn bf16() -> Result<Self, Error> {
        Self::Bf16.checked()
    }

    /// Itself, where this machine has it.
    ///
    /// # Errors
    /// [`Error::Bf16`] for bfloat16 without instructions for it (AVX-512 BF16, or AMX on Linux).
    pub fn checked(self) -> Result<Self, Error> {
        match self == Self::F32 || has_bf16() {
            true => Ok(self),
            false => Err(Error::Bf16),
        }
    }
}
