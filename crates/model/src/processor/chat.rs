//! Turns of a conversation as one text.

use percept_data::{ChatTemplate, Message, Part, Sample, TemplateFields};
use serde_json::{Map, Value};

use crate::Error;
use crate::processor::errors::at;

/// The chat template of a model, and what every conversation gives it.
pub(crate) struct Chat {
    pub(super) template: Option<ChatTemplate>,
    /// A row's own values come first.
    pub(super) kwargs: Map<String, Value>,
    /// Whether the model reads no images.
    pub(super) text_only: bool,
}

impl Chat {
    /// The text of some turns; `open_answer` opens one of the assistant.
    ///
    /// # Errors
    /// [`Error::Processor`] naming the sample.
    pub(super) fn render(
        &self,
        sample: &Sample,
        messages: &[Message],
        open_answer: bool,
    ) -> Result<String, Error> {
        let medium = |part: &Part| !matches!(part, Part::Text(_));
        if self.text_only && messages.iter().flat_map(|m| &m.content).any(medium) {
            let message = "this model reads text only\n  help: remove the images and videos or \
                           choose a vision-language model"
                .to_owned();
            return Err(at(sample, "messages", message));
        }
        let Some(template) = &self.template else {
            let message = "the model has no chat template\n  help: add chat_template.jinja to its \
                           folder"
                .to_owned();
            return Err(at(sample, "messages", message));
        };
        template
            .render_with(messages, &self.fields(sample), open_answer)
            .map_err(|e| at(sample, "messages", e.report().what.clone()))
    }

    /// What the template gets besides the turns: the row's values, then the recipe's.
    fn fields(&self, sample: &Sample) -> TemplateFields {
        let mut fields = sample.template.clone();
        for (name, value) in &self.kwargs {
            fields
                .kwargs
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        fields
    }
}
