//! Conversations for supervised training, and which of their tokens have a loss.

use percept_data::{Message, Role, Sample};

use crate::processor::errors::at;
use crate::processor::prompts::Processor;
use crate::processor::segments::{Segments, segments};
use crate::processor::spans::SpanMarkers;
use crate::{Error, Prompt};

/// A conversation for supervised training.
#[derive(Debug, Clone, Default)]
pub struct Training {
    /// All tokens of the conversation.
    pub prompt: Prompt,
    /// `[tokens]`: whether the token is predicted with a loss.
    pub mask: Vec<bool>,
}

impl Training {
    /// Tokens with a loss. The first token of a conversation has nothing to be predicted from.
    pub fn trained_tokens(&self) -> usize {
        self.mask.iter().skip(1).filter(|trained| **trained).count()
    }
}

impl Processor {
    /// A conversation for supervised training: the loss is on the assistant's turns (or on those
    /// with `train`), the end token of a turn included. A sample that ends with the user is
    /// completed by its expert trajectory.
    ///
    /// # Errors
    /// [`Error::Processor`] when there is nothing to train on, or when the chat template changes
    /// earlier turns as the conversation goes on.
    pub fn sft(&self, sample: &Sample) -> Result<Training, Error> {
        self.sft_without(sample, &[])
    }

    /// As [`Processor::sft`], without a loss on the tokens of the spans `masked` in the trained turns. They stay what later
    /// tokens are predicted from. A token that a span shares with the text beside it has no loss.
    ///
    /// # Errors
    /// As [`Processor::sft`].
    pub fn sft_without(&self, sample: &Sample, masked: &[SpanMarkers]) -> Result<Training, Error> {
        let sample = &*self.grounded(sample)?;
        let (messages, segments) = self.trained(sample)?;
        let mut mask = Vec::new();
        let prompt = self.assemble(sample, &messages, &segments, masked, &mut mask)?;
        Ok(Training { prompt, mask })
    }

    /// Which of some spans stand in none of a sample's trained turns.
    ///
    /// # Errors
    /// As [`Processor::sft`].
    pub fn missing_spans<'s>(
        &self,
        sample: &Sample,
        spans: &'s [SpanMarkers],
    ) -> Result<Vec<&'s SpanMarkers>, Error> {
        let sample = &*self.grounded(sample)?;
        let (_, segments) = self.trained(sample)?;
        let found = |span: &SpanMarkers| {
            let mut trained = segments.iter().filter(|(_, trained)| *trained);
            trained.any(|(text, _)| span.is_in(text))
        };
        Ok(spans.iter().filter(|span| !found(span)).collect())
    }

    /// The turns of supervised training, up to the last trained one, and their text in pieces.
    fn trained(&self, sample: &Sample) -> Result<(Vec<Message>, Segments), Error> {
        let mut messages = sample.messages.clone();
        if messages.last().is_none_or(|m| m.role != Role::Assistant) {
            match &sample.expert {
                _ if !sample.trajectory.is_empty() => {
                    messages.extend_from_slice(&sample.trajectory)
                }
                Some(expert) => messages.push(Message::text(Role::Assistant, expert.as_str())),
                None => {
                    let message = "no assistant turn and no expert trajectory to train on\n  help: supervised training needs a last turn with role assistant, or a column completion, response or expert";
                    // As TRL's SFTTrainer, which takes no column `chosen` either.
                    let message = match &sample.preference {
                        None => message.to_owned(),
                        Some(_) => "no assistant turn and no expert trajectory to train on: the row is a \
                                    preference pair\n  help: name the column of the chosen answer in \
                                    data.columns.expert to learn it, or train a preference stage"
                            .to_owned(),
                    };
                    return Err(at(sample, "messages", message));
                }
            }
        }
        // What follows the last trained turn teaches nothing.
        let Some(last) = messages.iter().rposition(Message::trains) else {
            let message = "no turn to train on: every assistant turn has train = false".into();
            return Err(at(sample, "messages", message));
        };
        messages.truncate(last + 1);
        let segments = segments(&self.chat, &self.tokenizer.ends(), sample, &messages)?;
        Ok((messages, segments))
    }
}
