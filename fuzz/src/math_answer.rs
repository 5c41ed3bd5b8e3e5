//! Mathematical answers: reading never panics, an answer equals itself, equality has no direction.

use percept_reward::{Extraction, Math, Verdict};

/// Pieces of LaTeX and plain mathematics.
pub const PIECES: &[&str] = &[
    "1",
    "23",
    "0.5",
    ",000",
    "x",
    "i",
    "e",
    "\\pi",
    "+",
    "-",
    "*",
    "/",
    "^",
    "_",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "\\{",
    "\\}",
    "\\frac",
    "\\sqrt",
    "\\sin",
    "\\log_2",
    "\\text{",
    "cm",
    "m",
    "%",
    "^\\circ",
    ",",
    "=",
    "<",
    "\\le",
    "\\pm",
    "\\cup",
    "\\in",
    "\\infty",
    "|",
    "!",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "&",
    "\\\\",
    " ",
    " and ",
    "\\boxed{",
    "#### ",
    "answer is ",
    "\\overline{3}",
    "\\binom",
    "\\lfloor",
    "\\rfloor",
    "per",
    "$",
];

/// Reads the data as a response and, split in two, as a pair of answers.
pub fn fuzz(data: &[u8]) {
    let text = crate::text(data);
    for extraction in [Extraction::Auto, Extraction::Boxed, Extraction::LastNumber] {
        let math = Math {
            extraction,
            max_steps: 20_000,
            ..Math::default()
        };
        math.judge(&text, "17");
        math.judge("\\boxed{17}", &text);
    }
    let math = Math {
        max_steps: 20_000,
        ..Math::default()
    };
    let marked = ["boxed", "fbox", "####", "<answer>"]
        .iter()
        .any(|mark| text.contains(mark));
    if marked {
        return; // a ground truth is searched for marks, an answer is not
    }
    assert_ne!(
        math.compare(&text, &text),
        Verdict::WRONG,
        "{text:?} is not itself"
    );
    let middle = (0..=text.len() / 2)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let (a, b) = text.split_at(middle);
    let (forward, back) = (math.compare(a, b).score(), math.compare(b, a).score());
    if let (Some(forward), Some(back)) = (forward, back) {
        assert_eq!(forward, back, "{a:?} and {b:?}");
    }
}
