//! Where in a response the answer stands. Every function is one pass over the text.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the answer stands in a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extraction {
    /// The last `\boxed{…}`, else `<answer>…</answer>`, else after `####` or "answer is", else the
    /// response itself if it is one short line (after `</think>`).
    #[default]
    Auto,
    /// The last `\boxed{…}` only: what training prompts usually ask for.
    Boxed,
    /// As `auto`, else the last number in the text. Right for models that were never told a format;
    /// a trained model learns to end on numbers.
    LastNumber,
}

/// Longest response, in bytes, that may be an answer without any mark.
const MAX_BARE_ANSWER: usize = 200;

/// The final answer of a response; none where it states none.
pub fn final_answer(completion: &str, extraction: Extraction) -> Option<Cow<'_, str>> {
    let tail = after_thinking(completion);
    let boxed = boxed(tail).or_else(|| boxed(completion));
    if extraction == Extraction::Boxed || boxed.is_some() {
        return boxed.map(Cow::Borrowed);
    }
    let whole = tail.trim();
    let short = whole.len() <= MAX_BARE_ANSWER && !whole.contains('\n');
    let numbers = extraction == Extraction::LastNumber;
    tagged(tail, "<answer>", "</answer>")
        .or_else(|| stated(tail))
        .or_else(|| (short && !whole.is_empty() && !numbers).then_some(whole))
        .or_else(|| numbers.then(|| last_number(tail))?)
        .map(Cow::Borrowed)
}

/// Content of the last balanced `\boxed{…}` (or `\fbox{…}`, or `\boxed 5`).
///
/// ```
/// use percept_reward::extract::boxed;
/// assert_eq!(boxed(r"\boxed{1} or \boxed{\frac{1}{2}}."), Some(r"\frac{1}{2}"));
/// assert_eq!(boxed(r"\boxed{1} then \boxed{2"), Some("1"));
/// ```
pub fn boxed(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    // Open braces: the content's start where the brace belongs to a box.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                let rest = &text[at..];
                let Some(name) = ["\\boxed", "\\fbox"].iter().find(|n| rest.starts_with(**n))
                else {
                    at += 1 + bytes.get(at + 1).is_some_and(|b| b.is_ascii()) as usize;
                    continue;
                };
                at += name.len();
                let after = rest[name.len()..].trim_start_matches(' ');
                let blanks = rest.len() - name.len() - after.len();
                if after.starts_with('{') {
                    at += blanks + 1;
                    open.push(Some(at));
                } else if blanks > 0 {
                    let end = after
                        .find(|c: char| c.is_whitespace() || matches!(c, '$' | '}'))
                        .unwrap_or(after.len());
                    if end > 0 {
                        last = Some((at + blanks, at + blanks + end));
                    }
                }
            }
            b'{' => {
                open.push(None);
                at += 1;
            }
            b'}' => {
                if let Some(Some(start)) = open.pop()
                    && last.is_none_or(|(other, _)| other < start)
                {
                    last = Some((start, at));
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    last.map(|(start, end)| text[start..end].trim())
}

/// Content between the last `open` and the first `close` after it (or the end of the text).
pub fn tagged<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = text.rfind(open)? + open.len();
    let rest = &text[start..];
    Some(rest[..rest.find(close).unwrap_or(rest.len())].trim())
}

/// What follows the last `</think>`, or the whole text.
pub fn after_thinking(text: &str) -> &str {
    text.rfind("</think>")
        .map_or(text, |at| &text[at + "</think>".len()..])
}

/// What follows the last `####` (GSM8K), or the last "answer is …" / "answer: …", to the end of the
/// sentence or line.
pub fn stated(text: &str) -> Option<&str> {
    match text.rfind("####") {
        Some(at) => Some(sentence(text[at + 4..].trim_start())),
        None => stated_as(text, "answer"),
    }
}

/// What follows the last "`word` is …" or "`word`: …", to the end of the sentence or line. `word`
/// is lower-case ASCII; the text's case does not matter.
pub fn stated_as<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    while let Some(at) = rfind_ignore_case(&bytes[..end], word.as_bytes()) {
        let rest = text[at + word.len()..].trim_start_matches(['*', ' ', '_']);
        let is = rest
            .get(..2)
            .is_some_and(|word| word.eq_ignore_ascii_case("is"));
        let rest = if is {
            Some(&rest[2..])
        } else {
            rest.strip_prefix([':', '='])
        };
        if let Some(rest) = rest {
            let found = sentence(rest.trim_start_matches([':', '*', ' ', '=', '_', '\n', '\r']));
            if !found.is_empty() {
                return Some(found);
            }
        }
        end = at;
    }
    None
}

fn rfind_ignore_case(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len())
        .rposition(|window| window.eq_ignore_ascii_case(word))
}

/// To the end of the line, or to a full stop that ends a sentence; `$…$` is taken whole.
fn sentence(text: &str) -> &str {
    if let Some(math) = text.strip_prefix('$')
        && let Some(end) = math.trim_start_matches('$').find('$')
    {
        return math.trim_start_matches('$')[..end].trim();
    }
    let line = text.lines().next().unwrap_or("");
    let end = line
        .match_indices(". ")
        .map(|(at, _)| at)
        .next()
        .unwrap_or(line.len());
    line[..end].trim().trim_end_matches(['.', '*', ',', ';'])
}

/// The last number in the text, with its sign.
pub fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let last = bytes.iter().rposition(u8::is_ascii_digit)?;
    let mut start = last;
    while start > 0 {
        let before = bytes[start - 1];
        let joins = matches!(before, b'.' | b',') && start > 1 && bytes[start - 2].is_ascii_digit();
        if !(before.is_ascii_digit() || joins) {
            break;
        }
        start -= 1;
    }
    if start > 0 && bytes[start - 1] == b'-' {
        start -= 1;
    }
    Some(&text[start..=last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_balanced_box_wins() {
        for (text, expected) in [
            (r"\boxed{17}", Some("17")),
            (r"\boxed {17}", Some("17")),
            (r"\boxed 17$", Some("17")),
            (r"\boxed{\boxed{5}}", Some("5")),
            (r"\boxed{\text{a \} b}}", Some(r"\text{a \} b}")),
            (r"\boxed{\{1,2\}}", Some(r"\{1,2\}")),
            (r"{ stray \boxed{2} }", Some("2")),
            (r"} stray \boxed{2}", Some("2")),
            (r"\fbox{x}", Some("x")),
            (r"\boxed{2", None),
            (r"boxed{2}", None),
            (r"\boxed", None),
            ("", None),
            (r"\é\boxed{3}", Some("3")),
        ] {
            assert_eq!(boxed(text), expected, "{text}");
        }
    }

    #[test]
    fn stated_answers_are_found() {
        for (text, expected) in [
            ("The answer is 42.", Some("42")),
            ("The final answer is: **5**.", Some("5")),
            ("The ANSWER IS $\\frac12$, is it not", Some("\\frac12")),
            ("Answer: x = 3. Then we check.", Some("x = 3")),
            ("**Answer:** 7", Some("7")),
            ("so 3*4=12\n#### 12", Some("12")),
            ("answer is 1. The answer is 3.5 m.\nmore", Some("3.5 m")),
            ("my answers vary", None),
        ] {
            assert_eq!(stated(text), expected, "{text}");
        }
    }

    #[test]
    fn last_numbers() {
        assert_eq!(last_number("from 3 to -1,234.5."), Some("-1,234.5"));
        assert_eq!(last_number("no"), None);
        assert_eq!(last_number("a,3"), Some("3"));
    }

    #[test]
    fn a_megabyte_takes_one_pass() {
        let clock = std::time::Instant::now();
        for text in [
            r"\boxed{".repeat(150_000),
            "{".repeat(1_000_000),
            "answer ".repeat(150_000),
            "answer is ".repeat(100_000),
            "1,".repeat(500_000),
            "$".repeat(1_000_000),
        ] {
            boxed(&text);
            stated(&text);
            last_number(&text);
        }
        assert!(clock.elapsed().as_secs() < 2);
    }
}
