//! Chat templates: the model's own Jinja source, with the functions that transformers gives it.

use minijinja::{Environment, ErrorKind, Value, context};
use serde_json::json;

use crate::{Error, Message, Part};

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// Compiles `source`; the two tokens are what the template calls `bos_token`, `eos_token`.
    ///
    /// # Errors
    /// [`Error::Template`] with the line of a syntax error.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |text: String| -> Result<Value, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, text))
        });
        // A prompt that changes with the day would make runs irreproducible.
        environment.add_function("strftime_now", |_format: String| "01 Jan 2025".to_owned());
        environment
            .add_template_owned("chat", source.to_owned())
            .map_err(|e| Error::template(format!("chat template does not compile: {e}")))?;
        Ok(Self {
            source: source.to_owned(),
            environment,
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
        })
    }

    /// The Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation, with the opening of the assistant's turn if asked. A turn of text
    /// alone is given to the template as a string, one with media as a list of parts.
    ///
    /// # Errors
    /// [`Error::Template`] when the template refuses the conversation.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let messages: Vec<serde_json::Value> = messages.iter().map(message).collect();
        let render = || {
            self.environment.get_template("chat")?.render(context! {
                messages => messages,
                add_generation_prompt => add_generation_prompt,
                bos_token => self.bos_token,
                eos_token => self.eos_token,
            })
        };
        render().map_err(|e| {
            let mut reason = e.to_string();
            if let Some(detail) = e.detail() {
                reason = detail.to_owned();
            }
            Error::template(format!("chat template refused the conversation: {reason}"))
        })
    }
}

fn message(message: &Message) -> serde_json::Value {
    let media = message
        .content
        .iter()
        .any(|part| !matches!(part, Part::Text(_)));
    let content = if media {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(_) => json!({"type": "image"}),
            Part::Video(_) => json!({"type": "video"}),
        });
        serde_json::Value::Array(parts.collect())
    } else {
        message.plain_text().into()
    };
    json!({"role": message.role.as_str(), "content": content})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    /// As in the Qwen2-VL hub repositories.
    const QWEN2_VL: &str = "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    #[test]
    fn the_template_of_qwen2_vl_renders_as_in_transformers() {
        let template = ChatTemplate::new(QWEN2_VL, "", "<|im_end|>").unwrap();
        let user = Message {
            role: Role::User,
            content: vec![Part::Image(0), Part::Text("What?".into())],
            train: None,
        };
        assert_eq!(
            template.render(&[user], true).unwrap(),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n\
             <|vision_start|><|image_pad|><|vision_end|>What?<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn python_methods_work_and_refusals_carry_their_reason() {
        let source = "{% if messages[0].role != 'user' %}{{ raise_exception('users first') }}{% endif %}{{ messages[0].content.strip().upper() }}";
        let template = ChatTemplate::new(source, "", "").unwrap();
        let turn = |role| [Message::text(role, " hi ")];
        assert_eq!(template.render(&turn(Role::User), false).unwrap(), "HI");
        let error = template.render(&turn(Role::System), false).unwrap_err();
        assert!(error.to_string().contains("users first"), "{error}");
        assert!(ChatTemplate::new("{% if %}", "", "").is_err());
    }
}
