//! Re-detection by a model that answers: it is shown the place of an edit, before and after, and asked
//! whether a class is there.

use std::fmt::Write;

use image::RgbImage;
use percept_chat::{ChatModel, ChatRequest};
use percept_data::Media;
use percept_vision::{ClassScorer, Error};
use serde_json::{Value, json};

use crate::prompts;
use percept_benchmarks::hallucination::pope::{Label, Parser};

/// How often a model is asked that says neither yes nor no.
const ATTEMPTS: usize = 3;

/// A vision-language model as a [`ClassScorer`]: 1 for a yes, 0 for a no.
///
/// A replaced object must have been seen before the edit and not after it, the new one the other way
/// round, so a model that always says yes lets nothing through. Pairs that one model can tell apart are
/// easier for that model and its like: what re-detects should not be measured.
pub struct Redetector<'a> {
    model: &'a dyn ChatModel,
}

impl<'a> Redetector<'a> {
    /// Asks this model.
    pub fn new(model: &'a dyn ChatModel) -> Self {
        Self { model }
    }

    fn request(place: &Media, class: &str, attempt: usize) -> ChatRequest {
        let turn = prompts::shown(0, prompts::detect(class));
        let mut request = prompts::request(class.into(), vec![turn], vec![place.clone()], attempt);
        request.turn.max_tokens = 64;
        request
    }
}

impl ClassScorer for Redetector<'_> {
    fn identity(&self) -> Value {
        json!({"scorer": "re-detection", "model": self.model.identity(), "question": prompts::detect("…")})
    }

    fn scores(&self, image: &RgbImage, classes: &[&str]) -> Result<Vec<f64>, Error> {
        let place = Media::from_image(image.clone());
        let mut scores = vec![None; classes.len()];
        let mut replies = String::new();
        for attempt in 0..ATTEMPTS {
            let open: Vec<usize> = (0..classes.len())
                .filter(|&at| scores[at].is_none())
                .collect();
            if open.is_empty() {
                break;
            }
            let requests: Vec<ChatRequest> = (open.iter())
                .map(|&at| Self::request(&place, classes[at], attempt))
                .collect();
            replies.clear();
            for (at, reply) in open.into_iter().zip(self.model.chat(&requests)) {
                let reply = reply.map_err(|e| Error::Service(e.to_string()))?.text;
                scores[at] = Parser::Vlmevalkit.parse(&reply).map(|label| match label {
                    Label::Yes => 1.0,
                    Label::No => 0.0,
                });
                if scores[at].is_none() {
                    let start: String = reply.trim().chars().take(80).collect();
                    let _ = write!(replies, "{}: `{start}` ", classes[at]);
                }
            }
        }
        let unread = || Error::Unscored(format!("neither yes nor no to {}", replies.trim()));
        scores.into_iter().collect::<Option<_>>().ok_or_else(unread)
    }

    fn at_once(&self) -> usize {
        self.model.calls().at_once
    }

    fn detects(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_chat::Recorded;

    #[test]
    fn yes_is_one_no_is_nought_and_what_is_neither_is_asked_again_then_given_up() {
        let model = Recorded::answering("m", |request| {
            let question = request.turns()[0].plain_text();
            assert_eq!(request.images.len(), 1);
            match (question.contains("a bear"), question.contains("a cup")) {
                (true, _) => "Yes, there is.".into(),
                (_, true) => "No.".into(),
                _ if request.turn.candidate == 2 => "no".into(),
                _ if question.contains("a car") => "Perhaps.".into(),
                _ => "I see a fog.".into(),
            }
        });
        let detector = Redetector::new(&model);
        let place = RgbImage::new(4, 4);
        assert_eq!(
            detector.scores(&place, &["bear", "cup"]).unwrap(),
            [1.0, 0.0]
        );
        assert_eq!(detector.scores(&place, &["car"]).unwrap(), [0.0]);
        let mumbling = Recorded::answering("m", |_| "Yes and no.".into());
        let error = Redetector::new(&mumbling).scores(&place, &["tie"]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("tie") && error.contains("Yes and no"),
            "{error}"
        );
        assert!(
            detector.identity()["question"]
                .as_str()
                .unwrap()
                .contains("Is there")
        );
    }
}
