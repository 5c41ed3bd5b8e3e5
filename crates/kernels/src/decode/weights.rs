//! In what numbers a decoder keeps its weights, and the product of each kind.

use super::int8::Int8Linear;
use super::linear::PackedLinear;
use super::masses::{Mass, Parts};
use super::parts::LinearPart;
use crate::error::Error;
use crate::precision::Precision;
use crate::shared::Shared;
use crate::simd::{Isa, dispatch};
use crate::threads::Threads;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers of a decoder's weights. Activations and sums are f32 with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum WeightDtype {
    /// The trainer's own.
    #[default]
    #[serde(rename = "float32")]
    F32,
    /// [`Precision::Bf16`]: weights and activations are rounded for the products.
    #[serde(rename = "bfloat16")]
    Bf16,
    /// Eight bits and a scale for each output ([`Int8Linear`]), on every processor.
    #[serde(rename = "int8")]
    Int8,
}

impl WeightDtype {
    /// Itself, where this machine has it.
    ///
    /// # Errors
    /// As [`Precision::checked`].
    pub fn checked(self) -> Result<Self, Error> {
        match self {
            Self::F32 | Self::Int8 => Ok(self),
            Self::Bf16 => Precision::Bf16.checked().map(Self::from),
        }
    }
}

impl From<Precision> for WeightDtype {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// `y = x·Wᵀ + b` in the numbers that were chosen. What a row becomes does not depend on the rows beside it.
#[derive(Debug, Clone)]
pub enum Linear {
    /// f32 or bfloat16.
    Packed(PackedLinear),
    /// Weights of eight bits.
    Int8(Int8Linear),
}

impl Linear {
    /// Packs several weights `[outputs_i, inputs]` one under the other: one product for all of them.
    ///
    /// # Panics
    /// When a length does not fit its shape.
    pub fn concat(parts: &[LinearPart<'_>], inputs: usize, dtype: WeightDtype) -> Self {
        let packed = |precision| Self::Packed(PackedLinear::concat(parts, inputs, precision));
        match dtype {
            WeightDtype::F32 => packed(Precision::F32),
            WeightDtype::Bf16 => packed(Precision::Bf16),
            WeightDtype::Int8 => Self::Int8(Int8Linear::concat(parts, inputs)),
        }
    }

    /// Outputs of a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Packed(linear) => linear.outputs(),
            Self::Int8(linear) => linear.outputs(),
        }
    }

    /// Inputs of a row.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Packed(linear) => linear.inputs(),
            Self::Int8(linear) => linear.inputs(),
        }
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Packed(linear) => linear.bytes(),
            Self::Int8(linear) => linear.bytes(),
        }
    }

    /// Copies row `output` of the weight, as the products see it (the embedding of a token, when the head is tied to
    /// it).
    ///
    /// # Panics
    /// When `output` is out of range or `row` is not `inputs` long.
    pub fn weight_row(&self, output: usize, row: &mut [f32]) {
        match self {
            Self::Packed(linear) => linear.weight_row(output, row),
            Self::Int8(linear) => linear.weight_row(output, row),
        }
    }

    /// `y [rows, outputs] = x [rows, inputs]·Wᵀ + b`, on the rayon pool when the product is large enough.
    ///
    /// # Panics
    /// When `x` and `y` are not the same number of whole rows.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.apply_on(x, y, Threads::Pool);
    }

    /// As [`apply`](Self::apply), with the choice of threads. The bits are the same.
    ///
    /// # Panics
    /// When `x` and `y` are not the same number of whole rows.
    pub fn apply_on(&self, x: &[f32], y: &mut [f32], threads: Threads) {
        match self {
            Self::Packed(linear) => linear.apply_on(x, y, threads),
            Self::Int8(linear) => linear.apply_on(x, y, threads),
        }
    }

    /// As [`apply_on`](Self::apply_on); beside each row of `y` the parts of its soft-max, `masses [rows, parts]` with
    /// `outputs / 64` parts, rounded up. The bits are those of [`Mass::of`] a row.
    ///
    /// # Panics
    /// When `x`, `y` and `masses` are not the same number of whole rows.
    pub fn apply_masses(
        &self,
        x: &[f32],
        y: &mut [f32],
        temperature: f32,
        masses: &mut [Mass],
        threads: Threads,
    ) {
        let width = self.outputs();
        let rows = y.len() / width;
        assert_eq!(
            masses.len(),
            rows * width.div_ceil(Mass::PART),
            "parts of {rows} rows of {width} logits"
        );
        let (isa, masses) = (Isa::detect(), Shared::new(masses));
        let then = |rows, columns, logits| {
            let parts = Parts {
                rows,
                columns,
                logits,
                width,
                temperature,
                masses: masses.first(),
            };
            dispatch(isa, parts);
        };
        match self {
            Self::Packed(linear) => linear.apply_isa(x, y, threads, isa, then),
            Self::Int8(linear) => linear.apply_isa(x, y, threads, isa, then),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn masses_beside_the_product_are_those_of_its_rows() {
        let (inputs, outputs) = (40, 1000);
        let weight = values(inputs * outputs, 1);
        let bias = values(outputs, 2);
        let dtypes = [WeightDtype::F32, WeightDtype::Bf16, WeightDtype::Int8];
        for dtype in dtypes.into_iter().filter(|dtype| dtype.checked().is_ok()) {
            let linear = Linear::concat(&[(&weight, outputs, Some(&bias))], inputs, dtype);
            for (rows, threads) in [(1, Threads::One), (67, Threads::One), (67, Threads::Pool)] {
                let x = values(rows * inputs, 3);
                let parts = outputs.div_ceil(Mass::PART);
                let mut masses = vec![Mass::default(); rows * parts];
                let [mut y, mut plain] = [0, 1].map(|_| vec![0.0; rows * outputs]);
                linear.apply_masses(&x, &mut y, 0.7, &mut masses, threads);
                linear.apply_on(&x, &mut plain, threads);
                assert_eq!(y, plain);
                for (row, masses) in y.chunks(outputs).zip(masses.chunks(parts)) {
                    assert_eq!(masses, Mass::of(row, 0.7), "{dtype:?}");
                }
            }
        }
    }
}
