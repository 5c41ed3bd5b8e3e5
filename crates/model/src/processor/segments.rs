//! Which parts of a rendered conversation are trained: its text, cut at the turns that carry a loss.

use percept_data::{Message, Sample};

use crate::processor::prompts::at;
use crate::{Error, Processor};

/// Pieces of a rendered conversation and whether they are trained.
pub(crate) type Segments = Vec<(String, bool)>;

impl Processor {
    /// The conversation in pieces; the last one is trained.
    pub(crate) fn segments(
        &self,
        sample: &Sample,
        messages: &[Message],
    ) -> Result<Segments, Error> {
        let found = match self.growing(sample, messages)? {
            Some(segments) => Some(segments),
            None => self.inside(sample, messages)?,
        };
        let Some(mut segments) = found else {
            let message = "the chat template rewrites earlier turns, so the loss mask of this \
                           conversation is not defined; train on its last turn only"
                .to_owned();
            return Err(at(sample, "messages", message));
        };
        // What the template writes behind the end token teaches nothing.
        while segments.last().is_some_and(|(_, trained)| !trained) {
            segments.pop();
        }
        Ok(segments)
    }

    /// Templates that only append: what a turn adds is its text.
    fn growing(&self, sample: &Sample, messages: &[Message]) -> Result<Option<Segments>, Error> {
        let mut segments = Segments::new();
        let mut done = String::new();
        for index in 0..messages.len() {
            if !messages[index].trains() {
                continue;
            }
            let before = self.render(sample, &messages[..index], true)?;
            let after = self.render(sample, &messages[..=index], false)?;
            let (Some(gap), Some(turn)) = (
                before.strip_prefix(done.as_str()),
                after.strip_prefix(before.as_str()),
            ) else {
                return Ok(None);
            };
            let end = self.last_end(turn).unwrap_or(turn.len());
            segments.push((gap.to_owned(), false));
            segments.push((turn[..end].to_owned(), true));
            segments.push((turn[end..].to_owned(), false));
            done = after;
        }
        Ok(Some(segments))
    }

    /// Templates that write a turn otherwise once others follow (Qwen3 drops the thoughts of earlier turns):
    /// a turn's text is looked up in the whole conversation, from its opening to its end token.
    fn inside(&self, sample: &Sample, messages: &[Message]) -> Result<Option<Segments>, Error> {
        let whole = self.render(sample, messages, false)?;
        let mut segments = Segments::new();
        let mut done = 0;
        for index in 0..messages.len() {
            if !messages[index].trains() {
                continue;
            }
            let before = self.render(sample, &messages[..index], true)?;
            if before.len() < done || !whole.starts_with(before.as_str()) {
                return Ok(None);
            }
            let Some(end) = self.first_end(&whole[before.len()..]) else {
                return Ok(None);
            };
            let end = before.len() + end;
            segments.push((whole[done..before.len()].to_owned(), false));
            segments.push((whole[before.len()..end].to_owned(), true));
            done = end;
        }
        Ok(Some(segments))
    }

    fn end_tokens(&self) -> impl Iterator<Item = String> {
        self.eos_ids.iter().filter_map(|&id| self.token_name(id))
    }

    /// Behind the last end token of a text.
    fn last_end(&self, text: &str) -> Option<usize> {
        let ends = self.end_tokens();
        ends.filter_map(|end| text.rfind(&end).map(|at| at + end.len()))
            .max()
    }

    /// Behind the first end token of a text.
    fn first_end(&self, text: &str) -> Option<usize> {
        let ends = self.end_tokens();
        ends.filter_map(|end| text.find(&end).map(|at| at + end.len()))
            .min()
    }
}
