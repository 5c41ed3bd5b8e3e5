//! The score of an answer.

/// Share of the expected strings that an answer holds (RULER's `string_match_all`).
pub fn string_match_all(answer: &str, outputs: &[String]) -> f64 {
    let answer = answer.to_lowercase();
    let held = outputs
        .iter()
        .filter(|output| answer.contains(&output.to_lowercase()));
    held.count() as f64 / outputs.len().max(1) as f64
}
