//! Object HalBench and MMHal-Bench on answers whose numbers follow by counting.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use percept_benchmarks::hallucination::chair::{Caption, judge_mentions};
use percept_benchmarks::hallucination::mmhal::{Item, Rated, TYPES, Template, rating};
use percept_benchmarks::hallucination::object_halbench::{
    extraction_prompt, listed_objects, objects, parse_list, summarise,
};
use percept_benchmarks::hallucination::{Vocabulary, mmhal};

fn judged(answer: &str, present: &[&str]) -> Caption {
    let words = Vocabulary::object_halbench();
    let present: BTreeSet<_> = present
        .iter()
        .map(|name| words.class(name).unwrap())
        .collect();
    judge_mentions(&words, 1, answer, objects(&words, answer), &present)
}

#[test]
fn an_object_counts_once_an_answer_and_silence_is_in_no_denominator() {
    let answers = [
        judged("A dog beside a dog, two dogs and a bus.", &["dog"]),
        judged("A puppy and a dog.", &["dog", "cat"]),
        judged("It is a sunny day.", &["dog"]),
    ];
    let named: Vec<usize> = answers.iter().map(|a| a.mentioned.len()).collect();
    assert_eq!(named, [2, 2, 0]);
    let found = summarise(&answers);
    assert_eq!(found.mention.mean, 1.0 / 4.0);
    assert_eq!(found.response.mean, 1.0 / 2.0);
    assert_eq!(found.response_of_all.mean, 1.0 / 3.0);
    assert_eq!(found.recall.mean, 2.0 / 4.0);
    assert_eq!(found.length.mean, (10.0 + 5.0 + 5.0) / 3.0);
    assert_eq!((found.answers, found.answers_with_objects), (3, 2));
}

#[test]
fn a_judges_list_is_read_from_whatever_stands_around_it() {
    let list = ["dog".to_owned(), "wine glasses".to_owned()];
    for reply in [
        r#"["dog", "wine glasses"]"#,
        "Here they are:\n[\"dog\", \"wine glasses\"]",
        "```json\n[\n \"dog\",\n \"wine glasses\"\n]\n```",
    ] {
        assert_eq!(parse_list(reply).unwrap(), list);
    }
    assert_eq!(parse_list("[]").unwrap(), Vec::<String>::new());
    let error = parse_list("a dog and wine glasses").unwrap_err();
    assert!(error.contains("a dog and wine"), "{error}");
    assert!(parse_list("[1, 2]").is_err());
}

#[test]
fn the_last_object_of_an_entry_counts() {
    let words = Vocabulary::object_halbench();
    let list = [
        "wooden dining tables",
        "table top clock",
        "sky",
        "Dogs",
        "dog",
    ];
    let found = listed_objects(&words, &list.map(str::to_owned));
    let names: Vec<&str> = found.iter().map(|m| m.word.as_str()).collect();
    assert_eq!(names, ["dining table", "clock", "dog"]);
    let prompt = extraction_prompt("What is it?", "A dog.");
    assert!(prompt.contains("What is it?") && prompt.contains("A dog."));
}

fn item(kind: &str) -> Item {
    Item {
        question_type: kind.into(),
        question_topic: String::new(),
        image_id: String::new(),
        image_src: String::new(),
        image_content: vec!["Cat".into(), "Tree".into()],
        question: "How many?".into(),
        gt_answer: "One.".into(),
        model_answer: String::new(),
    }
}

fn rated(index: usize, kind: &str, review: &str) -> Rated {
    Rated {
        index,
        item: item(kind),
        answer: "Two.".into(),
        review: review.into(),
        rating: rating(review),
    }
}

#[test]
fn ratings_are_read_as_the_published_script_reads_them() {
    assert_eq!(rating("Good.\n- Rating: 6, very informative"), Some(6));
    assert_eq!(rating("RATING: 0"), Some(0));
    assert_eq!(rating("Rating 5"), None);
    assert_eq!(rating("Rating: 7"), None);
    assert_eq!(rating("Rating: 3. I repeat, rating: 3"), Some(3));
    assert_eq!(rating("Rating: 2 ... rating: 3"), None);
}

#[test]
fn an_unclear_reply_counts_as_zero_and_types_go_round() {
    let all = [
        rated(0, "attribute", "Rating: 6"),
        rated(9, "", "Rating: 3"),
        rated(2, "comparison", "Rating: 1"),
        rated(3, "counting", "I cannot say."),
    ];
    let found = mmhal::summarise(&all);
    assert_eq!(found.score.mean, 10.0 / 4.0);
    assert_eq!(found.hallucination_rate.mean, 0.5);
    assert!((found.informativeness.mean - (1.0 + 0.0 + 1.0 / 3.0 + 0.0) / 4.0).abs() < 1e-15);
    assert_eq!(found.unclear, 1);
    assert_eq!(found.by_type[TYPES[9 % 8]].mean, 3.0);
}

#[test]
fn a_template_is_a_text_with_four_gaps_or_the_script_that_holds_one() {
    let filled = Template::default().fill(&item(""), "Two cats.");
    let places = ["Cat, Tree", "How many?", "One.", "Two cats.", "Rating: N"];
    let at: Vec<usize> = places
        .iter()
        .map(|text| filled.find(text).unwrap())
        .collect();
    assert!(at.is_sorted(), "{filled}");
    let script = "import os\n\ntemplate = '''a {} b {} c {} d {} e'''\n\nx = '{}'\n";
    let own = Template::parse(script).unwrap();
    assert_eq!(own.text(), "a {} b {} c {} d {} e");
    assert_eq!(
        own.fill(&item(""), "Two."),
        "a Cat, Tree b How many? c One. d Two. e"
    );
    assert!(
        Template::parse("only {} and {}")
            .unwrap_err()
            .starts_with("2 gaps")
    );
}
