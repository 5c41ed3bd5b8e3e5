//! What is said of a picture.

use super::world::SHAPES;

/// The question about a shape, in the words of POPE.
pub fn question(shape: &str) -> String {
    format!("Is there a {shape} in the image?")
}

/// What is asked for a description.
pub const DESCRIBE: &str = "Describe the image.";

/// The description that names these shapes: "There is a square, a ring and a star."
pub fn description(shapes: &[&str]) -> String {
    let named: Vec<String> = shapes.iter().map(|shape| format!("a {shape}")).collect();
    match named.as_slice() {
        [] => "There is nothing.".to_owned(),
        [one] => format!("There is {one}."),
        [most @ .., last] => format!("There is {} and {last}.", most.join(", ")),
    }
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
        "Describe",
        "There",
        " is",
        " nothing",
        " and",
        ",",
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
