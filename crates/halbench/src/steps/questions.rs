//! Step `questions`: seven for each pair, as 9 709 = 7 × 1 387 of the official data set suggests:
//! the contextual object and the two absent ones on both images, the counterfactual one on the
//! edit.

use std::collections::{BTreeMap, HashMap};

use percept_benchmarks::causal::{Answer, Kind, Question, Tag};

use super::statistics::Statistics;
use percept_steps::draw;

use crate::names::base_name;
use crate::{AbsentRule, BuildConfig, Pair, Questions, Row, prompts};

/// Asks about every pair.
pub(crate) fn ask(
    pairs: Vec<Row<Pair>>,
    statistics: &Statistics,
    config: &BuildConfig,
) -> Vec<Row<Questions>> {
    let mut edits: HashMap<String, usize> = HashMap::new();
    let mut next = 0;
    let mut rows = Vec::new();
    for row in pairs {
        let Some(pair) = row.kept else { continue };
        let (absent, absent_rule) = absent(&row.id, &pair, statistics, config);
        if absent.len() < config.absent {
            let (found, wanted) = (absent.len(), config.absent);
            rows.push(Row::dropped(
                row.id,
                format!("not {wanted} absent classes: {found}"),
            ));
            continue;
        }
        let base = base_name(&pair.edit.choice.role.file);
        let number = edits.entry(base.clone()).or_default();
        *number += 1;
        let ending = config.image_format.ending();
        let names = Names {
            original: format!("{base}.{ending}"),
            edited: format!("{base}_{number:03}.{ending}"),
        };
        let questions = names.questions(&pair, &absent, &mut next);
        let absent = absent.into_iter();
        rows.push(Row::kept(
            row.id,
            Questions {
                absent: absent.collect::<BTreeMap<_, _>>(),
                absent_rule,
                questions,
                original_name: names.original,
                edited_name: names.edited,
                pair,
            },
        ));
    }
    rows
}

struct Names {
    original: String,
    edited: String,
}

impl Names {
    fn questions(&self, pair: &Pair, absent: &[(String, u64)], next: &mut u64) -> Vec<Question> {
        let choice = &pair.edit.choice;
        let mut questions = Vec::new();
        let mut ask = |image: &str, class: &str, kind: Kind, tag: Tag| {
            questions.push(Question {
                id: *next,
                image_name: image.to_owned(),
                q: prompts::question(class),
                kind,
                tag,
                answer: if kind == Kind::Absent {
                    Answer::No
                } else {
                    Answer::Yes
                },
            });
            *next += 1;
        };
        for (image, tag) in [
            (&self.original, Tag::Origin),
            (&self.edited, Tag::Inpainted),
        ] {
            ask(image, &choice.role.contextual, Kind::Target, tag);
            if tag == Tag::Inpainted {
                ask(image, &choice.counterfactual, Kind::Inpaint, tag);
            }
            for (class, _) in absent {
                ask(image, class, Kind::Absent, tag);
            }
        }
        questions
    }
}

/// Classes that neither image shows, with their co-occurrence with the target.
fn absent(
    id: &str,
    pair: &Pair,
    statistics: &Statistics,
    config: &BuildConfig,
) -> (Vec<(String, u64)>, String) {
    let choice = &pair.edit.choice;
    let shown = |class: &&str| {
        choice.counterfactual == **class || choice.role.present.iter().any(|p| p == class)
    };
    let mut classes: Vec<(u64, u64, &str)> = (statistics.names().filter(|class| !shown(class)))
        .map(|class| {
            let count = statistics.together(&choice.role.target, class);
            (count, draw(config.seed, &["absent", id, class]), class)
        })
        .collect();
    let rule = match config.absent_rule {
        AbsentRule::Target => {
            classes.sort_unstable_by_key(|&(count, order, _)| (std::cmp::Reverse(count), order));
            "highest co-occurrence with the replaced target; chance among equals"
        }
        AbsentRule::Random => {
            classes.sort_unstable_by_key(|&(_, order, _)| order);
            "by chance"
        }
    };
    let chosen = classes.into_iter().take(config.absent);
    (
        chosen
            .map(|(count, _, class)| (class.to_owned(), count))
            .collect(),
        rule.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_edits_are_told_apart() {
        assert_eq!(base_name("a/IMG_001.jpg"), "a_IMG_001o");
        assert_eq!(base_name("IMG_0001.jpg"), "IMG_0001");
        assert_eq!(base_name("000000000042.jpg"), "000000000042");
    }
}
