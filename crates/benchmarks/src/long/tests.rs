use super::needle::{Niah, Place};
use super::random::Random;
use super::*;
use crate::Error;

/// A token for every blank.
fn words(text: &str) -> Result<usize, Error> {
    Ok(text.split_whitespace().count())
}

fn plan(length: usize, samples: usize) -> Plan<'static> {
    Plan {
        length,
        samples,
        seed: 7,
        max_tokens: None,
        count: &words,
    }
}

fn essay() -> Haystack {
    let text: String = (0..90)
        .map(|i| format!("Sentence number {i} says nothing that matters here. "))
        .collect();
    Haystack::essay(&text, "essay").unwrap()
}

#[test]
fn a_question_fills_its_length_and_holds_its_answer() {
    for length in [900, 4200] {
        let questions = questions(&plan(length, 2), Some(&essay())).unwrap();
        assert_eq!(questions.len(), TASKS.len() * 2);
        for q in &questions {
            let tokens = words(&(q.input.clone() + &q.answer_prefix)).unwrap();
            let full = tokens + q.tokens_to_generate;
            // The coarsest pieces are ten words, of which three times as many at a time.
            assert!(full <= length && full + 130 > length, "{} {full}", q.task);
            for output in &q.outputs {
                assert!(q.input.contains(output), "{}: {output}", q.task);
                assert!(!q.answer_prefix.contains(output), "{}", q.task);
            }
        }
        assert_ne!(questions[0].outputs, questions[1].outputs);
    }
}

#[test]
fn tasks_have_the_answers_that_ruler_counts() {
    let count = |task: &str| {
        let all = questions(&plan(2000, 1), Some(&essay())).unwrap();
        let found = all.iter().find(|q| q.task == task);
        found.unwrap().outputs.len()
    };
    for (task, outputs) in [
        ("niah_single_1", 1),
        ("niah_multikey_1", 1),
        ("niah_multivalue", 4),
        ("niah_multiquery", 4),
        ("vt", 5),
        ("cwe", 10),
        ("fwe", 3),
    ] {
        assert_eq!(count(task), outputs, "{task}");
    }
    let without = questions(&plan(2000, 1), None).unwrap();
    assert_eq!(without.len(), 6);
}

#[test]
fn the_answers_of_word_tasks_are_the_most_frequent_words() {
    let all = questions(&plan(4200, 1), None).unwrap();
    for (task, marks) in [("cwe", "list of words."), ("fwe", "coded text")] {
        let question = all.iter().find(|q| q.task == task).unwrap();
        let text = question.input.rsplit(marks).nth(usize::from(task == "fwe"));
        let text = text.unwrap();
        let times = |word: &str| text.split_whitespace().filter(|w| *w == word).count();
        let least = question.outputs.iter().map(|w| times(w)).min().unwrap();
        let common =
            |w: &&str| w.chars().all(|c| c.is_ascii_lowercase() || c == '-') && times(w) > least;
        let more: std::collections::BTreeSet<&str> =
            text.split_whitespace().filter(common).collect();
        let others: Vec<&&str> = more
            .iter()
            .filter(|w| !question.outputs.iter().any(|o| o == **w))
            .collect();
        assert!(others.is_empty(), "{task}: {others:?} stand more often");
    }
}

#[test]
fn the_grid_places_its_needle_at_the_depth() {
    let grid = grid(&plan(1500, 2), &essay(), 5).unwrap();
    assert_eq!(grid.len(), 10);
    for q in &grid {
        let text = &q.input;
        let context = &text[text.find('\n').unwrap() + 1..text.rfind('\n').unwrap()];
        let at = context.find("One of the special magic").unwrap();
        let found = at as f64 / context.len() as f64;
        assert!((found - q.depth.unwrap()).abs() < 0.05, "{found} {q:?}");
    }
}

#[test]
fn one_needle_is_asked_for_in_the_words_of_ruler() {
    let made = Niah::default().make(
        Random::new(1, 2, 3),
        Some(&Haystack::Noise),
        Place::Random,
        5,
    );
    let value = &made.outputs[0];
    let line = made.input.lines().find(|l| l.contains(value)).unwrap();
    let key = line
        .strip_prefix("One of the special magic numbers for ")
        .and_then(|rest| rest.strip_suffix(&format!(" is: {value}.")))
        .unwrap();
    assert!(made.input.starts_with(
        "A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about \
         the number afterwards.\n"
    ));
    assert!(made.input.ends_with(&format!(
        "\nWhat is the special magic number for {key} mentioned in the provided text?"
    )));
    let prefix = format!(" The special magic number for {key} mentioned in the provided text is");
    assert_eq!(made.answer_prefix, prefix);
}

#[test]
fn a_length_without_room_is_an_error_that_says_what_it_takes() {
    let error = grid(&plan(100, 1), &Haystack::Noise, 3).unwrap_err();
    let message = error.to_string();
    for part in ["needle with length 100", "tokens", "greater length"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_score_is_the_share_of_strings_that_stand_in_the_answer() {
    let outputs = ["Abc".to_owned(), "77".to_owned()];
    assert_eq!(string_match_all("abc and 177.", &outputs), 1.0);
    assert_eq!(string_match_all("ABC", &outputs), 0.5);
    assert_eq!(string_match_all("", &outputs), 0.0);
}

#[test]
fn windows_score_every_token_once_but_the_first() {
    for (tokens, length, stride) in [(10, 4, 2), (10, 4, 4), (9, 20, 5), (2, 4, 1), (101, 32, 7)] {
        let all = windows(tokens, length, stride);
        let mut scored: Vec<usize> = all.iter().flat_map(|w| w.end - w.scored..w.end).collect();
        scored.sort_unstable();
        let disjoint = stride == length;
        let expected: Vec<usize> = (1..tokens)
            // The first token of a window without overlap has no past.
            .filter(|t| !disjoint || !t.is_multiple_of(length))
            .collect();
        assert_eq!(scored, expected, "{tokens} {length} {stride}");
        assert!(all.iter().all(|w| w.end - w.start <= length));
    }
    let found = perplexity(&[(1.0, 30), (2.0, 10)]);
    assert!((found.perplexity - 1.25f64.exp()).abs() < 1e-12);
    assert_eq!(found.tokens, 40);
}
