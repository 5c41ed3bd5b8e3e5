//! What is asked about a frame, and where the frame stands in it.

use percept_chat::{ChatRequest, Turn};
use percept_data::{Media, Message, Part, Role, Sample};

const IMAGE: &str = "<image>";
const PROMPT: &str = "{prompt}";

/// The question about a frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    template: Option<String>,
}

impl Question {
    /// Own words: `{prompt}` is what the clip was made from, and the frame stands where `<image>` is, else before the text. The
    /// default is the question of training and annotation, [`percept_frames::question`].
    ///
    /// # Errors
    /// Two places for one frame.
    pub fn own(template: &str) -> Result<Self, String> {
        if template.matches(IMAGE).count() > 1 {
            return Err(format!(
                "{IMAGE} stands in it more than once; each question is about one frame"
            ));
        }
        Ok(Self {
            template: Some(template.to_owned()),
        })
    }

    /// The text for a clip that was made from `prompt`.
    pub fn text(&self, prompt: &str) -> String {
        match &self.template {
            Some(template) => template.replace(PROMPT, prompt.trim()),
            None => percept_frames::question(prompt),
        }
    }
}

/// The request about one frame: its picture where `<image>` stands in the text, else first, as rows of data have it.
pub(crate) fn request(id: String, question: &str, frame: Media, turn: &Turn) -> ChatRequest {
    let content = match question.split_once(IMAGE) {
        None => vec![Part::Image(0), Part::Text(question.to_owned())],
        Some((before, after)) => {
            let text = |text: &str| (!text.is_empty()).then(|| Part::Text(text.to_owned()));
            let parts = [text(before), Some(Part::Image(0)), text(after)];
            parts.into_iter().flatten().collect()
        }
    };
    let mut sample = Sample::new(id, vec![Message::new(Role::User, content)]);
    sample.images.push(frame);
    ChatRequest::of(&sample, turn.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_stands_where_the_question_has_it() {
        let frame = || Media::from_bytes(vec![0u8]);
        let content = |text: &str| {
            let request = request("1".into(), text, frame(), &Turn::default());
            request.messages[0].content.clone()
        };
        assert_eq!(content("what?")[0], Part::Image(0));
        assert_eq!(
            content("Look: <image>"),
            [Part::Text("Look: ".into()), Part::Image(0)]
        );
        assert!(Question::own("<image> or <image>?").is_err());
        let own = Question::own("A clip of {prompt}.<image>").unwrap();
        assert_eq!(own.text(" a {dog} "), "A clip of a {dog}.<image>");
        assert!(Question::default().text("a cat").contains("a cat"));
    }
}
