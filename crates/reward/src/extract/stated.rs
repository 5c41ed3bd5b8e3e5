//! Answers in sentences: "The answer is 18, as shown.", `#### 18`, `{"answer": 18}`, `故选B`.

use std::borrow::Cow;

/// What follows the last `####` (GSM8K), or the last "answer is …" / "answer: …", to the end of the
/// sentence or line.
pub fn stated(text: &str) -> Option<&str> {
    if let Some(at) = text.rfind("####") {
        return Some(sentence(text[at + 4..].trim_start()));
    }
    let (english, chinese) = (found_as(text, "answer"), chinese(text));
    match (english, chinese) {
        (Some(a), Some(b)) => Some(if a.0 > b.0 { a.1 } else { b.1 }),
        (a, b) => a.or(b).map(|(_, found)| found),
    }
}

/// What follows the last "`word` is …" or "`word`: …", to the end of the sentence or line. `word`
/// is lower-case ASCII; the text's case does not matter.
pub fn stated_as<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    found_as(text, word).map(|(_, found)| found)
}

/// The same with the place of the word.
fn found_as<'a>(text: &'a str, word: &str) -> Option<(usize, &'a str)> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    while let Some(at) = rfind_ignore_case(&bytes[..end], word.as_bytes()) {
        if let Some(rest) = after_verb(text, at, word.len()) {
            let found = sentence(rest);
            if !found.is_empty() {
                return Some((at, found));
            }
        }
        end = at;
    }
    None
}

/// What comes after the verb or sign behind a word, or below a heading that is the word.
fn after_verb(text: &str, at: usize, length: usize) -> Option<&str> {
    let rest = text[at + length..].trim_start_matches(['*', ' ', '_']);
    let verbs = [
        "is",
        "are",
        "was",
        "would be",
        "should be",
        "must be",
        "will be",
        "equals",
        "为",
        "是",
    ];
    let verb = verbs.iter().find(|verb| {
        let follows = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        starts_ignore_case(rest, verb) && follows(&rest[verb.len()..])
    });
    let rest = match verb {
        Some(verb) => &rest[verb.len()..],
        None => match rest.strip_prefix([':', '=', '：']) {
            Some(rest) => rest,
            None if rest.starts_with(['\n', '\r']) && heading(text, at) => rest,
            None => return None,
        },
    };
    let blank = [':', '：', '*', ' ', '=', '_', '\n', '\r', '\t', ','];
    let mut rest = rest.trim_start_matches(blank);
    // "The answer is therefore 18."
    for adverb in [
        "therefore",
        "thus",
        "then",
        "hence",
        "simply",
        "just",
        "clearly",
        "indeed",
        "exactly",
        "definitely",
        "actually",
    ] {
        if starts_ignore_case(rest, adverb) && rest[adverb.len()..].starts_with([' ', ',', ':']) {
            rest = rest[adverb.len()..].trim_start_matches(blank);
            break;
        }
    }
    Some(rest)
}

/// Whether the word at `at` ends a heading: `## Answer`, `**Final answer**`.
fn heading(text: &str, at: usize) -> bool {
    let line = text[..at].rsplit('\n').next().unwrap_or("").trim();
    if !line.starts_with(['#', '*', '_']) {
        return false;
    }
    let before = line.trim_matches(['#', '*', '_', ' ']);
    [
        "",
        "final",
        "the",
        "my",
        "the final",
        "my final",
        "correct",
        "the correct",
    ]
    .iter()
    .any(|known| before.eq_ignore_ascii_case(known))
}

/// The last `答案是…`, `故选…`, with its place.
fn chinese(text: &str) -> Option<(usize, &str)> {
    let phrases = [
        "答案是",
        "答案为",
        "答案：",
        "答案:",
        "故选",
        "应选",
        "选择",
        "答案选",
        "结果是",
        "结果为",
    ];
    let (at, phrase) = phrases
        .iter()
        .filter_map(|phrase| text.rfind(phrase).map(|at| (at, phrase)))
        .max_by_key(|&(at, phrase)| (at + phrase.len(), phrase.len()))?;
    let rest = text[at + phrase.len()..].trim_start_matches(['：', ':', ' ', '*', '\n']);
    let found = sentence(rest);
    (!found.is_empty()).then_some((at, found))
}

/// The value of the last JSON key that ends in `answer`, complete: what a cut-off object was going
/// to say is not known.
pub(crate) fn json(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    while let Some(at) = rfind_ignore_case(&bytes[..end], b"answer") {
        end = at;
        let after = &text[at + "answer".len()..];
        let Some(after) = after.strip_prefix(['"', '\'']) else {
            continue;
        };
        if let Some(value) = after.trim_start().strip_prefix(':')
            && let Some(found) = value_of(value.trim_start())
        {
            return Some(found);
        }
    }
    None
}

fn value_of(text: &str) -> Option<Cow<'_, str>> {
    let quote = text.chars().next()?;
    if quote == '"' || quote == '\'' {
        let mut escaped = false;
        let end = text[1..].find(|c: char| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        let inside = &text[1..=end];
        // LaTeX with single backslashes is no JSON; it is taken as it stands.
        let read = serde_json::from_str::<String>(&text[..end + 2]);
        return match read {
            Ok(read) if inside.contains("\\\\") || inside.contains("\\\"") => {
                Some(Cow::Owned(read))
            }
            _ => Some(Cow::Borrowed(inside)),
        };
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    if values.next()?.is_err() {
        return None;
    }
    let end = values.byte_offset();
    // A number at the very end may have had more digits.
    (end < text.len()).then(|| Cow::Borrowed(&text[..end]))
}

pub(super) fn rfind_ignore_case(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len())
        .rposition(|window| window.eq_ignore_ascii_case(word))
}

fn starts_ignore_case(text: &str, word: &str) -> bool {
    let start = text.as_bytes().get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Inside a display (`$$…$$`, `\[…\]`, `\(…\)`) that `text` begins with, and what follows it.
pub(super) fn display(text: &str) -> Option<(&str, &str)> {
    for (open, close) in [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)")] {
        if let Some(rest) = text.strip_prefix(open) {
            let end = rest.find(close)?;
            return Some((rest[..end].trim(), &rest[end + close.len()..]));
        }
    }
    let rest = text.strip_prefix('$')?;
    let mut escaped = false;
    let end = rest.find(|c: char| {
        let ends = c == '$' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some((rest[..end].trim(), &rest[end + 1..]))
}

/// Words that begin a remark behind an answer and its comma.
const REMARKS: [&str; 26] = [
    "as",
    "since",
    "because",
    "so",
    "which",
    "where",
    "therefore",
    "thus",
    "hence",
    "is",
    "but",
    "given",
    "when",
    "that",
    "this",
    "these",
    "it",
    "we",
    "you",
    "i",
    "namely",
    "meaning",
    "while",
    "after",
    "right",
    "isn't",
];

/// The same without a comma.
const CLAUSES: [&str; 7] = [
    "because",
    "since",
    "which",
    "as shown",
    "as required",
    "as we",
    "given that",
];

/// To the end of the line, to a full stop that ends a sentence, or to a remark (", as shown"); a
/// display that is the whole sentence without its signs.
pub(super) fn sentence(text: &str) -> &str {
    if let Some((inside, rest)) = display(text) {
        // "$5$ or $7$", "$18$ dollars" say more than their first formula.
        let rest = rest.trim_start_matches(['*', '_', ' ']);
        let ends = rest.is_empty() || rest.starts_with(['.', '\n', '\r', ';', '。', '!', '}', ')']);
        if ends || remark(rest) {
            return inside;
        }
    }
    let line = text.lines().next().unwrap_or("");
    let mut end = line.len();
    let mut formula = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        let rest = &line[at + c.len_utf8()..];
        if c == '$' && before != '\\' {
            formula = !formula;
        }
        let stop = match c {
            _ if formula => false,
            '.' | '!' | '?' => rest.starts_with(' ') && !initial(&line[..at]),
            '。' | '；' => true,
            ',' | ' ' => remark(&line[at..]),
            '，' => ["因为", "所以", "故", "即", "因此"]
                .iter()
                .any(|word| rest.starts_with(word)),
            _ => false,
        };
        if stop && at > 0 {
            end = at;
            break;
        }
        before = c;
    }
    line[..end]
        .trim()
        .trim_end_matches(['.', '*', ',', ';', '。'])
}

/// Whether the full stop behind `text` belongs to an abbreviation: `St. Louis`, `Mr. Smith`, `J. Smith`.
fn initial(text: &str) -> bool {
    let word = text.rsplit([' ', '(', '*']).next().unwrap_or("");
    let known = [
        "St", "Mr", "Mrs", "Ms", "Dr", "Mt", "No", "vs", "Rs", "sq", "approx", "Prof", "ft",
    ];
    known.contains(&word)
}

/// Whether a text begins with a remark on the answer before it: ", as shown", " because …".
fn remark(text: &str) -> bool {
    let starts = |rest: &str, words: &[&str]| {
        words.iter().any(|word| {
            starts_ignore_case(rest, word)
                && !rest[word.len()..].starts_with(|c: char| c.is_alphanumeric())
        })
    };
    match text.strip_prefix(',') {
        // `1, i, -1` are roots of unity.
        Some(rest) => {
            rest.starts_with(' ') && starts(rest.trim_start(), &REMARKS) && rest.len() > 3
        }
        None => starts(text.trim_start_matches([' ', '(']), &CLAUSES),
    }
}
