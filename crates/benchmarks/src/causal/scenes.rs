//! A counterfactual data set of the built-in `scenes` world, where every true value is known.

use std::fmt::Write;
use std::path::Path;

use percept_base::files::write_atomic;
use percept_data::scenes::{Counterfactual, counterfactual, question};

use super::error::CausalError;
use super::question::{Answer, Kind, Question, Tag};

/// Writes `pairs` pairs of pictures with seven questions each, in the layout of the official data
/// set (`qa.json`, `images/`), and a data card.
///
/// # Errors
/// [`CausalError::Write`] when the disk refuses.
pub fn write_scenes(out: &Path, pairs: usize, seed: u64, contrast: f32) -> Result<(), CausalError> {
    let images = out.join("images");
    std::fs::create_dir_all(&images).map_err(|source| CausalError::Io {
        path: images.clone(),
        source,
    })?;
    let mut questions: Vec<Question> = Vec::with_capacity(7 * pairs);
    for index in 0..pairs {
        let pair = counterfactual(seed, index, contrast);
        let names = [format!("{index:05}.png"), format!("{index:05}_001.png")];
        for (name, bytes) in names.iter().zip([&pair.original, &pair.edited]) {
            write_atomic(&images.join(name), bytes)?;
        }
        ask(&pair, &names, &mut questions);
    }
    let mut text = serde_json::to_vec_pretty(&questions).unwrap_or_default();
    text.push(b'\n');
    write_atomic(&out.join("qa.json"), &text)?;
    write_atomic(
        &out.join("README.md"),
        card(pairs, seed, contrast).as_bytes(),
    )?;
    Ok(())
}

/// The contextual object and two absent ones on both pictures, the counterfactual one on the edit.
fn ask(pair: &Counterfactual, names: &[String; 2], questions: &mut Vec<Question>) {
    let absent = pair.absent;
    let both = [
        (pair.contextual, Kind::Target, Answer::Yes),
        (absent[0], Kind::Absent, Answer::No),
        (absent[1], Kind::Absent, Answer::No),
    ];
    let mut add = |shape: &str, kind, tag, answer| {
        questions.push(Question {
            id: questions.len() as u64,
            image_name: names[usize::from(tag == Tag::Inpainted)].clone(),
            q: question(shape),
            kind,
            tag,
            answer,
        });
    };
    for tag in [Tag::Origin, Tag::Inpainted] {
        for (shape, kind, answer) in both {
            add(shape, kind, tag, answer);
        }
    }
    let new = pair.counterfactual;
    add(new, Kind::Inpaint, Tag::Inpainted, Answer::Yes);
}

fn card(pairs: usize, seed: u64, contrast: f32) -> String {
    let mut text = String::from("# Counterfactual scenes\n\n");
    let _ = write!(
        text,
        "Made by `percept halbench scenes --pairs {pairs} --seed {seed} --contrast {contrast}`: drawn shapes, no \
         photographs, no licence needed.\n\nIn each original one bold shape (the target) stands beside one of its \
         three companions, which are faint. The edit is the same picture but for the target, in whose place stands a \
         companion of the other bold shape. Absent are the target's two other companions. `qa.json` has the \
         official names: type `target` asks about the companion that stays, `inpaint` about what came, `absent` about \
         what neither picture shows.\n\nA model that looks has CAC = AAC = CHR = 0. One that says yes to the companions \
         of the bold shape it sees, and to nothing else, has CAC = AAC = CHR = 1.\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causal::{Answered, measure, questions};

    /// What a planted model says of a picture whose shapes are known.
    fn measured(seed: u64, says: impl Fn(&Counterfactual, &Question) -> bool) -> [f64; 3] {
        let dir = tempfile::tempdir().unwrap();
        write_scenes(dir.path(), 12, seed, 0.5).unwrap();
        let rows: Vec<Answered> = questions(dir.path())
            .unwrap()
            .into_iter()
            .map(|question| {
                let index = question.image_name[..5].parse().unwrap();
                let yes = says(&counterfactual(seed, index, 0.5), &question);
                let parsed = if yes { Answer::Yes } else { Answer::No };
                Answered {
                    response: format!("{parsed:?}"),
                    parsed,
                    question,
                }
            })
            .collect();
        assert_eq!(rows.len(), 84);
        let found = measure(&rows);
        [found.cac.mean, found.aac.mean, found.chr.mean]
    }

    #[test]
    fn planted_models_have_the_values_of_the_card() {
        let looks = |_: &Counterfactual, question: &Question| question.answer == Answer::Yes;
        assert_eq!(measured(1, looks), [0.0; 3]);
        // Every shape of a question but the new one keeps the target's company.
        let guesses = |_: &Counterfactual, question: &Question| {
            question.tag == Tag::Origin && question.kind != Kind::Inpaint
        };
        assert_eq!(measured(2, guesses), [1.0; 3]);
        assert_eq!(measured(3, |_, _| true), [0.0, 0.0, 0.0]);
        assert_eq!(measured(4, |_, _| false), [0.0, 0.0, 1.0]);
    }
}
