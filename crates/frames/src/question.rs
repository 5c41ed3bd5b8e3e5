//! What a judge of a frame is asked.

use crate::distortion::Distortion;

/// The question about one frame of a clip that was made from `prompt`.
///
/// REACT's own words are not published: these are ours, and the same in training, annotation and scoring.
pub fn question(prompt: &str) -> String {
    let labels = Distortion::ALL.map(Distortion::name).join(", ");
    format!(
        "Video: {}\nWhich distortions does this frame show: {labels}? Answer in the form \
         <think>reasoning</think><answer>{{\"labels\":[],\"score\":1-5}}</answer>",
        prompt.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_prompt_and_every_label() {
        let text = question(" a dog runs ");
        assert!(text.starts_with("Video: a dog runs\n"));
        for label in Distortion::ALL {
            assert!(text.contains(label.name()));
        }
    }
}
