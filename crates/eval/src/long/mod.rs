//! Long texts: a needle in a haystack, RULER's synthetic tasks, perplexity.
//!
//! Questions are those of NVIDIA's RULER (Hsieh et al., arXiv 2404.06654; `scripts/data/synthetic`)
//! in its words, with its settings and its score: the share of the expected strings that stand in
//! the answer, whatever their case (`string_match_all`). Not taken over: its word lists (`wonderwords`
//! and 8 MB of English words) and the essays of Paul Graham, which it downloads: words come from the
//! lists in `words.rs`, essays from a text of the user's, random numbers from our own generator. So
//! numbers are comparable between models here, not with published tables.

mod needle;
mod perplexity;
mod random;
mod ruler;
mod words;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::hallucination::sentences_of;

pub use needle::grid;
pub use perplexity::{Perplexity, Window, perplexity, windows};
pub use ruler::{TASKS, questions};

/// One question about a long text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// RULER's name of the task, or `needle`.
    pub task: &'static str,
    /// Tokens that text and answer may take together.
    pub length: usize,
    /// Where the needle stands, 0 (beginning) to 1; none for tasks with several places.
    pub depth: Option<f64>,
    /// The text and what is asked of it.
    #[serde(skip)]
    pub input: String,
    /// How the answer begins.
    #[serde(skip)]
    pub answer_prefix: String,
    /// Strings that a right answer holds.
    pub outputs: Vec<String>,
    /// Longest answer, in tokens.
    #[serde(skip)]
    pub tokens_to_generate: usize,
}

impl Question {
    /// What an answer depends on, as a name: the question, who is asked, and whether through the
    /// model's chat template.
    pub fn key(&self, identity: &Value, chat: bool) -> String {
        let all = json!([
            identity,
            chat,
            self.input,
            self.answer_prefix,
            self.tokens_to_generate,
        ]);
        let digest = Sha256::digest(all.to_string());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A question without its place in a benchmark.
struct Made {
    input: String,
    answer_prefix: String,
    outputs: Vec<String>,
}

/// What the long text is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Haystack {
    /// RULER's "The grass is green. The sky is blue. …", over and over.
    Noise,
    /// Sentences of a text.
    Essay(Vec<String>),
}

impl Haystack {
    /// The sentences of a text, white space as single blanks.
    ///
    /// # Errors
    /// [`Error::Row`] when there is no sentence.
    pub fn essay(text: &str, name: &str) -> Result<Self, Error> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let sentences = sentences_of(&words.join(" "));
        match sentences.is_empty() {
            false => Ok(Self::Essay(sentences)),
            true => Err(Error::Row {
                place: name.to_owned(),
                found: "no sentence".to_owned(),
                expected: "a text in plain words",
            }),
        }
    }

    /// The first `n` pieces from piece `start` on.
    fn pieces(&self, start: usize, n: usize) -> Vec<String> {
        match self {
            Self::Noise => vec![NOISE.to_owned(); n],
            Self::Essay(sentences) => (0..n)
                .map(|i| sentences[(start + i) % sentences.len()].clone())
                .collect(),
        }
    }

    /// What stands between two pieces.
    fn joint(&self) -> &'static str {
        match self {
            Self::Noise => "\n",
            Self::Essay(_) => " ",
        }
    }

    /// How many pieces there are before they begin again.
    fn len(&self) -> usize {
        match self {
            Self::Noise => 1,
            Self::Essay(sentences) => sentences.len(),
        }
    }
}

const NOISE: &str =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

/// Counts the tokens of a text.
pub type CountTokens<'a> = dyn Fn(&str) -> Result<usize, Error> + 'a;

/// What all questions share.
pub struct Plan<'a> {
    /// Tokens that text and answer may take together.
    pub length: usize,
    /// Questions of a task, or of a cell of the grid.
    pub samples: usize,
    /// Seed of every draw.
    pub seed: u64,
    /// Longest answer in tokens; none: the task's own.
    pub max_tokens: Option<usize>,
    /// The model's tokenizer, what a chat template adds included.
    pub count: &'a CountTokens<'a>,
}

impl Plan<'_> {
    /// The question with as much text as fits.
    fn fit(
        &self,
        task: &'static str,
        depth: Option<f64>,
        tokens_to_generate: usize,
        size: &mut Option<usize>,
        make: &dyn Fn(usize) -> Made,
    ) -> Result<Question, Error> {
        let tokens_to_generate = self.max_tokens.unwrap_or(tokens_to_generate);
        let fits = |n: usize| {
            let made = make(n);
            let text = made.input.clone() + &made.answer_prefix;
            let tokens = (self.count)(&text)? + tokens_to_generate;
            Ok::<_, Error>((tokens <= self.length).then_some(made).ok_or(tokens))
        };
        // Samples of one length take about the same text: the search is done for the first.
        let mut n = match *size {
            Some(n) => n,
            None => self.search(&fits)?,
        };
        loop {
            match fits(n)? {
                Ok(made) => {
                    *size = Some(n);
                    return Ok(Question {
                        task,
                        length: self.length,
                        depth,
                        input: made.input,
                        answer_prefix: made.answer_prefix,
                        outputs: made.outputs,
                        tokens_to_generate,
                    });
                }
                Err(_) if n > LEAST => n -= (n / 64).clamp(1, n - LEAST),
                Err(tokens) => {
                    return Err(Error::Row {
                        place: format!("{task} with length {}", self.length),
                        found: format!("{tokens} tokens for the shortest question and its answer"),
                        expected: "a greater length",
                    });
                }
            }
        }
    }

    /// The largest size that fits, or the least.
    fn search(
        &self,
        fits: &dyn Fn(usize) -> Result<Result<Made, usize>, Error>,
    ) -> Result<usize, Error> {
        let mut low = LEAST;
        let mut high = LEAST * 2;
        while fits(high)?.is_ok() {
            (low, high) = (high, high * 2);
        }
        while low + 1 < high {
            let middle = low.midpoint(high);
            match fits(middle)?.is_ok() {
                true => low = middle,
                false => high = middle,
            }
        }
        Ok(low)
    }
}

/// Pieces of the shortest text: no task places more needles than this.
const LEAST: usize = 5;

/// Share of the expected strings that an answer holds (RULER's `string_match_all`).
pub fn string_match_all(answer: &str, outputs: &[String]) -> f64 {
    let answer = answer.to_lowercase();
    let held = outputs
        .iter()
        .filter(|output| answer.contains(&output.to_lowercase()));
    held.count() as f64 / outputs.len().max(1) as f64
}

#[cfg(test)]
mod tests;
