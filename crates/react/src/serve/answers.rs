//! Answers in the form in which a client asked.

use percept_frames::{Distortion, Judgement, write_judgement};
use percept_http::service::Answer;
use serde_json::{Value, json};

use super::requests::Form;
use crate::Error;
use crate::record::{ClipRecord, FrameRecord};

/// A judged clip, or why there is none.
pub(super) type Judged = Result<ClipRecord, Failed>;

/// Why a clip has no judgement, as a client hears it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failed {
    /// Whether the clip is to blame, and not the model or this machine.
    pub clip: bool,
    /// What is wrong.
    pub message: String,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let clip = matches!(
            error,
            Error::Data(_)
                | Error::Sampling { .. }
                | Error::TooManyFrames { .. }
                | Error::Clip { .. }
        );
        Self {
            clip,
            message: error.to_string(),
        }
    }
}

/// The answer to a request. `/score` tells of each clip what is wrong with it; the other forms have no place for that: there
/// one clip without a score is the request's error, unless `fallback` is its score.
pub(super) fn answer(form: &Form, judged: &[Judged], fallback: Option<f64>) -> Answer {
    if *form == Form::Score {
        return scores(judged, fallback);
    }
    let mut found = Vec::with_capacity(judged.len());
    for (at, clip) in judged.iter().enumerate() {
        match (score(clip), fallback) {
            (Ok(score), _) => found.push(score),
            (Err(_), Some(fallback)) => found.push(fallback),
            (Err(failed), None) => {
                let status = if failed.clip { 422 } else { 502 };
                return Answer::error(status, &format!("clip {at}: {}", failed.message));
            }
        }
    }
    match form {
        Form::Chat(model) => Answer::ok(completion(model, &judged[0], found[0])),
        Form::GetReward => Answer::ok(json!({ "rewards": found })),
        Form::Reward | Form::Score => Answer::ok(json!({ "scores": found })),
    }
}

fn score(clip: &Judged) -> Result<f64, Failed> {
    let record = clip.as_ref().map_err(Clone::clone)?;
    record.score.ok_or_else(|| Failed {
        clip: false,
        message: "none of the model's answers could be read".into(),
    })
}

fn scores(judged: &[Judged], fallback: Option<f64>) -> Answer {
    let scores: Vec<Option<f64>> = judged.iter().map(|c| score(c).ok().or(fallback)).collect();
    let result = |clip: &Judged| match clip {
        Ok(record) => json!(record),
        Err(failed) => json!({"score": fallback, "error": failed.message}),
    };
    let results: Vec<Value> = judged.iter().map(result).collect();
    Answer::ok(json!({"scores": scores, "results": results}))
}

/// A completion whose text is a judgement of the whole clip, with the words about its worst frame.
fn completion(model: &str, judged: &Judged, score: f64) -> Value {
    let none = ClipRecord {
        video: String::new(),
        prompt: String::new(),
        score: None,
        labels: Default::default(),
        judged: 0,
        unreadable: 0,
        duration_s: 0.0,
        frames: Vec::new(),
    };
    let record = judged.as_ref().unwrap_or(&none);
    let labels: Vec<Distortion> = record.labels.keys().copied().collect();
    let key = |frame: &&FrameRecord| frame.score.unwrap_or(f64::INFINITY);
    let worst = record
        .frames
        .iter()
        .min_by(|a, b| key(a).total_cmp(&key(b)));
    let words = worst.map_or("", |frame| frame.reasoning.as_str());
    let text = write_judgement(words, &Judgement { labels, score });
    json!({
        "id": "chatcmpl-percept",
        "object": "chat.completion",
        "model": model,
        "choices": [{
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": text},
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(score: f64) -> Judged {
        let text = format!(
            "<think>why</think><answer>{{\"labels\":[\"motion blur\"],\"score\":{score}}}</answer>"
        );
        let frames = vec![FrameRecord::of(0.5, 1, &text)];
        Ok(ClipRecord::of("c".into(), "p".into(), 1.0, frames))
    }

    fn bad() -> Judged {
        Err(Failed {
            clip: true,
            message: "no picture".into(),
        })
    }

    #[test]
    fn every_form_has_its_answer() {
        let judged = [good(2.0), good(4.5)];
        let body = |form: Form| answer(&form, &judged, None).body;
        assert_eq!(body(Form::Reward), json!({"scores": [2.0, 4.5]}));
        assert_eq!(body(Form::GetReward), json!({"rewards": [2.0, 4.5]}));
        let own = body(Form::Score);
        assert_eq!(own["scores"], json!([2.0, 4.5]));
        assert_eq!(own["results"][1]["labels"]["motion blur"], 1);
        let chat = body(Form::Chat("m".into()));
        let text = chat["choices"][0]["message"]["content"].as_str().unwrap();
        let (words, judgement) = percept_frames::read_judgement(text).unwrap();
        assert_eq!((words, judgement.score), ("why", 2.0));
        assert_eq!(judgement.labels, [Distortion::MotionBlur]);
    }

    /// A trainer must not learn from a clip that nobody could look at, unless it was told to.
    #[test]
    fn a_clip_without_a_score_is_an_error_or_what_was_agreed() {
        let judged = [good(2.0), bad()];
        let refused = answer(&Form::Reward, &judged, None);
        assert_eq!(refused.status, 422);
        assert!(refused.body.to_string().contains("clip 1: no picture"));
        let agreed = answer(&Form::Reward, &judged, Some(1.0));
        assert_eq!(agreed.body, json!({"scores": [2.0, 1.0]}));
        let own = answer(&Form::Score, &judged, None);
        assert_eq!(
            (own.status, &own.body["scores"]),
            (200, &json!([2.0, null]))
        );
        assert_eq!(own.body["results"][1]["error"], "no picture");
    }
}
