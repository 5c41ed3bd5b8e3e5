//! What transformers adds to Jinja for chat templates: Python's `json.dumps`, dates, and the
//! `generation` block.

use std::fmt::Write;
use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// The `tojson` filter: `json.dumps(value, ensure_ascii=False, indent=…)`, without the escapes
/// for HTML of Jinja's own filter.
pub(crate) fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let sort_keys: Option<bool> = options.get("sort_keys")?;
    // With ensure_ascii, non-ASCII text would be escaped; no template of ours asks for it.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let refused = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let mut value = serde_json::to_value(value).map_err(refused)?;
    if sort_keys == Some(true) {
        value.sort_all_objects();
    }
    let mut out = Vec::new();
    match indent {
        Some(width) => {
            let indent = " ".repeat(width);
            let style = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut out, style))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut out, Python)),
    }
    .map_err(refused)?;
    let text = String::from_utf8(out)
        .map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    Ok(Value::from_safe_string(text))
}

/// `json.dumps(value, ensure_ascii=False)`.
pub(crate) fn python_json(value: &serde_json::Value) -> String {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Python));
    match written {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => value.to_string(),
    }
}

/// One line, with a space behind each comma and colon.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(w)?;
        w.write_all(b" ")
    }
}

/// A day, for `strftime_now`.
pub(crate) struct Date {
    year: u32,
    month: (u32, &'static str, &'static str),
    day: u32,
    weekday: (&'static str, &'static str),
}

/// The day on which every prompt is written.
pub(crate) const TODAY: Date = Date {
    year: 2025,
    month: (1, "Jan", "January"),
    day: 1,
    weekday: ("Wed", "Wednesday"),
};

impl Date {
    /// The directives of `strftime` that occur in chat templates; the time is midnight.
    pub(crate) fn format(&self, format: &str) -> Result<String, Error> {
        let mut out = String::new();
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let directive = letters.next().unwrap_or('%');
            let written = match directive {
                'Y' => write!(out, "{}", self.year),
                'y' => write!(out, "{:02}", self.year % 100),
                'm' => write!(out, "{:02}", self.month.0),
                'b' => out.write_str(self.month.1),
                'B' => out.write_str(self.month.2),
                'd' => write!(out, "{:02}", self.day),
                'a' => out.write_str(self.weekday.0),
                'A' => out.write_str(self.weekday.1),
                'H' | 'M' | 'S' => out.write_str("00"),
                '%' => out.write_str("%"),
                other => {
                    let message = format!("strftime_now: %{other} is not supported");
                    return Err(Error::new(ErrorKind::InvalidOperation, message));
                }
            };
            written.map_err(|_| ErrorKind::WriteFailure)?;
        }
        Ok(out)
    }
}

/// Replaces `{% generation %} … {% endgeneration %}`, which marks what the assistant says, by a
/// block that Jinja has: percept knows the assistant's turns from the messages.
pub(crate) fn plain_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open);
        // Behind the opening: the two would overlap in `{%}`.
        let Some(end) = tag[2..].find("%}").map(|end| end + 2) else {
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let inner = &tag[2..end];
        let block = match inner.trim_matches(['-', '+']).trim() {
            "generation" => tag.replacen("generation", "if true", 1),
            "endgeneration" => tag.replacen("endgeneration", "endif", 1),
            _ => tag.to_owned(),
        };
        out.push_str(before);
        out.push_str(&block);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::Environment;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let mut environment = Environment::new();
        environment.add_filter("tojson", tojson);
        let render = |source: &str| environment.render_str(source, ()).unwrap();
        let value = "{'a': [1, 2.5, none, true], 'ü': '<b>\"x\"', 'e': {}, 'f': []}";
        assert_eq!(
            render(&format!("{{{{ {value} | tojson }}}}")),
            "{\"a\": [1, 2.5, null, true], \"ü\": \"<b>\\\"x\\\"\", \"e\": {}, \"f\": []}"
        );
        assert_eq!(
            render("{{ {'b': [1], 'a': {}} | tojson(indent=2, sort_keys=true) }}"),
            "{\n  \"a\": {},\n  \"b\": [\n    1\n  ]\n}"
        );
    }

    #[test]
    fn dates_follow_strftime() {
        assert_eq!(
            TODAY.format("%d %b %Y, %A, 100%%").unwrap(),
            "01 Jan 2025, Wednesday, 100%"
        );
        assert_eq!(TODAY.format("%Y-%m-%d").unwrap(), "2025-01-01");
        assert!(TODAY.format("%Q").is_err());
    }

    #[test]
    fn generation_blocks_keep_their_whitespace_control() {
        assert_eq!(plain_blocks("{%}"), "{%}");
        let source = "{% raw %}{% endraw %}a {%- generation %} b {% endgeneration -%} c {{ '%}' }}";
        assert_eq!(
            plain_blocks(source),
            "{% raw %}{% endraw %}a {%- if true %} b {% endif -%} c {{ '%}' }}"
        );
        assert_eq!(plain_blocks("{% open"), "{% open");
    }
}
