//! Chat templates: the model's own Jinja source, with the functions that transformers gives it.

use std::io::{self, Write};

use minijinja::{Environment, ErrorKind, Value};
use serde_json::json;

use crate::chat::functions::{self, TODAY};
use crate::{Error, Message, Part, Role, TemplateFields};

/// Instructions that a template may run on one conversation: real templates take some dozens per
/// turn, this is a second or two.
const FUEL: u64 = 5_000_000;

/// Bytes of a template: real ones have up to 40 kB.
const MAX_SOURCE: usize = 128 << 10;

/// Stack on which templates are compiled and may build nested values. The parser descends once for each sign of `{{ ---1 }}`
/// and does not count, and a list of a list of a list … is freed level by level: within the limits above neither needs as
/// much. Memory is taken only as it is used.
const STACK: usize = 256 << 20;

/// Bytes that a conversation may render to: hundreds of times the longest context of today.
const LONGEST: usize = 64 << 20;

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    /// Whether it can build values inside values without end.
    nests: bool,
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
    /// Whether it writes the text of a turn only where that is given as a part, as LLaVA's does.
    parts_only: bool,
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
        if source.len() > MAX_SOURCE {
            return Err(Error::template("chat template is too long")
                .found(format!("{} bytes", source.len()))
                .expected(format!("at most {MAX_SOURCE}")));
        }
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
        environment.add_filter("tojson", functions::tojson);
        let environment = on_a_large_stack(move || {
            environment
                .add_template_owned("chat", functions::plain_blocks(source))
                .map_err(|e| Error::template(format!("chat template does not compile: {e}")))?;
            Ok(environment)
        })?;
        let mut template = Self {
            // Only through a namespace does a value survive its loop, and grow.
            nests: source.contains("namespace"),
            source: source.to_owned(),
            environment,
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
            parts_only: false,
        };
        // Only a template that looks at the types of parts can.
        template.parts_only = source.contains("type") && !template.writes_text() && {
            template.parts_only = true;
            template.writes_text()
        };
        Ok(template)
    }

    /// Whether a turn's text is in what the template makes of the turn.
    fn writes_text(&self) -> bool {
        const TEXT: &str = "percept asks";
        let turn = [Message::text(Role::User, TEXT)];
        self.render(&turn, true)
            .is_ok_and(|text| text.contains(TEXT))
    }

    /// The Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation, with the opening of the assistant's turn if asked. A turn of text
    /// alone is given to the template as a string, one with media as a list of parts, one without
    /// content without that field; to a template that would leave strings out, all as lists.
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
        let messages: Vec<serde_json::Value> = {
            let message = |m| message(m, self.parts_only);
            messages.iter().map(message).collect()
        };
        let mut context = serde_json::Map::new();
        context.insert("documents".into(), serde_json::Value::Null);
        context.insert("bos_token".into(), self.bos_token.as_str().into());
        context.insert("eos_token".into(), self.eos_token.as_str().into());
        // A named value may replace a token, and none of what the conversation is.
        context.extend(fields.kwargs.clone());
        context.insert("messages".into(), messages.into());
        context.insert("tools".into(), fields.tools.clone().into());
        context.insert("add_generation_prompt".into(), add_generation_prompt.into());
        match self.nests {
            true => on_a_large_stack(|| self.write(&context)),
            false => self.write(&context),
        }
    }

    fn write(&self, context: &serde_json::Map<String, serde_json::Value>) -> Result<String, Error> {
        let context = Value::from_serialize(context);
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

/// Runs on a thread with a stack of [`STACK`] bytes: running out of stack ends the process and cannot be caught.
fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let failed = |what: String| Error::template(format!("chat template: {what}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread
            .spawn_scoped(scope, work)
            .map_err(|e| failed(format!("no memory for its stack: {e}")))?;
        let done = thread.join();
        done.unwrap_or_else(|_| Err(failed("the template engine gave up on it".into())))
    })
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

fn message(message: &Message, parts_only: bool) -> serde_json::Value {
    let media = message
        .content
        .iter()
        .any(|part| !matches!(part, Part::Text(_)));
    let content = if media || parts_only {
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
    fn a_template_that_reads_parts_alone_gets_parts() {
        let parts = "{% for m in messages %}{{ m.role }}:{% for p in m.content | selectattr('type', 'equalto', 'text') %} {{ p.text }}{% endfor %}{% endfor %}";
        let strings = "{% for m in messages %}{{ m.role }}: {{ m.content.strip() }}{% endfor %}";
        for source in [parts, strings] {
            let template = ChatTemplate::new(source, "", "").unwrap();
            let turn = [Message::text(Role::User, "hi")];
            assert_eq!(template.render(&turn, false).unwrap(), "user: hi");
        }
    }

    /// M4: each of these ended the process, on the stack of a test's thread and of the main one.
    #[test]
    fn no_template_runs_out_of_stack() {
        let deep = |open: &str, times: usize, close: &str| {
            format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times))
        };
        for source in [
            deep("-", 21_000, ""),
            deep("-", 120_000, ""),
            deep("not ", 30_000, ""),
            deep("(", 60_000, ")"),
            deep("[", 60_000, "]"),
            deep("{1:", 30_000, "}"),
            deep("1 if 1 else ", 9_000, ""),
            deep("1+", 60_000, ""),
            deep("1~", 60_000, ""),
            deep("1**", 40_000, ""),
            deep("", 9_000, "|string"),
            deep("", 9_000, ".a"),
            "{% if 1 %}".repeat(12_000),
            format!(
                "{}{}",
                "{% if 1 %}".repeat(6_000),
                "{% endif %}".repeat(6_000)
            ),
        ] {
            if let Ok(template) = ChatTemplate::new(&source, "", "") {
                let _ = template.render(&[], false);
            }
        }
        let long = "-".repeat(200_000);
        let refused = ChatTemplate::new(&long, "", "").unwrap_err().to_string();
        assert!(refused.contains("too long"), "{refused}");
        let nested = "{% set n = namespace(x=1) %}{% for i in range(100000) %}{% for j in range(90) %}{% set n.x = [n.x] %}{% endfor %}{% endfor %}";
        for more in ["", "{{ n.x }}", "{{ n.x|tojson }}", "{{ n.x == [n.x] }}"] {
            let template = ChatTemplate::new(&format!("{nested}{more}"), "", "").unwrap();
            assert!(template.render(&[], false).is_err());
            let fewer = nested.replace("100000", "900");
            let template = ChatTemplate::new(&format!("{fewer}{more}"), "", "").unwrap();
            let _ = template.render(&[], false);
        }
    }

    #[test]
    fn loops_can_be_left_early() {
        let source = "{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}{{ tools is none }}{{ tools is iterable }}{{ 'a' is iterable }}";
        let template = ChatTemplate::new(source, "", "").unwrap();
        assert_eq!(template.render(&[], false).unwrap(), "012TrueFalseTrue");
    }
}
