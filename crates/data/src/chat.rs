//! Chat templates: the model's own Jinja source, with the functions that transformers gives it.

use std::io::{self, Write};

use minijinja::{Environment, ErrorKind, Value};
use serde_json::json;

use crate::template_functions::{self, TODAY};
use crate::{Error, Message, Part, TemplateFields};

/// Instructions that a template may run on one conversation: real templates take some dozens per
/// turn, this is a second or two.
const FUEL: u64 = 20_000_000;

/// Bytes that a conversation may render to: hundreds of times the longest context of today.
const LONGEST: usize = 64 << 20;

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
    /// `strftime_now` answers with 1 January 2025: a prompt that changes with the day would make
    /// runs irreproducible.
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
        environment.set_fuel(Some(FUEL));
        environment.add_function("strftime_now", |format: &str| TODAY.format(format));
        // Jinja iterates over what is undefined, but not over none.
        environment.add_test("iterable", |value: &Value| {
            !value.is_none() && value.try_iter().is_ok()
        });
        environment.add_filter("tojson", template_functions::tojson);
        environment
            .add_template_owned("chat", template_functions::plain_blocks(source))
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
    /// alone is given to the template as a string, one with media as a list of parts, one without
    /// content without that field.
    ///
    /// # Errors
    /// [`Error::Template`] when the template refuses the conversation.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        self.render_with(messages, &TemplateFields::default(), add_generation_prompt)
    }

    /// The same with tools and other named values, as
    /// `apply_chat_template(messages, tools=…, **chat_template_kwargs)`.
    ///
    /// # Errors
    /// [`Error::Template`] when the template refuses the conversation.
    pub fn render_with(
        &self,
        messages: &[Message],
        fields: &TemplateFields,
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let messages: Vec<serde_json::Value> = messages.iter().map(message).collect();
        let mut context = serde_json::Map::new();
        context.insert("documents".into(), serde_json::Value::Null);
        context.insert("bos_token".into(), self.bos_token.as_str().into());
        context.insert("eos_token".into(), self.eos_token.as_str().into());
        // A named value may replace a token, and none of what the conversation is.
        context.extend(fields.kwargs.clone());
        context.insert("messages".into(), messages.into());
        context.insert("tools".into(), fields.tools.clone().into());
        context.insert("add_generation_prompt".into(), add_generation_prompt.into());
        let context = Value::from_serialize(&context);
        let mut text = Limited(Vec::new());
        let rendered = self.environment.get_template("chat");
        let rendered = rendered.and_then(|t| t.render_captured_to(context, &mut text).map(drop));
        rendered.map_err(|e| {
            let reason = match e.kind() {
                ErrorKind::WriteFailure => format!("it writes more than {LONGEST} bytes"),
                _ => e.detail().map_or_else(|| e.to_string(), str::to_owned),
            };
            Error::template(format!("chat template refused the conversation: {reason}"))
        })?;
        String::from_utf8(text.0).map_err(|e| Error::template(format!("chat template: {e}")))
    }
}

/// Text up to [`LONGEST`] bytes.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    let mut turn = json!({"role": message.role.as_str()});
    // A tool call without text: OpenAI writes null, which TRL takes out again.
    if !message.content.is_empty() || message.fields.is_empty() {
        turn["content"] = content;
    }
    for (name, value) in &message.fields {
        turn[name] = value.clone();
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn python_methods_work_and_refusals_carry_their_reason() {
        let source = "{% if messages[0].role != 'user' %}{{ raise_exception('users first') }}{% endif %}{{ messages[0].content.strip().upper() }}";
        let template = ChatTemplate::new(source, "", "").unwrap();
        let turn = |role| [Message::text(role, " hi ")];
        assert_eq!(template.render(&turn(Role::User), false).unwrap(), "HI");
        let error = template.render(&turn(Role::System), false).unwrap_err();
        assert!(error.to_string().contains("users first"), "{error}");
        let error = ChatTemplate::new("a\n{% if %}", "", "").unwrap_err();
        assert!(error.to_string().contains('2'), "no line in: {error}");
    }

    #[test]
    fn loops_can_be_left_early() {
        let source = "{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}{{ tools is none }}{{ tools is iterable }}{{ 'a' is iterable }}";
        let template = ChatTemplate::new(source, "", "").unwrap();
        assert_eq!(template.render(&[], false).unwrap(), "012TrueFalseTrue");
    }
}
