//! What is said of a picture.

use super::world::SHAPES;

/// The question about a shape, in the words of POPE.
pub fn question(shape: &str) -> String {
    format!("Is there a {shape} in the image?")
}

/// What a tokenizer needs for questions and answers.
pub fn corpus_pieces() -> Vec<String> {
    let mut pieces: Vec<String> = [
        "Is",
        " there",
        " a",
        " in",
        " the",
        " image",
        "?",
        "Yes",
        "No",
        ".",
        "\n",
        " ",
        "user",
        "assistant",
        "system",
    ]
    .map(str::to_owned)
    .to_vec();
    pieces.extend(SHAPES.map(|shape| format!(" {shape}")));
    pieces.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    pieces
}
