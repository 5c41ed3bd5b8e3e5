//! POPE against three public programs (`tools/pope_reference.py`), and questions of one's own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashSet;

use percept_benchmarks::hallucination::pope::{
    Answered, Label, Parser, Question, score, summarise,
};
use percept_benchmarks::hallucination::pope_build::{
    Annotated, BuildError, Strategy, questions, select,
};
use serde_json::Value;

fn answered(at: usize, split: &str, label: Label, answer: &str) -> Answered {
    let question = Question {
        question_id: at as u64 + 1,
        image: format!("{}.jpg", at / 6),
        text: "Is there a dog in the image?".into(),
        label,
    };
    Answered {
        split: split.into(),
        question,
        answer: answer.into(),
    }
}

#[test]
fn parsers_and_numbers_are_those_of_the_three_programs() {
    let golden: Value = serde_json::from_str(include_str!("golden/pope.json")).unwrap();
    let rows = golden["answers"].as_array().unwrap();
    assert!(rows.len() >= 300);
    let mut all = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let text = |column: usize| row[column].as_str().unwrap();
        let (answer, right) = (text(2), text(1) == "yes");
        let original = if text(3) == "no" {
            Label::No
        } else {
            Label::Yes
        };
        assert_eq!(Parser::Original.parse(answer), Some(original), "{answer:?}");
        let named = |word: &str| match word.to_lowercase().as_str() {
            "yes" => Some(Label::Yes),
            "no" => Some(Label::No),
            _ => None,
        };
        assert_eq!(
            Parser::Vlmevalkit.parse(answer),
            named(text(4)),
            "{answer:?}"
        );
        assert_eq!(Parser::Lmms.parse(answer), named(text(5)), "{answer:?}");
        let label = if right { Label::Yes } else { Label::No };
        all.push(answered(at, text(0), label, answer));
    }
    let found = summarise(&all);
    assert_eq!(found.len(), 4);
    for split in found {
        for (parser, scores) in split.parsers {
            let expected = &golden["scores"][parser.name()][&split.split];
            let ours = [scores.accuracy, scores.precision, scores.recall, scores.f1];
            for (at, estimate) in ours.iter().enumerate() {
                let theirs = expected[at].as_f64().unwrap();
                let what = format!("{} {} {at}", split.split, parser.name());
                // F1 is multiplied out in another order by one of them.
                assert!(
                    (estimate.mean - theirs).abs() < 1e-15,
                    "{what}: {} {theirs}",
                    estimate.mean
                );
                assert!(
                    estimate.low <= estimate.mean && estimate.mean <= estimate.high,
                    "{what}"
                );
            }
            let (yes, labels) = (expected[4].as_f64(), |row: &&Answered| {
                row.question.label == Label::Yes
            });
            match parser {
                Parser::Original => assert_eq!(Some(scores.yes_ratio.mean), yes),
                Parser::Vlmevalkit => assert_eq!(yes, None),
                Parser::Lmms => {
                    let mine: Vec<&Answered> = all
                        .iter()
                        .filter(|r| split.split == "all" || r.split == split.split)
                        .collect();
                    let share = mine.iter().copied().filter(|r| labels(r)).count() as f64
                        / mine.len() as f64;
                    assert_eq!(Some(share), yes);
                }
            }
        }
    }
}

#[test]
fn always_yes_finds_everything_and_is_right_as_often_as_yes_is() {
    let rows: Vec<Answered> = (0..600)
        .map(|at| {
            answered(
                at,
                "random",
                if at % 2 == 0 { Label::Yes } else { Label::No },
                "Yes",
            )
        })
        .collect();
    for parser in Parser::ALL {
        let found = score(parser, &rows);
        assert_eq!(
            (found.recall.mean, found.yes_ratio.mean, found.unparsed),
            (1.0, 1.0, 0)
        );
        assert_eq!((found.accuracy.mean, found.precision.mean), (0.5, 0.5));
        assert_eq!(found.f1.mean, 2.0 / 3.0);
        // Every picture has as many of both, so resampling pictures changes nothing. What was never seen in 100
        // pictures can still be: z²/(n + z²) of them, half of it down and half of it up.
        let half = 3.841_458_820_694_124 / (100.0 + 3.841_458_820_694_124) / 2.0;
        assert!((found.accuracy.low - (0.5 - half)).abs() < 1e-12);
        assert!((found.accuracy.high - (0.5 + half)).abs() < 1e-12);
    }
}

#[test]
fn always_no_has_no_recall_and_silence_is_never_right() {
    let rows = |answer| {
        [
            answered(0, "a", Label::Yes, answer),
            answered(1, "a", Label::No, answer),
        ]
    };
    let no = score(Parser::Original, &rows("No."));
    assert_eq!(
        (no.accuracy.mean, no.recall.mean, no.f1.mean),
        (0.5, 0.0, 0.0)
    );
    let silent = score(Parser::Vlmevalkit, &rows(""));
    assert_eq!((silent.accuracy.mean, silent.unparsed), (0.0, 2));
}

/// 60 pictures of 3 to 6 of 12 classes.
fn pictures() -> Vec<Annotated> {
    let classes = [
        "person", "car", "dog", "orange", "bus", "cat", "kite", "bed", "cup", "fork", "sink",
        "vase",
    ];
    let picture = |at: usize| Annotated {
        image: format!("{at}.jpg"),
        objects: (0..3 + at % 4)
            .map(|n| classes[(at * 5 + n * (1 + at % 3)) % 12].to_string())
            .collect(),
    };
    (0..60).map(picture).collect()
}

#[test]
fn questions_are_half_about_absent_objects_and_ask_nothing_twice() {
    let all = pictures();
    let chosen = select(&all, 20, 3, 5).unwrap();
    assert_eq!(chosen, select(&all, 20, 3, 5).unwrap());
    assert_ne!(chosen, select(&all, 20, 3, 6).unwrap());
    for strategy in Strategy::ALL {
        let asked = questions(&chosen, strategy, 3, 5).unwrap();
        assert_eq!(asked.len(), 120);
        let mut seen = HashSet::new();
        for question in &asked {
            let picture = chosen.iter().find(|p| p.image == question.image).unwrap();
            let object = question
                .text
                .trim_start_matches("Is there a")
                .trim_start_matches("n ");
            let object = object
                .trim_start()
                .trim_end_matches(" in the image?")
                .to_owned();
            let present = picture.objects.contains(&object);
            assert_eq!(present, question.label == Label::Yes, "{question:?}");
            assert!(
                seen.insert((question.image.clone(), object)),
                "{question:?}"
            );
        }
        let yes = asked.iter().filter(|q| q.label == Label::Yes).count();
        assert_eq!(yes, 60);
    }
}

#[test]
fn the_adversary_asks_about_the_usual_companion_and_the_popular_one_about_the_most_frequent() {
    let of = |image: &str, objects: &[&str]| Annotated {
        image: image.into(),
        objects: objects.iter().map(|o| o.to_string()).collect(),
    };
    let all = [
        of("1", &["fork"]),
        of("2", &["fork", "knife"]),
        of("3", &["fork", "knife"]),
        of("4", &["car"]),
        of("5", &["car"]),
        of("6", &["car"]),
        of("7", &["car", "apple"]),
    ];
    let first_absent = |strategy| questions(&all, strategy, 1, 0).unwrap()[1].text.clone();
    assert_eq!(
        first_absent(Strategy::Adversarial),
        "Is there a knife in the image?"
    );
    assert_eq!(
        first_absent(Strategy::Popular),
        "Is there a car in the image?"
    );
}

#[test]
fn too_few_pictures_or_classes_are_named() {
    let one = [Annotated {
        image: "1.jpg".into(),
        objects: vec!["cat".into(), "dog".into()],
    }];
    let few = select(&one, 2, 1, 0).unwrap_err();
    assert_eq!(
        few,
        BuildError::TooFew {
            found: 1,
            wanted: 2,
            objects: 1
        }
    );
    let none = questions(&one, Strategy::Random, 1, 0).unwrap_err();
    assert_eq!(
        none,
        BuildError::NoneAbsent {
            image: "1.jpg".into()
        }
    );
}
