//! What is said of a frame.

use percept_frames::{Distortion, Judgement, question, write_judgement};

use super::pose::{GAITS, SPECIES, THINGS};

/// For each label: what it is about, the verdict without it, the verdict with it.
fn verdicts(label: Distortion, thing: &str) -> (String, &'static str, &'static str) {
    match label {
        Distortion::LimbDeformation => ("The legs".into(), " are straight,", " are bent,"),
        Distortion::ExtraLimbs => (" of them".into(), " none is extra,", " some are extra,"),
        Distortion::LimbDeficiency => (" and".into(), " none is missing.", " one is missing."),
        Distortion::TorsoDeformation => (" The torso".into(), " is whole,", " is misshapen,"),
        Distortion::FacialDeformation => (" the face".into(), " is whole,", " is misshapen,"),
        Distortion::ObjectDistortion => (format!(" the {thing}"), " is whole.", " is misshapen."),
        Distortion::MotionBlur => (" The picture".into(), " is sharp,", " is smeared,"),
        Distortion::MeshPenetration => (" the bodies".into(), " touch.", " cross."),
    }
}

/// Looks at part after part: "The legs are straight, of them none is extra, … the bodies touch."
pub(super) fn reasoning(labels: &[Distortion], thing: &str) -> String {
    let said = Distortion::ALL.map(|label| {
        let (about, sound, broken) = verdicts(label, thing);
        let verdict = if labels.contains(&label) {
            broken
        } else {
            sound
        };
        about + verdict
    });
    said.concat()
}

/// Reasoning and answer.
pub(super) fn response(labels: &[Distortion], thing: &str, score: f64) -> String {
    let judgement = Judgement {
        labels: labels.to_vec(),
        score,
    };
    write_judgement(&reasoning(labels, thing), &judgement)
}

/// What a tokenizer needs for questions and answers: few tokens, since the question never changes but for the prompt.
pub fn corpus_pieces() -> Vec<String> {
    // The question around its prompt.
    let asked = question("\u{0}");
    let mut pieces: Vec<String> = asked.split('\u{0}').map(str::to_owned).collect();
    for article in ["a ", "an "] {
        pieces.extend(SPECIES.map(|(name, ..)| format!("{article}{name}")));
    }
    pieces.extend(GAITS.map(|(name, _)| format!(" {name}")));
    pieces.push(" with a ".into());
    pieces.push(" on its back".into());
    for (thing, ..) in THINGS {
        pieces.push(thing.to_owned());
        pieces.push(verdicts(Distortion::ObjectDistortion, thing).0);
    }
    for label in Distortion::ALL {
        let (about, sound, broken) = verdicts(label, "");
        if label != Distortion::ObjectDistortion {
            pieces.push(about);
        }
        pieces.extend([sound.to_owned(), broken.to_owned(), format!("\"{label}\"")]);
    }
    let marks = [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "{\"labels\":[",
        "],\"score\":",
        "}",
        ",",
        ".",
        "\n",
        " ",
        "user",
        "assistant",
        "system",
    ];
    pieces.extend(marks.map(str::to_owned));
    pieces.extend((0..10).map(|digit| digit.to_string()));
    pieces.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    pieces.dedup();
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_frames::read_judgement;

    #[test]
    fn the_reasoning_names_what_the_answer_names_and_few_tokens_cover_both() {
        let pieces = corpus_pieces();
        assert!(pieces.len() < 128, "{}", pieces.len());
        let mut said = std::collections::BTreeSet::new();
        for bits in 0..256u32 {
            let with = |i: usize| bits >> i & 1 == 1;
            let labels = Distortion::ALL.into_iter().enumerate();
            let labels: Vec<Distortion> = labels
                .filter(|(i, _)| with(*i))
                .map(|(_, label)| label)
                .collect();
            let text = response(&labels, "box", 2.5);
            let (reasoning, judgement) = read_judgement(&text).unwrap();
            assert_eq!(judgement.labels, labels);
            assert!(
                said.insert(reasoning.to_owned()),
                "two sets of labels read alike"
            );
            let mut rest = text.as_str();
            let mut tokens = 0;
            while !rest.is_empty() {
                let piece = pieces.iter().find(|piece| rest.starts_with(piece.as_str()));
                rest = &rest[piece
                    .unwrap_or_else(|| panic!("nothing begins {rest:?}"))
                    .len()..];
                tokens += 1;
            }
            assert!(tokens <= 46, "{tokens}: {text}");
        }
    }
}
