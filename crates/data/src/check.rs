//! Reading a whole data set before it costs anything: every row, every image, every answer.

use std::collections::HashMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::shorten;
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
    /// Same prompt and images as an earlier row.
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
    /// The row: its id, or `file:row` when it cannot be read.
    pub id: String,
    /// The field inside the row, where one is to blame: `images[0]`.
    pub field: Option<String>,
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

impl CheckReport {
    /// Number of problems of one kind: duplicates, overlong prompts, …
    pub fn count(&self, kind: ProblemKind) -> usize {
        self.problems.iter().filter(|p| p.kind == kind).count()
    }

    /// Whether training would lose no row.
    pub fn is_clean(&self) -> bool {
        !self.problems.iter().any(|p| p.kind.is_error())
    }
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
    let mut seen: HashMap<[u8; 32], First> = HashMap::new();
    for start in (0..dataset.len()).step_by(CHUNK) {
        let end = dataset.len().min(start + CHUNK);
        let rows: Vec<Row> = (start..end)
            .into_par_iter()
            .map(|i| row(dataset, i, max_prompt_length, tokens, answer))
            .collect();
        for mut row in rows {
            if let Some(key) = row.key {
                match seen.get(&key) {
                    Some(first) => row.duplicates(first),
                    None => {
                        let (id, answer) = (row.id.clone(), row.answer.take());
                        seen.insert(key, First { id, answer });
                    }
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

/// The first row with some prompt and images.
struct First {
    id: String,
    answer: Option<String>,
}

struct Row {
    id: String,
    key: Option<[u8; 32]>,
    answer: Option<String>,
    tokens: Option<RowTokens>,
    problems: Vec<Problem>,
}

impl Row {
    fn problem(&mut self, kind: ProblemKind, field: Option<&str>, message: String) {
        self.problems.push(Problem {
            id: self.id.clone(),
            field: field.map(str::to_owned),
            kind,
            message,
        });
    }

    /// A row or one of its images that cannot be read.
    fn unreadable(&mut self, error: &Error) {
        let kind = match error {
            Error::Media(_) => ProblemKind::Image,
            _ => ProblemKind::Row,
        };
        self.problem(kind, error.report().field.as_deref(), error.to_string());
    }

    fn duplicates(&mut self, first: &First) {
        let message = if self.answer == first.answer {
            format!("same prompt and images as {}", first.id)
        } else {
            format!(
                "same prompt and images as {}, but another answer (found {}, there {})\n  help: one of the two is wrong; drop it",
                first.id,
                shown(self.answer.as_deref()),
                shown(first.answer.as_deref())
            )
        };
        self.problem(ProblemKind::Duplicate, None, message);
    }
}

fn shown(answer: Option<&str>) -> String {
    answer.map_or_else(
        || "none".to_owned(),
        |text| format!("\"{}\"", shorten(text, 60)),
    )
}

/// `file:row` of an error, as the id of a row that has none.
fn place(error: &Error) -> Option<String> {
    let report = error.report();
    let file = report.file.as_ref()?.file_name()?.to_string_lossy();
    Some(format!("{file}:{}", report.row?))
}

fn row(
    dataset: &dyn Dataset,
    index: usize,
    max_prompt_length: usize,
    tokens: &(dyn Fn(&Sample) -> Result<RowTokens, String> + Sync),
    answer: &(dyn Fn(&Sample) -> Result<(), String> + Sync),
) -> Row {
    let mut row = Row {
        id: format!("row {}", index + 1),
        key: None,
        answer: None,
        tokens: None,
        problems: Vec::new(),
    };
    let sample = match dataset.get(index) {
        Ok(sample) => sample,
        Err(error) => {
            row.id = place(&error).unwrap_or(row.id);
            row.unreadable(&error);
            return row;
        }
    };
    row.id = sample.id.clone();
    row.answer = sample.answer.clone();
    let frames = sample.videos.iter().flat_map(|v| &v.frames);
    let broken = sample.images.iter().chain(frames);
    match broken.map(crate::Media::decode).find_map(Result::err) {
        Some(error) => row.unreadable(&error),
        None => {
            row.key = key(&sample);
            match tokens(&sample) {
                Ok(found) => {
                    row.tokens = Some(found);
                    if found.prompt > max_prompt_length {
                        row.problem(
                            ProblemKind::Overlong,
                            None,
                            format!(
                                "prompt of {} tokens ({} of them image tokens), limit {max_prompt_length}\n  help: raise data.max_prompt_length or lower data.max_pixels",
                                found.prompt, found.image
                            ),
                        );
                    }
                }
                Err(message) => row.problem(ProblemKind::Row, None, message),
            }
        }
    }
    if let Err(message) = answer(&sample) {
        row.problem(ProblemKind::Answer, Some("answer"), message);
    }
    row
}

/// Hash of the prompt and its media: of everything that makes two rows the same question.
fn key(sample: &Sample) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let tagged = |hasher: &mut Sha256, tag: u8, len: usize| {
        hasher.update([tag]);
        hasher.update((len as u64).to_le_bytes());
    };
    for message in &sample.messages {
        tagged(&mut hasher, message.role as u8, message.content.len());
        for part in &message.content {
            match part {
                Part::Text(text) => {
                    tagged(&mut hasher, 10, text.len());
                    hasher.update(text);
                }
                Part::Image(index) => {
                    tagged(&mut hasher, 11, 1);
                    hasher.update(sample.images.get(*index)?.hash().ok()?);
                }
                Part::Video(index) => {
                    let frames = &sample.videos.get(*index)?.frames;
                    tagged(&mut hasher, 12, frames.len());
                    for frame in frames {
                        hasher.update(frame.hash().ok()?);
                    }
                }
            }
        }
    }
    Some(hasher.finalize().into())
}
