//! The samples of `digit-sum`.

use super::config::DigitSumConfig;
use super::handwriting::{self, Handwriting};
use super::render;
use crate::tasks::png::png;
use crate::tasks::random::Random;
use crate::{Dataset, Error, Media, Message, Part, Role, Sample};

/// The built-in data set; see the [module](super) for what a sample looks like.
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
        let cells = render::cells(digits.len(), self.config.cells, &mut random);
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
