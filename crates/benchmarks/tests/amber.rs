//! AMBER against the authors' script (`tools/amber_reference.py`).
#![allow(clippy::unwrap_used, missing_docs)]

use percept_benchmarks::hallucination::amber::{
    Annotation, Associations, Choice, Reading, Truth, amber_score, judge_description,
    summarise_choices, summarise_descriptions,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/amber.json")).unwrap()
}

/// As the script prints shares.
fn percent(share: f64) -> f64 {
    format!("{:.1}", share * 100.0).parse().unwrap()
}

#[test]
fn every_printed_number_is_that_of_the_official_script() {
    let golden = golden();
    let relation = golden["relation"].to_string();
    let words = Associations::parse(&relation, golden["safe_words"].as_str().unwrap()).unwrap();
    let annotations: Vec<Annotation> =
        serde_json::from_value(golden["annotations"].clone()).unwrap();
    let (mut descriptions, mut choices) = (Vec::new(), Vec::new());
    for (annotation, response) in annotations
        .iter()
        .zip(golden["responses"].as_array().unwrap())
    {
        let response = response.as_str().unwrap();
        match &annotation.truth {
            Truth::Objects(truth) => {
                let hallu = &annotation.hallu;
                descriptions.push(judge_description(
                    &words,
                    annotation.id,
                    truth,
                    hallu,
                    response,
                ));
            }
            Truth::Answer(truth) => choices.push(Choice {
                id: annotation.id,
                kind: annotation.kind.clone(),
                truth: truth == "yes",
                response: response.to_owned(),
                parsed: Reading::Exact.parse(response),
            }),
        }
    }
    let printed = &golden["printed"];
    let number = |heading: &str, name: &str| printed[heading][name].as_f64().unwrap();
    let generative = summarise_descriptions(&descriptions);
    let ours = [
        &generative.chair,
        &generative.cover,
        &generative.hal,
        &generative.cog,
    ];
    for (name, share) in ["CHAIR", "Cover", "Hal", "Cog"].into_iter().zip(ours) {
        assert_eq!(
            percent(share.mean),
            number("Generative Task", name),
            "{name}"
        );
        assert!(share.low <= share.mean && share.mean <= share.high);
    }
    let groups = summarise_choices(&choices);
    for (heading, group) in [
        ("Descriminative Task", "all"),
        ("Exsitence", "existence"),
        ("Attribute", "attribute"),
        ("State", "state"),
        ("Number", "number"),
        ("Action", "action"),
        ("Relation", "relation"),
    ] {
        let found = &groups[group];
        let ours = [&found.accuracy, &found.precision, &found.recall, &found.f1];
        for (name, share) in ["Accuracy", "Precision", "Recall", "F1"]
            .into_iter()
            .zip(ours)
        {
            assert_eq!(
                percent(share.mean),
                number(heading, name),
                "{heading} {name}"
            );
        }
    }
    let score = amber_score(&generative, &groups["all"]);
    let expected =
        (100.0 - number("Generative Task", "CHAIR") + number("Descriminative Task", "F1")) / 2.0;
    assert!((score - expected).abs() < 0.06, "{score} {expected}");
}

#[test]
fn nouns_are_singular_words_of_the_vocabulary_in_the_texts_case() {
    let words = Associations::parse(r#"{"man": ["person"], "bus": [], "leaf": []}"#, "").unwrap();
    let found = words.nouns("Two men wait for buses; a Man, persons and leaves. Trees.");
    assert_eq!(found, ["man", "bus", "person", "leaf"]);
}

#[test]
fn an_answer_is_read_letter_for_letter_or_by_its_first_word() {
    let cases = [
        ("Yes", Some(true), Some(true)),
        ("No", Some(false), Some(false)),
        ("yes", None, Some(true)),
        ("No.", None, Some(false)),
        ("**No**, it is not.", None, Some(false)),
        ("Nothing", None, None),
        ("", None, None),
    ];
    for (answer, exact, word) in cases {
        assert_eq!(Reading::Exact.parse(answer), exact, "{answer:?}");
        assert_eq!(Reading::Word.parse(answer), word, "{answer:?}");
    }
}
