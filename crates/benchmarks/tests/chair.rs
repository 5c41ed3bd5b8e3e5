//! CHAIR against the authors' script (`tools/chair_reference.py`), and what must hold of any text.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use percept_benchmarks::hallucination::chair::{judge, present, summarise};
use percept_benchmarks::hallucination::{Vocabulary, singular, word_tokens};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/chair.json")).unwrap()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    rows(value).iter().map(|v| v.as_str().unwrap()).collect()
}

#[test]
fn tokens_are_those_of_nltk() {
    for case in rows(&golden()["tokens"]) {
        let text = case[0].as_str().unwrap();
        assert_eq!(word_tokens(text), texts(&case[1]), "{text:?}");
    }
}

#[test]
fn singular_forms_are_those_of_pattern() {
    for case in rows(&golden()["singular"]) {
        let [word, one] = texts(case)[..] else {
            panic!()
        };
        assert_eq!(singular(word), one, "{word:?}");
    }
}

#[test]
fn chair_is_that_of_the_official_script() {
    let golden = golden();
    let words = Vocabulary::chair();
    let images = rows(&golden["images"]);
    assert!(images.len() >= 300);
    let mut judged = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let caption = image["caption"].as_str().unwrap();
        let instances = texts(&image["instances"]);
        let instances = instances.iter().map(|name| words.class(name).unwrap());
        let objects = present(&words, instances, texts(&image["references"]));
        let found = judge(&words, at as u64, caption, &objects);
        let mut named = found.present.clone();
        named.sort_unstable();
        assert_eq!(named, texts(&image["objects"]), "objects of {at}");
        let (word, node): (Vec<&str>, Vec<&str>) = found
            .mentioned
            .iter()
            .map(|(w, n)| (w.as_str(), n.as_str()))
            .unzip();
        assert_eq!(word, texts(&image["words"]), "words of {at}: {caption}");
        assert_eq!(node, texts(&image["nodes"]), "classes of {at}: {caption}");
        let wrong: Vec<Vec<&str>> = found
            .hallucinated
            .iter()
            .map(|(w, n)| vec![w.as_str(), n.as_str()])
            .collect();
        let expected: Vec<Vec<&str>> = rows(&image["hallucinated"]).iter().map(texts).collect();
        assert_eq!(wrong, expected, "hallucinated in {at}: {caption}");
        judged.push(found);
    }
    let all = summarise(&judged);
    assert_eq!(all.chair_i.mean, golden["chair_i"].as_f64().unwrap());
    assert_eq!(all.chair_s.mean, golden["chair_s"].as_f64().unwrap());
    assert!(all.chair_i.low < all.chair_i.mean && all.chair_i.mean < all.chair_i.high);
}

#[test]
fn a_caption_of_present_objects_hallucinates_nothing_and_one_of_absent_objects_only() {
    let words = Vocabulary::chair();
    let class = |name| words.class(name).unwrap();
    let all = BTreeSet::from([class("dog"), class("hot dog")]);
    let right = judge(&words, 1, "A dog eats a hot dog.", &all);
    assert!(right.hallucinated.is_empty());
    let wrong = judge(&words, 2, "A cat. Two cats on a couch.", &all);
    let found = summarise(&[right, wrong]);
    assert_eq!(found.chair_i.mean, 3.0 / 5.0);
    assert_eq!(found.chair_s.mean, 0.5);
    assert_eq!(found.recall.mean, 0.5);
    assert_eq!(
        found.by_class,
        [("cat".to_owned(), 2), ("couch".to_owned(), 1)]
    );
}

#[test]
fn the_refined_list_finds_what_the_official_rules_lose() {
    let names = |words: &Vocabulary, text| -> Vec<String> {
        let found = words.mentions(text);
        found
            .iter()
            .map(|m| words.name(m.class).to_owned())
            .collect()
    };
    let text = "A bus, two ties, a tennis racket and a coffee table.";
    assert_eq!(
        names(&Vocabulary::chair(), text),
        ["tennis racket", "dining table"]
    );
    assert_eq!(
        names(&Vocabulary::object_halbench(), text),
        ["bus", "tie", "tennis racket", "dining table"]
    );
}

#[test]
fn every_class_is_found_in_its_own_plural_by_the_refined_list() {
    let words = Vocabulary::object_halbench();
    for name in words.classes() {
        let found = words.objects(&format!("There is a {name}."));
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [words.class(name).unwrap()],
            "{name}"
        );
    }
    assert_eq!(words.classes().len(), 80);
}
