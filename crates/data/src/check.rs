//! Reading a whole data set before it costs anything: every row, every image, every answer.

use std::collections::HashMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Dataset, Error, Part, Sample};

/// What a caller knows about a row that this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowTokens {
    /// Tokens of the prompt, image tokens included.
    pub prompt: usize,
    /// Tokens that stand for images and videos.
    pub image: usize,
}

/// Kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The row cannot be read or has no usable prompt.
    Row,
    /// An image is missing, damaged or too large.
    Image,
    /// The prompt is longer than the limit.
    Overlong,
    /// The verifier cannot use the ground truth, or there is none.
    Answer,
    /// Same prompt, images and answer as an earlier row.
    Duplicate,
}

impl ProblemKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Image => "image",
            Self::Overlong => "overlong",
            Self::Answer => "answer",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether training would lose the row; a duplicate only costs.
    pub fn is_error(self) -> bool {
        self != Self::Duplicate
    }
}

/// One problem of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The row: its id, or where it is when it cannot be read.
    pub id: String,
    /// What kind.
    pub kind: ProblemKind,
    /// What, where, what was expected, what to do.
    pub message: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckReport {
    /// Rows read.
    pub rows: usize,
    /// Problems in row order.
    pub problems: Vec<Problem>,
    /// Prompt tokens of the readable rows.
    pub prompt_tokens: Vec<usize>,
    /// Image tokens of the readable rows.
    pub image_tokens: Vec<usize>,
}

/// Rows that are read together; bounds memory.
const CHUNK: usize = 256;

/// Reads every row of `dataset`. `tokens` counts tokens (and thereby decodes the images),
/// `answer` tries the ground truth, `progress` hears of rows done and in all.
pub fn check_rows(
    dataset: &dyn Dataset,
    max_prompt_length: usize,
    tokens: &(dyn Fn(&Sample) -> Result<RowTokens, String> + Sync),
    answer: &(dyn Fn(&Sample) -> Result<(), String> + Sync),
    progress: &mut dyn FnMut(usize, usize),
) -> CheckReport {
    let mut report = CheckReport {
        rows: dataset.len(),
        ..CheckReport::default()
    };
    let mut seen: HashMap<[u8; 32], String> = HashMap::new();
    for start in (0..dataset.len()).step_by(CHUNK) {
        let end = dataset.len().min(start + CHUNK);
        let rows: Vec<Row> = (start..end)
            .into_par_iter()
            .map(|i| row(dataset, i, max_prompt_length, tokens, answer))
            .collect();
        for mut row in rows {
            if let Some(key) = row.key {
                if let Some(first) = seen.get(&key) {
                    row.problem(
                        ProblemKind::Duplicate,
                        format!("same prompt, images and answer as {first}"),
                    );
                } else {
                    seen.insert(key, row.id.clone());
                }
            }
            if let Some(tokens) = row.tokens {
                report.prompt_tokens.push(tokens.prompt);
                report.image_tokens.push(tokens.image);
            }
            report.problems.append(&mut row.problems);
        }
        progress(end, dataset.len());
    }
    report
}

struct Row {
    id: String,
    key: Option<[u8; 32]>,
    tokens: Option<RowTokens>,
    problems: Vec<Problem>,
}

impl Row {
    fn problem(&mut self, kind: ProblemKind, message: String) {
        self.problems.push(Problem {
            id: self.id.clone(),
            kind,
            message,
        });
    }
}

fn row(
    dataset: &dyn Dataset,
    index: usize,
    max_prompt_length: usize,
    tokens: &(dyn Fn(&Sample) -> Result<RowTokens, String> + Sync),
    answer: &(dyn Fn(&Sample) -> Result<(), String> + Sync),
) -> Row {
    let id = format!("row {}", index + 1);
    let mut row = Row {
        id,
        key: None,
        tokens: None,
        problems: Vec::new(),
    };
    let sample = match dataset.get(index) {
        Ok(sample) => sample,
        Err(error) => {
            let kind = match error {
                Error::Media(_) => ProblemKind::Image,
                _ => ProblemKind::Row,
            };
            row.problem(kind, error.to_string());
            return row;
        }
    };
    row.id = sample.id.clone();
    let images = sample
        .images
        .iter()
        .chain(sample.videos.iter().flat_map(|v| &v.frames));
    let broken = images.clone().find_map(|image| image.decode().err());
    match broken {
        Some(error) => row.problem(ProblemKind::Image, error.to_string()),
        None => {
            row.key = key(&sample);
            match tokens(&sample) {
                Ok(found) if found.prompt > max_prompt_length => {
                    row.problem(
                        ProblemKind::Overlong,
                        format!(
                            "prompt of {} tokens ({} of them image tokens), limit {max_prompt_length}\n  help: raise data.max_prompt_length or lower data.max_pixels",
                            found.prompt, found.image
                        ),
                    );
                    row.tokens = Some(found);
                }
                Ok(found) => row.tokens = Some(found),
                Err(message) => row.problem(ProblemKind::Row, message),
            }
        }
    }
    if let Err(message) = answer(&sample) {
        row.problem(ProblemKind::Answer, message);
    }
    row
}

/// Hash of everything that makes two rows the same question.
fn key(sample: &Sample) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    for message in &sample.messages {
        hasher.update(message.role.as_str());
        for part in &message.content {
            match part {
                Part::Text(text) => {
                    hasher.update((text.len() as u64).to_le_bytes());
                    hasher.update(text);
                }
                Part::Image(index) => hasher.update(sample.images.get(*index)?.hash().ok()?),
                Part::Video(index) => {
                    for frame in &sample.videos.get(*index)?.frames {
                        hasher.update(frame.hash().ok()?);
                    }
                }
            }
        }
    }
    hasher.update(sample.answer.as_deref().unwrap_or_default());
    Some(hasher.finalize().into())
}
