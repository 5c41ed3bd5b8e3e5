//! What `digit-sum` draws.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::question::QuestionType;
use crate::Error;

/// Which handwriting the images are made of; the two sets are disjoint and balanced over the ten digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// 80 % of the handwriting (1 442 images).
    #[default]
    Train,
    /// The other 20 % (355 images).
    Test,
}

impl Split {
    /// The name in recipes and sample ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The knobs of [`DigitSum`](super::DigitSum). The defaults cost 5 image tokens in Qwen2.5-VL's geometry (28 × 28 pixels a token).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DigitSumConfig {
    /// Whose handwriting: `train` or `test`.
    pub split: Split,
    /// Other seeds give other samples from the same handwriting.
    pub seed: u64,
    /// Number of samples.
    pub len: usize,
    /// Canvas width in pixels.
    pub width: u32,
    /// Canvas height in pixels.
    pub height: u32,
    /// The canvas is cut into this many columns; each holds one digit or none.
    pub cells: usize,
    /// Fewest digits in an image (at least 2).
    pub min_digits: usize,
    /// Most digits in an image; at most `cells`.
    pub max_digits: usize,
    /// Smallest digit height as a part of the canvas height. Digits shrink below it where they would not fit into
    /// their cell.
    pub min_scale: f32,
    /// Largest digit height as a part of the canvas height.
    pub max_scale: f32,
    /// Strength of shade, noise, strokes and dots, from 0 (none) to 1.
    pub clutter: f32,
    /// Use only this many different handwriting images (spread evenly over the ten digits); all of the split when
    /// absent. A warm start on few leaves reading for reinforcement learning to improve.
    pub handwriting: Option<usize>,
    /// Probability that the expert takes a digit for another one. Its steps and its answer follow from what it believes
    /// to see, as a person's would; the ground truth does not. What a warm start learns from such an expert, a reward
    /// can correct.
    pub expert_error: f32,
    /// The types of question; samples cycle through them, so that every type is equally frequent.
    pub questions: Vec<QuestionType>,
}

impl Default for DigitSumConfig {
    fn default() -> Self {
        Self {
            split: Split::Train,
            seed: 0,
            len: 4096,
            width: 140,
            height: 28,
            cells: 5,
            min_digits: 2,
            max_digits: 5,
            min_scale: 0.7,
            max_scale: 0.95,
            clutter: 0.5,
            handwriting: None,
            expert_error: 0.0,
            questions: QuestionType::ALL.to_vec(),
        }
    }
}

impl DigitSumConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        let digits = self.max_digits;
        let cells = self.cells;
        let scales = format!("{} to {}", self.min_scale, self.max_scale);
        let handwriting = self.handwriting.unwrap_or(usize::MAX);
        // Below 10 pixels for a digit and its gap, a handwriting of 8 columns is no longer legible.
        let narrowest = cells.saturating_mul(10).max(20);
        let wide_enough = (narrowest..=4096).contains(&(self.width as usize));
        let ordered =
            self.min_scale > 0.0 && self.min_scale <= self.max_scale && self.max_scale <= 1.0;

        require(self.len > 0, "len", self.len, "at least 1 sample")?;
        require(
            self.min_digits >= 2,
            "min_digits",
            self.min_digits,
            "at least 2",
        )?;
        require(
            self.min_digits <= digits,
            "max_digits",
            digits,
            "at least min_digits",
        )?;
        require(
            digits <= cells,
            "max_digits",
            digits,
            format!("at most cells, {cells}"),
        )?;
        require(
            wide_enough,
            "width",
            self.width,
            format!("{narrowest} to 4096 pixels for {cells} cells"),
        )?;
        require(
            (16..=4096).contains(&self.height),
            "height",
            self.height,
            "16 to 4096 pixels",
        )?;
        require(
            ordered,
            "min_scale, max_scale",
            scales,
            "0 < min_scale ≤ max_scale ≤ 1",
        )?;
        require(
            (0.0..=1.0).contains(&self.clutter),
            "clutter",
            self.clutter,
            "0 to 1",
        )?;
        require(
            (0.0..=1.0).contains(&self.expert_error),
            "expert_error",
            self.expert_error,
            "0 to 1",
        )?;
        require(
            handwriting >= 10,
            "handwriting",
            handwriting,
            "at least 10, one for every digit",
        )?;
        require(
            !self.questions.is_empty(),
            "questions",
            "[]",
            "at least one type; leave it out for all",
        )
    }
}

fn require(
    holds: bool,
    field: &str,
    found: impl Display,
    expected: impl Into<String>,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    let error = Error::config("a digit-sum image cannot be made");
    Err(error
        .field(format!("digit_sum.{field}"))
        .found(found)
        .expected(expected))
}
