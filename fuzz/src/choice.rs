//! Choice letters: always a capital letter, and one of the options where they are known.

use percept_reward::choice::{chosen, letter};

/// Pieces of answers with letters.
pub const PIECES: &[&str] = &[
    "A",
    "B",
    "c",
    "(",
    ")",
    "[",
    "]",
    ".",
    ":",
    " ",
    "\n",
    "**",
    "$",
    "\\boxed{",
    "\\text{",
    "}",
    "<answer>",
    "</answer>",
    "The answer is ",
    "option ",
    "Option",
    "answer",
    "choice",
    "</think>",
    "red bus",
    "é",
    "ß",
];

/// Reads the data as a response, with and without options.
pub fn fuzz(data: &[u8]) {
    let text = crate::text(data);
    let options = ["red bus".to_owned(), "blue bus".to_owned()];
    for known in [&options[..], &[]] {
        for found in [chosen(&text, known), letter(&text, known)]
            .into_iter()
            .flatten()
        {
            assert!(found.is_ascii_uppercase());
            assert!(
                known.is_empty() || found <= 'B',
                "{found} of two options in {text:?}"
            );
        }
    }
}
