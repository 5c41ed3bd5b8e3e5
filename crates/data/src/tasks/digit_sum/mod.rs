//! `digit-sum`, the built-in task: questions about a few real handwritten digits on a cluttered canvas.
//!
//! Sample `i` of a `(seed, split)` is a pure function of `i`: nothing is stored but the 46 KB of embedded handwriting
//! (UCI, CC BY 4.0, see `assets/LICENCE-digits.md`). Train and test never share a handwriting. Every sample carries the
//! answer and the text of an exact expert, which first names what it sees, cell by cell with `_` for an empty one, and
//! then reasons in small steps:
//!
//! ```text
//! What is the sum of the digits?   <think>I see 3 _ 7 2 _. 3+7=10 10+2=12.</think> \boxed{12}
//! ```

mod handwriting;
mod question;
mod render;

use std::fmt::Display;
use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tasks::random::Random;
use crate::{Dataset, Error, Media, Message, Part, Role, Sample};
use handwriting::Handwriting;
pub use question::{QuestionType, corpus_pieces};

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

/// The knobs of [`DigitSum`]. The defaults cost 5 image tokens in Qwen2.5-VL's geometry (28 × 28 pixels a token).
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
    fn check(&self) -> Result<(), Error> {
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

/// The built-in data set; see the [module](self) for what a sample looks like.
///
/// ```
/// use percept_data::digit_sum::{DigitSum, DigitSumConfig};
/// use percept_data::Dataset;
///
/// let task = DigitSum::new(DigitSumConfig { len: 8, ..Default::default() })?;
/// let sample = task.get(0)?;
/// assert!(sample.expert.is_some_and(|text| text.contains(&format!("boxed{{{}}}", sample.answer.unwrap()))));
/// # Ok::<(), percept_data::Error>(())
/// ```
#[derive(Debug)]
pub struct DigitSum {
    config: DigitSumConfig,
    name: String,
    /// Indices of the usable handwriting, by label.
    by_label: [Vec<usize>; 10],
}

impl DigitSum {
    /// Fails on a configuration that cannot be drawn; the message names the field.
    pub fn new(config: DigitSumConfig) -> Result<Self, Error> {
        config.check()?;
        let by_label = handwriting::by_label(config.split, config.handwriting);
        Ok(Self {
            name: format!("digit-sum/{}", config.split.name()),
            by_label,
            config,
        })
    }

    /// The configuration it was built with.
    pub fn config(&self) -> &DigitSumConfig {
        &self.config
    }

    fn choose(&self, random: &mut Random) -> Vec<usize> {
        let count = self.config.min_digits
            + random.below(self.config.max_digits - self.config.min_digits + 1);
        let pick = |_| {
            let of_label = &self.by_label[random.below(10)];
            of_label[random.below(of_label.len())]
        };
        (0..count).map(pick).collect()
    }
}

impl Dataset for DigitSum {
    fn len(&self) -> usize {
        self.config.len
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, index: usize) -> Result<Sample, Error> {
        if index >= self.config.len {
            let error = Error::row("no such sample").field(self.name());
            return Err(error
                .found(index)
                .expected(format!("0 to {}", self.config.len - 1)));
        }
        let mut random = Random::new(&[self.config.seed, self.config.split as u64, index as u64]);
        let chosen = self.choose(&mut random);
        let drawn: Vec<&Handwriting> = chosen.iter().map(|&i| &handwriting::all()[i]).collect();
        let digits: Vec<u8> = drawn.iter().map(|h| h.label).collect();
        let question = self.config.questions[index % self.config.questions.len()];
        let phrasings = question.phrasings();
        let text = phrasings[random.below(phrasings.len())].to_owned();
        let cells = cells(digits.len(), self.config.cells, &mut random);
        let image = render::draw(&drawn, &cells, &self.config, &mut random);
        let image = Media::from_bytes(png(&image));
        let mut seen = vec![None; self.config.cells];
        for (&cell, &digit) in cells.iter().zip(&digits) {
            let mistaken = random.unit() < self.config.expert_error;
            // One of the other nine.
            let other = (usize::from(digit) + 1 + random.below(9)) % 10;
            seen[cell] = Some(if mistaken { other as u8 } else { digit });
        }

        let meta = serde_json::json!({
            "data_source": "digit-sum",
            "question_type": question.name(),
            "digits": digits,
            "cells": cells,
            "handwriting": chosen,
        });
        let serde_json::Value::Object(meta) = meta else {
            unreachable!("json! of braces is an object")
        };
        // The question first: a causal model then knows what to look for when it reads the image.
        let turn = Message::new(Role::User, vec![Part::Text(text), Part::Image(0)]);
        Ok(Sample {
            images: vec![image],
            answer: Some(question.answer(&digits).to_string()),
            expert: Some(question.expert(&seen)),
            meta,
            ..Sample::new(format!("{}:{index}", self.name), vec![turn])
        })
    }
}

/// `digits` of the `cells`, ascending; every choice is equally likely.
fn cells(digits: usize, cells: usize, random: &mut Random) -> Vec<usize> {
    let mut left = digits;
    (0..cells)
        .filter(|&cell| {
            let taken = random.below(cells - cell) < left;
            left -= usize::from(taken);
            taken
        })
        .collect()
}

/// Fast compression: an image is read once or twice, and noise does not compress anyway.
fn png(image: &image::RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub);
    image
        .write_with_encoder(encoder)
        .expect("writing to memory does not fail, and an RGB image is valid PNG");
    bytes.into_inner()
}
