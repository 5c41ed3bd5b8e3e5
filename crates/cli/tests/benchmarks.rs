//! `percept eval BENCHMARK` from files, from a server and from a local model.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::Path;

use common::{Cases, Outcome, base_model, percept, run, run_in, snapshot, write};
use mock::{Act, Mock};
use percept_data::Media;
use serde_json::{Value, json};

const KEY: &str = "sk-never-to-be-seen";
/// The smallest PNG: one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const CLASSES: [&str; 8] = [
    "person", "dog", "car", "orange", "cat", "bus", "kite", "bed",
];

/// Classes of picture `at`, three of eight.
fn classes(at: usize) -> [&'static str; 3] {
    [0, 1, 3].map(|step| CLASSES[(at + step) % 8])
}

/// 12 pictures, their COCO instances and a reference caption that names a couch in picture 3.
fn world(folder: &Path) {
    let png = Media::from_base64(PNG).unwrap().encoded().unwrap();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for at in 0..12 {
        let name = format!("{at:012}.png");
        write(&folder.join("images").join(&name), &png);
        images.push(json!({"id": at, "file_name": name, "width": 1, "height": 1}));
        for class in classes(at) {
            let category = CLASSES.iter().position(|c| *c == class).unwrap() + 1;
            annotations.push(json!({"id": annotations.len() + 1, "image_id": at, "category_id": category,
                "bbox": [0, 0, 1, 1], "area": 1.0, "iscrowd": 0, "segmentation": [[0, 0, 1, 0, 1, 1]]}));
        }
    }
    let named = |(at, name): (usize, &&str)| json!({"id": at + 1, "name": name});
    let categories: Vec<Value> = CLASSES.iter().enumerate().map(named).collect();
    let all = json!({"images": images, "categories": categories, "annotations": annotations});
    write(&folder.join("instances.json"), all.to_string());
    let texts = json!([{"id": 1, "image_id": 3, "caption": "Somebody on a couch."}]);
    let captions = json!({"images": [{"id": 3}], "annotations": texts});
    write(&folder.join("references.json"), captions.to_string());
}

fn json_lines(outcome: &Outcome) -> Vec<Value> {
    outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The binary in a folder, with a key in its environment.
fn eval(folder: &Path, args: &[&str]) -> Outcome {
    let mut command = percept(&[&["eval"], args].concat());
    command.current_dir(folder).env("PERCEPT_API_KEY", KEY);
    run(command)
}

/// A server that is asked about one picture at a time and does not know which: it says yes to
/// everything, after a refusal.
fn yes_server() -> Mock {
    Mock::start(|seen, attempt| match attempt {
        0 if seen.question().contains("dog") => Act::Status(429, "retry-after: 0\r\n", "{}".into()),
        _ => Act::Reply("Yes, I think so.".into()),
    })
}

#[test]
fn pope_is_built_asked_and_repeated_without_asking() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    world(at);
    let build = [
        "pope",
        "--build",
        "instances.json",
        "--build-images",
        "10",
        "--objects",
        "2",
        "--output",
        "pope",
    ];
    let made = eval(at, &build).ok();
    assert_eq!(made.stdout.lines().count(), 3);
    let server = yes_server();
    let ask = [
        "pope",
        "--data",
        "pope",
        "--images",
        "images",
        "--endpoint",
        &server.url,
        "--api-model",
        "m",
        "--parser",
        "vlmevalkit",
        "--retry-pause",
        "0.002",
        "--output",
        "run",
        "--json",
    ];
    let first = eval(at, &ask).ok();
    let splits = json_lines(&first);
    let names: Vec<&str> = splits
        .iter()
        .map(|s| s["split"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["random", "popular", "adversarial", "all"]);
    for split in &splits {
        assert_eq!(split["parser"], "vlmevalkit");
        assert_eq!(split["scores"]["accuracy"]["mean"], 0.5);
        assert_eq!(split["parsers"]["original"]["recall"]["mean"], 1.0);
        // "Yes, I think so." is no single word.
        assert_eq!(
            split["parsers"]["lmms"]["unparsed"],
            split["parsers"]["lmms"]["questions"]
        );
    }
    assert_eq!(splits[3]["scores"]["questions"], 120);
    let asked = server.seen().len();
    assert_eq!(
        server.seen()[0].authorization.as_deref(),
        Some(format!("Bearer {KEY}").as_str())
    );
    let again = eval(at, &ask).ok();
    assert_eq!((again.stdout, server.seen().len()), (first.stdout, asked));
    let records = fs::read_to_string(at.join("run/records.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 120);
    let record: Value = serde_json::from_str(records.lines().next().unwrap()).unwrap();
    assert_eq!(
        record["parsed"],
        json!({"original": "yes", "vlmevalkit": "yes", "lmms": null})
    );
    let page = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(
        page.contains("*vlmevalkit") && !page.contains("http://"),
        "{page}"
    );
    for (path, bytes) in snapshot(at) {
        assert!(
            !String::from_utf8_lossy(&bytes).contains(KEY),
            "{}",
            path.display()
        );
    }
}

#[test]
fn pope_reads_answers_that_were_given_before() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let row = |id: u64, label: &str| json!({"question_id": id, "image": "a.jpg", "text": "Is there a dog in the image?", "label": label});
    let lines = |rows: &[Value]| rows.iter().map(|r| format!("{r}\n")).collect::<String>();
    write(
        &at.join("coco_pope_random.json"),
        lines(&[row(1, "yes"), row(2, "no")]),
    );
    let answers = [
        json!({"question_id": 2, "answer": "There is not."}),
        json!({"question_id": 1, "answer": "yes"}),
    ];
    write(&at.join("answers.jsonl"), lines(&answers));
    let args = [
        "pope",
        "--data",
        "coco_pope_random.json",
        "--answers",
        "answers.jsonl",
    ];
    let found = eval(at, &args).ok();
    assert!(found.stdout.contains("*original"), "{}", found.stdout);
    let found = eval(at, &[&args[..], &["--json"]].concat()).ok();
    let split = &json_lines(&found)[0];
    assert_eq!(
        (&split["split"], &split["scores"]["accuracy"]["mean"]),
        (&json!("random"), &json!(1.0))
    );
    // Neither "yes" nor "no" is a word of "There is not.".
    assert_eq!(split["parsers"]["vlmevalkit"]["accuracy"]["mean"], 0.5);
}

#[test]
fn a_local_model_answers_pope() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    world(at);
    eval(
        at,
        &[
            "pope",
            "--build",
            "instances.json",
            "--build-images",
            "2",
            "--objects",
            "1",
            "--output",
            "pope",
        ],
    )
    .ok();
    let model = base_model();
    let found = eval(
        at,
        &[
            "pope",
            "--data",
            "pope/coco_pope_random.json",
            "--images",
            "images",
            "--model",
            model.to_str().unwrap(),
            "--max-tokens",
            "4",
            "--output",
            "run",
            "--json",
            "--limit",
            "3",
        ],
    )
    .ok();
    assert_eq!(json_lines(&found)[0]["scores"]["questions"], 3);
    let summary = fs::read_to_string(at.join("run/summary.json")).unwrap();
    assert!(summary.contains("safetensors"), "{summary}");
}

#[test]
fn chair_counts_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    world(at);
    // Picture 3 has an orange, a cat and a kite, and a person and a couch by its reference.
    let captions = json!([{"image_id": 3, "caption": "A cat and two kites on a couch."},
        {"image_id": 3, "caption": "A dog, a dog and an orange."}, {"image_id": 4, "caption": "Nothing."}]);
    write(&at.join("captions.json"), captions.to_string());
    let args = [
        "chair",
        "--instances",
        "instances.json",
        "--references",
        "references.json",
        "--captions",
        "captions.json",
        "--output",
        "run",
        "--json",
    ];
    let found = eval(at, &args).ok();
    let scores = &json_lines(&found)[0]["scores"];
    assert_eq!(scores["mentions"], 6);
    assert_eq!(scores["chair_i"]["mean"], 2.0 / 6.0);
    assert_eq!(scores["chair_s"]["mean"], 1.0 / 3.0);
    assert_eq!(scores["by_class"], json!([["dog", 2]]));
    let page = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(page.contains("A dog, a dog and an orange."), "{page}");
}

#[test]
fn chair_describes_pictures_of_the_annotations() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    world(at);
    let server = Mock::start(|seen, _| {
        assert_eq!(seen.body["max_tokens"], 512);
        Act::Reply("A person walks a dog.".into())
    });
    let args = [
        "chair",
        "--instances",
        "instances.json",
        "--images",
        "images",
        "--sample",
        "5",
        "--endpoint",
        &server.url,
        "--api-model",
        "m",
        "--json",
    ];
    let found = json_lines(&eval(at, &args).ok());
    assert_eq!(server.seen().len(), 5);
    assert_eq!(
        server.seen()[0].question(),
        "Please describe this image in detail."
    );
    assert_eq!(found[0]["scores"]["mentions"], 10);
}

#[test]
fn object_halbench_counts_an_object_once_and_records_its_judge() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    world(at);
    let answers = json!([{"image_id": 0, "answer": "A person with a dog and a dog near a bus."}, {"image_id": 1, "answer": "A sunny day."}]);
    write(&at.join("answers.json"), answers.to_string());
    let args = [
        "object-halbench",
        "--instances",
        "instances.json",
        "--answers",
        "answers.json",
        "--output",
        "run",
        "--json",
    ];
    let found = &json_lines(&eval(at, &args).ok())[0];
    assert_eq!(found["extraction"], "word rules");
    assert_eq!(found["scores"]["mention"]["mean"], 1.0 / 3.0);
    assert_eq!(found["scores"]["response"]["mean"], 1.0);
    assert_eq!(found["scores"]["response_of_all"]["mean"], 0.5);
    let judge = Mock::start(|_, _| Act::Reply("[\"person\", \"brown dogs\"]".into()));
    let judged = [
        &args[..],
        &["--judge-endpoint", &judge.url, "--judge-model", "judge-1"],
    ]
    .concat();
    let found = &json_lines(&eval(at, &judged).ok())[0];
    assert_eq!(found["scores"]["mention"]["mean"], 0.0);
    assert!(
        found["extraction"]["judge"].to_string().contains("judge-1"),
        "{found}"
    );
    // The other answer has three words.
    assert_eq!(judge.seen().len(), 1);
}

#[test]
fn amber_reads_the_official_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let query = json!([{"id": 1, "image": "AMBER_1.jpg", "query": "Describe this image."},
        {"id": 2, "image": "AMBER_1.jpg", "query": "Is there a dog?"}, {"id": 3, "image": "AMBER_1.jpg", "query": "Is the sky sunny?"}]);
    let annotations = json!([{"id": 1, "type": "generative", "truth": ["sky", "man"], "hallu": ["dog"]},
        {"id": 2, "type": "discriminative-hallucination", "truth": "no"}, {"id": 3, "type": "discriminative-attribute-state", "truth": "yes"}]);
    write(&at.join("data/query/query_all.json"), query.to_string());
    write(&at.join("data/annotations.json"), annotations.to_string());
    write(
        &at.join("data/relation.json"),
        json!({"sky": [], "man": ["person"], "dog": [], "light": []}).to_string(),
    );
    write(&at.join("data/safe_words.txt"), "light");
    let answers = json!([{"id": 1, "response": "The sky above a person, dogs and light."}, {"id": 2, "response": "No"}, {"id": 3, "response": "yes."}]);
    write(&at.join("answers.json"), answers.to_string());
    let args = [
        "amber",
        "--data",
        "data",
        "--answers",
        "answers.json",
        "--output",
        "run",
    ];
    let found = &json_lines(&eval(at, &[&args[..], &["--json"]].concat()).ok())[0];
    let near = |value: &Value, expected: f64| {
        assert!(
            (value["mean"].as_f64().unwrap() - expected).abs() < 2e-3,
            "{value} {expected}"
        )
    };
    near(&found["generative"]["chair"], 1.0 / 4.0);
    near(&found["generative"]["cover"], 1.0);
    near(&found["generative"]["cog"], 1.0);
    near(&found["discriminative"]["all"]["accuracy"], 0.5);
    assert_eq!(found["discriminative"]["all"]["unparsed"], 1);
    let word = [
        &args[..],
        &["--json", "--reading", "word", "--part", "discriminative"],
    ]
    .concat();
    let found = &json_lines(&eval(at, &word).ok())[0];
    near(&found["discriminative"]["all"]["accuracy"], 1.0);
    assert_eq!(found["generative"], Value::Null);
    let text = eval(at, &args).ok().stdout;
    assert!(
        text.contains("AMBER score") && text.contains("existence"),
        "{text}"
    );
}

#[test]
fn mmhal_is_rated_by_a_judge_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let item = |kind: &str, answer: &str| {
        json!({"question_type": kind, "image_id": "a1", "image_src": "https://host/x.png", "image_content": ["Cat"],
            "question": "How many?", "gt_answer": "One.", "model_answer": answer})
    };
    write(
        &at.join("items.json"),
        json!([item("counting", "One cat."), item("other", "Two cats.")]).to_string(),
    );
    let judge = Mock::start(|seen, _| {
        let right = seen.question().contains("One cat.");
        Act::Reply(if right {
            "Fine. Rating: 5".into()
        } else {
            "No. Rating: 1".into()
        })
    });
    let judging = [
        "--judge-endpoint",
        &judge.url,
        "--judge-model",
        "judge-1",
        "--output",
        "run",
        "--json",
    ];
    let args = [&["mmhal", "--data", "items.json", "--given"][..], &judging].concat();
    let found = &json_lines(&eval(at, &args).ok())[0];
    assert_eq!(found["scores"]["score"]["mean"], 3.0);
    assert_eq!(found["scores"]["hallucination_rate"]["mean"], 0.5);
    assert_eq!(found["scores"]["by_type"]["other"]["mean"], 1.0);
    let summary = fs::read_to_string(at.join("run/summary.json")).unwrap();
    assert!(
        summary.contains("judge-1") && summary.contains("not the published one"),
        "{summary}"
    );
    // A model that is asked, about a picture under its number.
    let png = Media::from_base64(PNG).unwrap().encoded().unwrap();
    write(&at.join("images/a1.png"), &png);
    let model = Mock::start(|_, _| Act::Reply("One cat.".into()));
    let args = [
        &[
            "mmhal",
            "--data",
            "items.json",
            "--images",
            "images",
            "--endpoint",
            &model.url,
            "--api-model",
            "m",
        ][..],
        &judging,
    ]
    .concat();
    let found = &json_lines(&eval(at, &args).ok())[0];
    assert_eq!(found["scores"]["score"]["mean"], 5.0);
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    world(at);
    let mut cases = Cases::default();
    let question = json!({"question_id": 1, "image": "gone.jpg", "text": "?", "label": "yes"});
    write(&at.join("one.json"), format!("{question}\n"));
    write(
        &at.join("captions.json"),
        json!([{"image_id": 99, "caption": "a dog"}]).to_string(),
    );
    write(
        &at.join("two.jsonl"),
        "{\"answer\": \"a\"}\n{\"answer\": \"b\"}\n",
    );
    for (name, args, words) in [
        ("nothing", vec![], vec!["--model"]),
        (
            "nobody",
            vec!["pope", "--data", "one.json", "--images", "images"],
            vec!["gone.jpg", "--images"],
        ),
        (
            "no one to ask",
            vec![
                "chair",
                "--instances",
                "instances.json",
                "--images",
                "images",
            ],
            vec!["--endpoint"],
        ),
        (
            "no pictures",
            vec![
                "pope",
                "--data",
                "one.json",
                "--endpoint",
                "http://localhost:1",
                "--api-model",
                "m",
            ],
            vec!["--images"],
        ),
        (
            "parser",
            vec!["pope", "--data", "one.json", "--parser", "mine"],
            vec!["vlmevalkit"],
        ),
        (
            "answers",
            vec!["pope", "--data", "one.json", "--answers", "two.jsonl"],
            vec!["two.jsonl", "2 answers", "1 questions"],
        ),
        (
            "an unknown picture",
            vec![
                "chair",
                "--instances",
                "instances.json",
                "--captions",
                "captions.json",
            ],
            vec!["image 99"],
        ),
        (
            "no judge",
            vec!["mmhal", "--data", "one.json"],
            vec!["--judge-endpoint"],
        ),
        (
            "no folder",
            vec!["amber", "--data", "nowhere", "--answers", "two.jsonl"],
            vec!["annotations.json"],
        ),
        (
            "too few",
            vec!["pope", "--build", "instances.json", "--output", "x"],
            vec!["12 pictures", "--build-images"],
        ),
        (
            "a question",
            vec!["pope", "--data", "two.jsonl", "--answers", "two.jsonl"],
            vec!["two.jsonl:1"],
        ),
    ] {
        let outcome = run_in(at, &[&["eval"], &args[..]].concat());
        cases.refused(name, &outcome, &words);
    }
    cases.finish();
}

/// A folder with these answers' records, by picture: (objects, invented).
fn results(folder: &Path, name: &str, answers: impl Iterator<Item = (u64, usize, usize)>) {
    let mentions = |count: usize| vec![["dog", "dog"]; count];
    let lines = answers.map(|(image, objects, invented)| {
        let record = json!({"image": image, "caption": "a dog", "mentioned": mentions(objects),
            "hallucinated": mentions(invented), "present": ["dog", "cat"], "covered": objects - invented, "length": 2});
        format!("{record}\n")
    });
    write(
        &folder.join(name).join("records.jsonl"),
        lines.collect::<String>(),
    );
}

#[test]
fn two_models_are_compared_picture_by_picture() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    results(
        at,
        "base",
        (0..100).map(|i| (i, 2, usize::from(i % 2 == 0))),
    );
    results(
        at,
        "tuned",
        (0..101).map(|i| (i, 2, usize::from(i % 10 == 0))),
    );
    for benchmark in ["object-halbench", "chair", "scenes", "amber"] {
        let outcome = eval(at, &[benchmark, "--compare", "base", "tuned", "--json"]).ok();
        let mention = &json_lines(&outcome)[0];
        assert_eq!(
            (&mention["metric"], &mention["images"]),
            (&json!("mention"), &json!(100))
        );
        assert_eq!(
            (&mention["first"]["mean"], &mention["second"]["mean"]),
            (&json!(0.25), &json!(0.05))
        );
        assert!(
            (mention["reduction"]["mean"].as_f64().unwrap() - 0.8).abs() < 1e-12,
            "{mention}"
        );
        assert!(
            mention["difference"]["high"].as_f64() < Some(0.0),
            "{mention}"
        );
        assert!(
            outcome.stderr.contains("tuned: 1 images"),
            "{}",
            outcome.stderr
        );
    }
    // Two seeds of each model.
    let outcome = eval(
        at,
        &[
            "scenes",
            "--compare",
            "base,base",
            "base,tuned",
            "--quiet",
            "--json",
        ],
    )
    .ok();
    assert_eq!(json_lines(&outcome)[0]["second"]["mean"], 0.15);
    // AMBER's yes/no questions.
    for (name, right) in [("yes", 0), ("better", 30)] {
        let lines = (0..40).map(|id| {
            let (truth, no) = (id % 2 == 0, id % 2 == 1 && id < right);
            let record = json!({"id": id, "kind": "discriminative-hallucination", "truth": truth,
                "response": "…", "parsed": !no});
            format!("{record}\n")
        });
        write(
            &at.join(name).join("records.jsonl"),
            lines.collect::<String>(),
        );
    }
    let outcome = eval(at, &["amber", "--compare", "yes", "better", "--json"]).ok();
    let accuracy = &json_lines(&outcome)[0];
    assert_eq!(
        [
            &accuracy["part"],
            &accuracy["metric"],
            &accuracy["questions"]
        ],
        [&json!("all"), &json!("accuracy"), &json!(40)]
    );
    let difference = accuracy["difference"]["mean"].as_f64().unwrap();
    assert!((difference - 15.0 / 40.0).abs() < 1e-3, "{accuracy}");
    assert!(
        accuracy["difference"]["low"].as_f64() > Some(0.0),
        "{accuracy}"
    );
    let mut cases = Cases::default();
    write(
        &at.join("choices/records.jsonl"),
        "{\"id\": 1, \"kind\": \"k\", \"truth\": true}\n",
    );
    results(at, "other", (500..510).map(|i| (i, 2, 0)));
    for (name, pair, word) in [
        ("no folder", ["base", "none"], "none/records.jsonl"),
        (
            "no descriptions",
            ["base", "choices"],
            "choices/records.jsonl",
        ),
        (
            "no image in common",
            ["base", "other"],
            "no image in common",
        ),
        (
            "one seed against two",
            ["base", "base,tuned"],
            "as many folders",
        ),
    ] {
        let outcome = eval(at, &[&["chair", "--compare"], &pair[..]].concat());
        cases.refused(name, &outcome, &[word]);
    }
    cases.refused(
        "a model besides",
        &eval(
            at,
            &["scenes", "--compare", "base", "tuned", "--model", "x"],
        ),
        &["--model"],
    );
    cases.refused("nothing", &eval(at, &["chair"]), &["--instances"]);
    cases.finish();
}

/// A server that names a square and a ring in every picture.
#[test]
fn scenes_counts_shapes_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mock = Mock::start(|_, _| Act::Reply("There is a square and two rings.".into()));
    let args = [
        "scenes",
        "--rows",
        "40",
        "--endpoint",
        &mock.url,
        "--api-model",
        "m",
        "--output",
        "out",
        "--json",
    ];
    let scores = json_lines(&eval(at, &args).ok())[0]["scores"].clone();
    let text = fs::read_to_string(at.join("out/records.jsonl")).unwrap();
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 40);
    let absent = |record: &Value, shape: &str| {
        !record["present"]
            .as_array()
            .unwrap()
            .contains(&json!(shape))
    };
    let invented: usize = records
        .iter()
        .map(|record| usize::from(absent(record, "square")) + usize::from(absent(record, "ring")))
        .sum();
    assert!(invented > 10 && invented < 70, "{invented}");
    assert_eq!(scores["mention"]["mean"], invented as f64 / 80.0);
    let same = eval(at, &["scenes", "--compare", "out", "out", "--json"]).ok();
    assert_eq!(json_lines(&same)[0]["difference"]["mean"], 0.0);
}
