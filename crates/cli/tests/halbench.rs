//! `percept halbench build` on drawn images: killed at every step it makes the same files, its
//! questions are true, and nothing outside a mask changes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::coco::{arguments, build, images, rows};
use common::{kill_in_step, percept, snapshot, write};
use mock::{Act, Mock};
use percept_data::coco::Mask;
use serde_json::Value;

const STEPS: [&str; 7] = [
    "statistics",
    "roles",
    "choice",
    "edit",
    "quality",
    "questions",
    "dataset",
];

/// The files of a folder by their paths in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = snapshot(folder).into_iter();
    all.map(|(path, bytes)| (path.strip_prefix(folder).unwrap().to_owned(), bytes))
        .collect()
}

#[test]
fn a_build_killed_at_every_step_makes_the_files_of_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 30, "png");
    let whole = folder.path().join("whole");
    build(folder.path(), &whole, &[]).ok();
    let killed = folder.path().join("killed");
    for (number, step) in STEPS.iter().enumerate() {
        let command = percept(&arguments(folder.path(), &killed));
        kill_in_step(command, &killed, number + 1, step);
    }
    // What a kill in the middle of a write leaves, wherever the kills above came.
    for place in ["", "steps", "edits", "images"] {
        write(&killed.join(place).join(".half.tmp-1-0"), "half");
    }
    write(&killed.join("steps").join("05-quality.log.jsonl"), "{}");
    build(folder.path(), &killed, &[]).ok();
    let (a, b) = (files(&whole), files(&killed));
    let names =
        |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((path, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{} differs", path.display());
    }
    // Nothing is left to do.
    let again = build(folder.path(), &killed, &["--json"]).ok();
    let done = again
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(
        done.take(STEPS.len()).all(|step| step["done_now"] == false),
        "{}",
        again.stdout
    );
}

#[test]
fn questions_are_true_and_nothing_outside_a_mask_changes() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 24, "png");
    let out = folder.path().join("bench");
    build(folder.path(), &out, &[]).ok();
    let questions: Vec<Value> =
        serde_json::from_slice(&fs::read(out.join("qa.json")).unwrap()).unwrap();
    let pairs = rows(&out, "06-questions.jsonl");
    assert!(pairs.len() >= 20, "{}", pairs.len());
    assert_eq!(questions.len(), 7 * pairs.len());
    let ids: Vec<u64> = questions
        .iter()
        .map(|q| q["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (0..questions.len() as u64).collect::<Vec<_>>());
    for row in &pairs {
        let pair = &row["kept"];
        let shown: HashSet<&str> = pair["present"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_str().unwrap())
            .collect();
        let [target, contextual, new] =
            ["target", "contextual", "counterfactual"].map(|name| pair[name].as_str().unwrap());
        assert!(shown.contains(target) && shown.contains(contextual) && target != contextual);
        assert!(!shown.contains(new));
        for absent in pair["absent"].as_object().unwrap().keys() {
            assert!(!shown.contains(absent.as_str()) && absent != new);
        }
        let mut kinds: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        for q in pair["questions"].as_array().unwrap() {
            let text = |name: &str| q[name].as_str().unwrap();
            *kinds
                .entry((text("tag"), text("type"), text("answer")))
                .or_default() += 1;
        }
        let expected = [
            (("inpainted", "absent", "no"), 2),
            (("inpainted", "inpaint", "yes"), 1),
            (("inpainted", "target", "yes"), 1),
            (("origin", "absent", "no"), 2),
            (("origin", "target", "yes"), 1),
        ];
        assert_eq!(kinds, BTreeMap::from(expected));
        let read = |name: &str| {
            let name = pair[name].as_str().unwrap();
            image::open(out.join("images").join(name))
                .unwrap()
                .into_rgb8()
        };
        let (original, edited) = (read("original_name"), read("edited_name"));
        let mask = Mask::from_rle_string(pair["mask_rle"].as_str().unwrap(), 240, 180).unwrap();
        for (x, y, pixel) in original.enumerate_pixels() {
            assert!(
                mask.get(x, y) || pixel == edited.get_pixel(x, y),
                "({x}, {y})"
            );
        }
        assert!(
            mask.pixels()
                .any(|(x, y)| original.get_pixel(x, y) != edited.get_pixel(x, y))
        );
    }
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(report.matches("<img ").count(), 2 * pairs.len());
    assert!(!report.contains("http://") && !report.contains("https://"));
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(
        card.contains(&format!("| questions | {} |", questions.len())),
        "{card}"
    );
}

#[test]
fn a_step_is_done_again_when_asked_or_when_its_settings_changed() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 16, "png");
    let out = folder.path().join("bench");
    let early = build(folder.path(), &out, &["--step", "quality"]);
    assert_eq!(early.code, Some(1));
    assert!(early.stderr.contains("is not finished"), "{}", early.stderr);
    build(folder.path(), &out, &[]).ok();
    let before = snapshot(&out);
    build(folder.path(), &out, &["--step", "quality"]).ok();
    build(folder.path(), &out, &["--from", "edit"]).ok();
    assert_eq!(before, snapshot(&out));
    let done = |more: &[&str]| -> Vec<String> {
        let outcome = build(folder.path(), &out, &[&["--json"], more].concat()).ok();
        let rows = outcome
            .stdout
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        let now = rows.filter(|row| row["done_now"] == true);
        now.map(|row| row["step"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(done(&["--absent", "random"]), ["questions", "dataset"]);
    assert_eq!(
        done(&["--absent", "random", "--seed", "1"])
            .first()
            .unwrap(),
        "roles"
    );
}

#[test]
fn a_model_chooses_and_a_program_edits() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 8, "png");
    // It names the last candidate, and describes.
    let server = Mock::start(|seen, _| {
        let question = seen.question();
        Act::Reply(match question.rsplit_once("? ") {
            Some((_, names)) if question.contains("marked in red") => {
                let names = names.split('.').next().unwrap();
                format!("**{}**", names.rsplit(", ").next().unwrap())
            }
            _ => "A picture.".into(),
        })
    });
    let out = folder.path().join("bench");
    let more = [
        "--endpoint",
        &server.url,
        "--api-model",
        "m",
        "--edit-command",
        "cp {image} {output} {mask}",
    ];
    // `cp` with three files fails: the program is named, and what is finished stays.
    let failed = build(folder.path(), &out, &more);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.stderr.contains("cp: ended with"),
        "{}",
        failed.stderr
    );
    let asked = server.seen().len();
    let choices = rows(&out, "03-choice.jsonl");
    for row in &choices {
        let candidates = row["kept"]["candidates"].as_array().unwrap();
        assert_eq!(Some(&row["kept"]["counterfactual"]), candidates.last());
        assert_eq!(row["kept"]["description"], "A picture.");
    }
    // One question for the choice, two for the descriptions; the first of those is the same for all
    // targets of an image.
    let images: HashSet<&str> = choices
        .iter()
        .map(|row| row["kept"]["file"].as_str().unwrap())
        .collect();
    let least = 2 * choices.len() + images.len();
    assert!(
        (least..=3 * choices.len()).contains(&asked),
        "{asked}, {least}"
    );
    // A program that changes nothing: the gate lets nothing through, and says why.
    let idle = [
        &more[..4],
        &[
            "--edit-command",
            "sh -c 'cp $1 $2' sh {image} {output} {mask}",
        ],
    ]
    .concat();
    let nothing = build(folder.path(), &out, &idle);
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.stderr.contains("quality kept nothing"),
        "{}",
        nothing.stderr
    );
    assert_eq!(server.seen().len(), asked, "answers are asked for once");
}
