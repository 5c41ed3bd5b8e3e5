//! What a judge of a frame is asked.

use crate::distortion::Distortion;

/// The question about one frame of a clip that was made from `prompt`; a prompt that is such a question already stays as it is,
/// since rows of frames hold the question.
///
/// REACT's own words are not published: these are ours, and the same in training, annotation and scoring.
pub fn question(prompt: &str) -> String {
    let labels = Distortion::ALL.map(Distortion::name).join(", ");
    let asked = format!(
        "\nWhich distortions does this frame show: {labels}? Answer in the form \
         <think>reasoning</think><answer>{{\"labels\":[],\"score\":1-5}}</answer>"
    );
    let prompt = prompt.trim();
    match prompt.ends_with(&asked) {
        true => prompt.to_owned(),
        false => format!("Video: {prompt}{asked}"),
    }
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
        assert_eq!(question(&text), text);
    }
}
