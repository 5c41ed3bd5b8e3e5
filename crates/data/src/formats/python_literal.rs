//! Lists and objects that were written into a text: JSON, or Python's `repr` of them, as a CSV file or
//! `str(messages)` leaves them.

use crate::formats::row::Value;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// The list or object in `text`; none when it is neither JSON nor a Python literal.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['[', '{', '(']) {
        return None;
    }
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        return Some(json.into());
    }
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.blank();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blank();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        match self.rest.chars().next()? {
            '[' => self.list(depth, "[", "]"),
            '(' => self.list(depth, "(", ")"),
            '{' => self.object(depth),
            '\'' | '"' => self.text().map(Value::Text),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize, open: &str, close: &str) -> Option<Value> {
        self.take(open);
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.value(depth + 1)?);
            if !self.take(",") && !self.rest.starts_with(close) {
                return None;
            }
        }
        Some(Value::List(items))
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.take("{");
        let mut fields = Vec::new();
        while !self.take("}") {
            self.blank();
            let name = self.text()?;
            if !self.take(":") {
                return None;
            }
            fields.push((name, self.value(depth + 1)?));
            if !self.take(",") && !self.rest.starts_with('}') {
                return None;
            }
        }
        Some(Value::Struct(fields))
    }

    /// `None`, `True`, `False`, or a number.
    fn word(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.' | '_'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" | "null" => Some(Value::Null),
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            number => serde_json::from_str(number).ok().map(Value::Number),
        }
    }

    /// A text in either quotes.
    fn text(&mut self) -> Option<String> {
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"'))?;
        let mut out = String::new();
        let mut letters = self.rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.rest = &self.rest[1 + at + 1..];
                return Some(out);
            }
            if letter != '\\' {
                out.push(letter);
                continue;
            }
            let (_, escape) = letters.next()?;
            let digits = match escape {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            match escape {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                '\n' => {}
                'x' | 'u' | 'U' => {
                    let hex: String = letters.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&hex, 16).ok()?;
                    out.push(char::from_u32(code)?);
                }
                '\\' | '\'' | '"' => out.push(escape),
                // Python keeps the backslash of an escape that it does not know.
                other => out.extend(['\\', other]),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_python_say_the_same() {
        let json = r#"[{"role": "user", "content": "it's \"5\"\nü", "n": [1, -2.5, null, true]}]"#;
        let python =
            "[{'role': 'user', 'content': 'it\\'s \"5\"\\n\\xfc', 'n': (1, -2.5, None, True,)}]";
        assert!(parse(json).is_some());
        assert_eq!(parse(json), parse(python));
    }

    #[test]
    fn what_is_no_literal_is_none() {
        for text in [
            "",
            "Hi",
            "[1, 2",
            "[x]",
            "{1: 2}",
            "[1] 2",
            "['a' 'b']",
            &"[".repeat(9999),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
