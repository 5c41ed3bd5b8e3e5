//! Causal-HalBench's numbers on models whose behaviour is known, and beside the authors' program.
#![allow(clippy::unwrap_used, missing_docs)]

use percept_benchmarks::causal::{
    Answer, Answered, Kind, Question, Reading, Tag, by_object, by_pair, measure, paired, questions,
};

/// A world of planted company: `companion(i)` calls up `target(i)`. Each pair of pictures has seven
/// questions, as the official data set.
fn world(originals: usize, edits: usize) -> Vec<(Question, bool)> {
    let mut rows = Vec::new();
    for original in 0..originals {
        for edit in 1..=edits {
            // (kind, tag, is it in the picture, does the usual company of the object stand there?)
            let asked = [
                (Kind::Target, Tag::Origin, Answer::Yes, true),
                (Kind::Target, Tag::Inpainted, Answer::Yes, false),
                (Kind::Inpaint, Tag::Inpainted, Answer::Yes, false),
                (Kind::Absent, Tag::Origin, Answer::No, true),
                (Kind::Absent, Tag::Origin, Answer::No, true),
                (Kind::Absent, Tag::Inpainted, Answer::No, false),
                (Kind::Absent, Tag::Inpainted, Answer::No, false),
            ];
            for (kind, tag, answer, company) in asked {
                let image_name = match tag {
                    Tag::Origin => format!("{original}.png"),
                    Tag::Inpainted => format!("{original}_{edit:03}.png"),
                };
                let object = match kind {
                    Kind::Target => "skis",
                    Kind::Inpaint => "bear",
                    Kind::Absent => "snowboard",
                };
                let question = Question {
                    id: rows.len() as u64,
                    image_name,
                    q: format!("Is there a {object} in the image?"),
                    kind,
                    tag,
                    answer,
                };
                rows.push((question, company));
            }
        }
    }
    rows
}

fn run(model: impl Fn(&Question, bool, usize) -> Answer) -> Vec<Answered> {
    let answered = |(index, (question, company)): (usize, (Question, bool))| {
        let parsed = model(&question, company, index);
        Answered {
            response: format!("{parsed:?}."),
            parsed,
            question,
        }
    };
    world(40, 3).into_iter().enumerate().map(answered).collect()
}

fn means(rows: &[Answered]) -> [f64; 5] {
    let found = measure(rows);
    let all = [
        found.cac,
        found.aac,
        found.chr,
        found.cpr_target,
        found.cpr_absent,
    ];
    all.map(|e| {
        assert!(e.low <= e.mean && e.mean <= e.high, "{e:?}");
        e.mean
    })
}

#[test]
fn who_looks_is_moved_by_nothing() {
    assert_eq!(means(&run(|q, _, _| q.answer)), [0.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn who_guesses_from_company_has_the_values_that_the_world_dictates() {
    // Yes exactly where the usual company stands: right about the kept object on originals only, wrong about
    // absent ones on originals only, denies what is unexpected.
    let company = |company: bool| if company { Answer::Yes } else { Answer::No };
    let rows = run(|_, there, _| company(there));
    assert_eq!(means(&rows), [1.0, 1.0, 1.0, 0.0, 0.0]);
    // A model that guesses in every fourth family and looks in the others has a quarter of everything.
    let rows = run(|q, there, index| match (index / 21) % 4 {
        0 => company(there),
        _ => q.answer,
    });
    assert_eq!(means(&rows), [0.25, 0.25, 0.25, 0.75, 0.75]);
    let metrics = measure(&rows);
    assert!(
        metrics.cac.low > 0.05 && metrics.cac.high < 0.5,
        "{:?}",
        metrics.cac
    );
}

#[test]
fn who_says_one_thing_shows_it_in_the_accuracies_not_in_the_differences() {
    let yes = measure(&run(|_, _, _| Answer::Yes));
    assert_eq!([yes.cac.mean, yes.aac.mean, yes.chr.mean], [0.0, 0.0, 0.0]);
    assert_eq!([yes.cpr_target.mean, yes.cpr_absent.mean], [1.0, 0.0]);
    assert_eq!(yes.yes_ratio.mean, 1.0);
    // One of three on originals, two of four on edits.
    assert!((yes.origin_accuracy.mean - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(yes.inpainted_accuracy.mean, 0.5);
    let no = measure(&run(|_, _, _| Answer::No));
    assert_eq!([no.cac.mean, no.aac.mean, no.chr.mean], [0.0, 0.0, 1.0]);
    assert_eq!([no.cpr_target.mean, no.cpr_absent.mean], [0.0, 1.0]);
}

#[test]
fn two_runs_differ_by_what_changed_and_by_nothing_else() {
    let looks = run(|q, _, _| q.answer);
    let guesses = run(|_, there, _| if there { Answer::Yes } else { Answer::No });
    for (name, difference, p) in paired(&looks, &guesses) {
        assert_eq!(difference.mean, 1.0, "{name}");
        assert!(p < 1e-9, "{name}: {p}");
    }
    for (_, difference, p) in paired(&looks, &looks) {
        assert_eq!((difference.mean, p), (0.0, 1.0));
        // No difference among 40 pictures does not prove that there is none: z²/(n + z²) of them were never seen.
        let unseen = 3.841_458_820_694_124 / (40.0 + 3.841_458_820_694_124);
        assert!((difference.low + unseen).abs() < 1e-12);
        assert!((difference.high - unseen).abs() < 1e-12);
    }
    // One question of one picture: no evidence.
    let mut other = looks.clone();
    other[0].parsed = Answer::No;
    assert_eq!(paired(&looks, &other)[0].2, 1.0);
}

#[test]
fn breakdowns_name_the_object_and_the_company() {
    let rows = run(|_, there, _| if there { Answer::Yes } else { Answer::No });
    let objects = by_object(&rows);
    let names: Vec<&str> = objects.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["snowboard", "skis", "bear"]);
    assert_eq!(objects[1].cac(), Some(1.0));
    assert_eq!(objects[1].chr(), None);
    let pairs = by_pair(&rows);
    assert_eq!((pairs.len(), pairs[0].name.as_str()), (1, "skis → bear"));
    assert_eq!(pairs[0].inpaint, [120, 0]);
}

/// Made by tools/causal_reference.py with the authors' metric.py.
#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    questions: Vec<Question>,
    responses: Vec<String>,
    cac: f64,
    nac: f64,
    chr: f64,
    cpr_target: f64,
    cpr_absent: f64,
}

#[test]
fn numbers_are_those_of_the_authors_program() {
    let text = include_str!("golden/causal.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    assert!(golden.cases.len() >= 8);
    for case in golden.cases {
        let rows: Vec<Answered> = case
            .questions
            .into_iter()
            .zip(case.responses)
            .map(|(question, response)| Answered {
                parsed: Reading::Original.read(&response),
                question,
                response,
            })
            .collect();
        let expected = [
            case.cac,
            case.nac,
            case.chr,
            case.cpr_target,
            case.cpr_absent,
        ];
        for (found, expected) in means(&rows).into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &str, words: &[&str]| {
        std::fs::write(folder.path().join("qa.json"), content).unwrap();
        let error = questions(folder.path()).unwrap_err().to_string();
        for word in [&["qa.json"], words].concat() {
            assert!(error.contains(word), "{error} without {word}");
        }
    };
    refused("[]", &["no questions"]);
    refused("[{\"id\": 1}]", &["line 1", "image_name"]);
    let row = |id: u64| {
        let (mut question, _) = world(1, 1).remove(0);
        question.id = id;
        serde_json::to_string(&question).unwrap()
    };
    refused(
        &format!("[{},{}]", row(4), row(4)),
        &["question 4", "twice", "0.png"],
    );
    refused(&row(1).replace("\"target\"", "\"context\""), &["qa.json"]);
    std::fs::write(
        folder.path().join("qa.json"),
        format!("[{},{}]", row(4), row(5)),
    )
    .unwrap();
    assert_eq!(questions(folder.path()).unwrap().len(), 2);
}
