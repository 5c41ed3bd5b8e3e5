//! Where in a response the answer stands. Every function is one pass over the text.
//!
//! The final answer is looked for behind the thoughts; what thoughts say counts only where nothing
//! follows them. Of boxes and answer tags the last one counts. What is not complete (thoughts without
//! an end, a tag or box that is cut off) says nothing.

mod boxed;
mod number;
mod stated;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use boxed::boxed;
pub use number::last_number;
pub(crate) use stated::json;
pub use stated::{stated, stated_as};

/// Where the answer stands in a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extraction {
    /// The last `\boxed{…}` or `<answer>…</answer>`, else the value of a JSON key `answer`, else after
    /// `####` or "answer is", else the response itself if it is one short line (after `</think>`).
    #[default]
    Auto,
    /// The last `\boxed{…}` only: what training prompts usually ask for.
    Boxed,
    /// As `auto`, but where no box or tag marks the answer and it has words in it, the last number
    /// of them. Right for models that were never told a format; a trained model learns to end on
    /// numbers.
    LastNumber,
}

/// Longest response, in bytes, that may be an answer without any mark.
const MAX_BARE_ANSWER: usize = 200;

/// The final answer of a response; none where it states none.
///
/// ```
/// use percept_reward::{Extraction, extract::final_answer};
/// let found = |text| final_answer(text, Extraction::Auto).map(|text| text.into_owned());
/// assert_eq!(found(r"<think>\boxed{11}</think><answer>12</answer>").as_deref(), Some("12"));
/// assert_eq!(found("The answer is 18, as shown.").as_deref(), Some("18"));
/// assert_eq!(found(r#"{"answer": 18}"#).as_deref(), Some("18"));
/// assert_eq!(found("<answer>1"), None);
/// ```
pub fn final_answer(completion: &str, extraction: Extraction) -> Option<Cow<'_, str>> {
    let tail = answer_part(completion);
    if extraction == Extraction::Boxed {
        return joined_boxes(tail).map(|(_, found)| found);
    }
    if let Some(found) = marked(tail) {
        return Some(found);
    }
    let tail = settled(tail);
    let numbers = extraction == Extraction::LastNumber;
    let said = stated::json(tail).or_else(|| stated(tail).map(Cow::Borrowed));
    if let Some(said) = said {
        let number = (numbers && number::has_words(&said)).then(|| last_number(&said));
        return Some(match number.flatten() {
            Some(number) => Cow::Owned(number.to_owned()),
            None => said,
        });
    }
    let whole = unfenced(tail.trim());
    let whole = match stated::display(whole) {
        Some((inside, rest)) if rest.trim_matches(['.', ' ', '\n']).is_empty() => inside,
        _ => whole,
    };
    let short = !whole.is_empty() && whole.len() <= MAX_BARE_ANSWER && !whole.contains('\n');
    if numbers && (!short || number::has_words(whole)) {
        return last_number(tail).map(Cow::Borrowed);
    }
    short.then_some(Cow::Borrowed(whole))
}

/// The last box or answer tag of the part of a response that answers.
pub(crate) fn marked(tail: &str) -> Option<Cow<'_, str>> {
    let tag = last_tag(tail, "<answer>", "</answer>");
    let boxed = joined_boxes(tail);
    match (tag, boxed) {
        (Some((start, end)), Some((place, found))) if place < end => {
            // A box before the tag is a draft; one inside is what the tag says.
            if place >= start {
                Some(found)
            } else {
                Some(inside(tail[start..end].trim()))
            }
        }
        (_, Some((_, found))) => Some(found),
        (Some((start, end)), None) => Some(inside(tail[start..end].trim())),
        (None, None) => None,
    }
}

/// What an answer tag says: the value of its JSON, or of its sentence, or all of it.
fn inside(text: &str) -> Cow<'_, str> {
    let text = unfenced(text);
    stated::json(text)
        .or_else(|| stated(text).map(Cow::Borrowed))
        .or_else(|| match stated::display(text) {
            Some((inside, "")) => Some(Cow::Borrowed(inside)),
            _ => None,
        })
        .unwrap_or(Cow::Borrowed(text))
}

/// The last box with where it begins; boxes that stand side by side ("\boxed{3} and \boxed{-3}") are one
/// answer of several parts.
fn joined_boxes(text: &str) -> Option<(usize, Cow<'_, str>)> {
    let all = boxed::boxes(text);
    let last = all.last()?;
    let content = |place: &boxed::Place| text[place.inside.0..place.inside.1].trim();
    let mut parts = vec![content(last)];
    let mut first = last;
    for place in all.iter().rev().skip(1) {
        if !joins(&text[place.whole.1..first.whole.0.max(place.whole.1)]) {
            break;
        }
        if !parts.contains(&content(place)) {
            parts.push(content(place));
        }
        first = place;
        if parts.len() > 16 {
            break;
        }
    }
    if parts.len() == 1 {
        return Some((last.whole.0, Cow::Borrowed(parts[0])));
    }
    parts.reverse();
    Some((last.whole.0, Cow::Owned(parts.join(", "))))
}

/// Whether the text between two boxes makes one answer of them.
fn joins(between: &str) -> bool {
    let words = between.trim_matches([' ', '$', ',', '\n']);
    let and = [
        "and",
        "or",
        "\\text{and}",
        "\\text{ and }",
        "\\text{ or }",
        "和",
        "、",
        "或",
        "\\quad",
    ];
    between.len() <= 40 && (and.contains(&words) || (words.is_empty() && between.contains(',')))
}

/// The place of the content of the last complete pair of tags; case does not matter.
fn last_tag(text: &str, open: &str, close: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let end = stated::rfind_ignore_case(bytes, close.as_bytes())?;
    let start = stated::rfind_ignore_case(&bytes[..end], open.as_bytes())?;
    Some((start + open.len(), end))
}

/// Content of the last complete pair of tags.
pub fn tagged<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (start, end) = last_tag(text, open, close)?;
    Some(text[start..end].trim())
}

/// Without an answer tag or box at the end that is cut off.
pub(crate) fn settled(text: &str) -> &str {
    let bytes = text.as_bytes();
    let open = stated::rfind_ignore_case(bytes, b"<answer>");
    let close = stated::rfind_ignore_case(bytes, b"</answer>");
    let text = match (open, close) {
        (Some(open), close) if close.is_none_or(|close| close < open) => &text[..open],
        _ => text,
    };
    let box_at = text.rfind("\\boxed").max(text.rfind("\\fbox"));
    match box_at {
        // Complete boxes were taken before.
        Some(at) if boxed(&text[at..]).is_none() && text[at..].contains('{') => &text[..at],
        _ => text,
    }
}

/// How thoughts begin and end.
const THOUGHTS: [(&str, &str); 5] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("◁think▷", "◁/think▷"),
];

/// The part of a response in which the final answer stands: what follows the thoughts. Where nothing
/// does, the thoughts themselves; where they have no end, nothing.
pub fn answer_part(text: &str) -> &str {
    let tail = after_thinking(text);
    let open = THOUGHTS.iter().filter_map(|(open, _)| tail.find(open));
    if let Some(at) = open.min() {
        return &tail[..at];
    }
    if tail.trim().is_empty() && tail.len() < text.len() {
        let close = THOUGHTS.iter().filter_map(|(_, close)| text.rfind(close));
        return &text[..close.max().unwrap_or(text.len())];
    }
    tail
}

/// What follows the last `</think>` (or another end of thoughts), or the whole text.
pub fn after_thinking(text: &str) -> &str {
    let ends = THOUGHTS
        .iter()
        .filter_map(|(_, close)| text.rfind(close).map(|at| at + close.len()));
    ends.max().map_or(text, |at| &text[at..])
}

/// Without a fence of three backticks around the whole.
fn unfenced(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("```").and_then(|t| t.strip_suffix("```")) else {
        return text;
    };
    match inner.split_once('\n') {
        Some((_, body)) if !body.contains("```") => body.trim(),
        _ => text,
    }
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

    fn found(text: &str) -> Option<String> {
        final_answer(text, Extraction::Auto).map(Cow::into_owned)
    }

    /// A11
    #[test]
    fn a_draft_in_the_thoughts_never_beats_the_final_answer() {
        for (text, expected) in [
            (r"<think>\boxed{11}</think><answer>12</answer>", Some("12")),
            (r"<think>\boxed{11}</think> The answer is 12.", Some("12")),
            (r"<think>\boxed{11}</think> 12", Some("12")),
            (r"<think><answer>11</answer></think> \boxed{12}", Some("12")),
            (r"\boxed{11}? No. <answer>12</answer>", Some("12")),
            (r"<answer>11</answer> No, \boxed{12}", Some("12")),
            (r"<answer>It is \boxed{12}.</answer>", Some("12")),
            (
                r"<reasoning>\boxed{11}</reasoning><answer>12</answer>",
                Some("12"),
            ),
            ("<think>hm</think>\nI see it.\nAnd I go.", None),
            (
                r"<think>\boxed{11}</think> I look at it.\nAnd I go.",
                Some(r"I look at it.\nAnd I go."),
            ),
            // Nothing follows: the thoughts are all that there is.
            (r"<think>so \boxed{12}</think>", Some("12")),
        ] {
            assert_eq!(found(text).as_deref(), expected, "{text}");
        }
    }

    /// A12
    #[test]
    fn what_is_cut_off_is_no_answer() {
        for text in [
            "<answer>1",
            "<think>hm</think><answer>1",
            r"\boxed{1",
            r"so \boxed{\frac{1}{2}",
            r"<think>so \boxed{1} is",
            "<think>The answer is 1",
            "{\"answer\": 1",
            "{\"answer\": \"1",
            "",
            "<answer></answer>",
        ] {
            let found = found(text).unwrap_or_default();
            assert!(
                !found.contains("1") || found.contains("\"answer\""),
                "{text}: {found}"
            );
        }
        // What was complete before counts.
        assert_eq!(
            found("<answer>1</answer> or <answer>2").as_deref(),
            Some("1")
        );
    }

    /// B10
    #[test]
    fn the_sentence_of_an_answer_ends_where_its_remark_begins() {
        for (text, expected) in [
            (r"The answer is $\$18$.", r"\$18"),
            ("the answer is 18, as shown.", "18"),
            ("The answer is 18 because 9 + 9 is.", "18"),
            ("So the answer is 3, 4, 5.", "3, 4, 5"),
            ("The answer is Paris, France.", "Paris, France"),
            ("The answer is therefore 18.", "18"),
            ("The answer would be 18!", "18!"),
            ("The answer is $5$ or $7$.", "$5$ or $7$"),
            ("The answer is $18$ dollars.", "$18$ dollars"),
            ("The answer is St. Louis.", "St. Louis"),
            ("The answer is\n\\[\n18\n\\]\n", "18"),
            ("The answer is:\n\n$$\n18\n$$\nbecause", "18"),
            ("The answer is \\(18\\).", "18"),
            ("\\[\n18\n\\]", "18"),
            ("## Final Answer\n\n18\n", "18"),
            ("**Answer**\n18", "18"),
            ("{\"answer\": 18}", "18"),
            (
                "{\"reasoning\": \"the answer is 5\", \"answer\": \"18\"}",
                "18",
            ),
            (
                "```json\n{\"final_answer\": \"\\\\frac{1}{2}\"}\n```",
                "\\frac{1}{2}",
            ),
            ("<answer>{\"answer\": 18}</answer>", "18"),
            ("<answer>The answer is 18.</answer>", "18"),
            ("<ANSWER>18</ANSWER>", "18"),
            ("<answer>\n18\n</answer>", "18"),
            ("所以答案是5。", "5"),
            ("因此，答案为：5厘米，因为它最长。", "5厘米"),
            ("故选B", "B"),
            (r"\boxed{3} and \boxed{-3}", "3, -3"),
            (r"$\boxed{3}$, $\boxed{-3}$", "3, -3"),
            (r"first \boxed{3}, then later we find that \boxed{4}", "4"),
        ] {
            assert_eq!(found(text).as_deref(), Some(expected), "{text}");
        }
    }

    /// B11
    #[test]
    fn the_last_number_is_found_in_a_short_line_as_well() {
        for (text, expected) in [
            ("There are 18 apples.", Some("18")),
            ("It is 3/4 of it", Some("3/4")),
            ("12", Some("12")),
            ("3/4", Some("3/4")),
            (r"\frac{1}{2}", Some(r"\frac{1}{2}")),
            ("5-3 is 2", Some("2")),
            ("the difference 5-3", Some("3")),
            ("it fell to -3", Some("-3")),
            ("so .5 is left", Some(".5")),
            ("no number", None),
            ("Of 20 we take 2.\nSo 18 are left.", Some("18")),
            ("The answer is 18 apples.", Some("18")),
            (r"2 and \boxed{x}", Some("x")),
        ] {
            let found = final_answer(text, Extraction::LastNumber);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
