//! Questions with as much text as fits.

use super::question::{Made, Question};
use crate::Error;

/// Pieces of the shortest text: no task places more needles than this.
const LEAST: usize = 5;

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
    pub(super) fn fit(
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
