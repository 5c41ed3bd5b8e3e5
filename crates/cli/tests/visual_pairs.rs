//! `percept data visual-pairs` on drawn pictures: killed at every step and at any moment it makes the same files, the
//! chosen picture has lost what the answer names, and nothing else in it changes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use common::coco::{CLASSES, colour, images};
use common::{Outcome, kill_in_step, percept, run, snapshot, write};
use percept_data::Media;
use serde_json::{Value, json};

const STEPS: [&str; 7] = [
    "rows",
    "tags",
    "boxes",
    "masks",
    "candidates",
    "choice",
    "pairs",
];

/// A row for each picture, whose answer names the class of its last disc; every fifth names nothing that is there.
fn rows(folder: &Path, count: u32) -> PathBuf {
    let class = |at: u32| CLASSES[at as usize % CLASSES.len()];
    let line = |image: u32| {
        let named = match image % 5 {
            4 => "zebra",
            _ => class(image + 1 + image % 2),
        };
        json!({"id": format!("row-{image}"), "prompt": "What is there?", "images": [format!("images/{image:04}.png")],
            "messages": [{"role": "user", "content": "What is there? <image>"},
                {"role": "assistant", "content": format!("There is a {named}. The sky is calm.")}],
            "named": named})
    };
    let text: String = (0..count).map(|at| format!("{}\n", line(at))).collect();
    let path = folder.join("rows.jsonl");
    write(&path, text.replace("\"prompt\":\"What is there?\",", ""));
    path
}

fn arguments(folder: &Path, out: &Path, more: &[&str]) -> Vec<String> {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let start = ["data", "visual-pairs", "--data"].map(String::from);
    let mut words: Vec<String> = start.into_iter().collect();
    words.push(text(folder.join("rows.jsonl")));
    words.extend(["--out".into(), text(out.to_owned())]);
    words.extend(more.iter().map(|word| word.to_string()));
    words
}

fn make(folder: &Path, out: &Path, more: &[&str]) -> Outcome {
    run(percept(&arguments(folder, out, more)))
}

fn annotations(folder: &Path) -> String {
    folder.join("instances.json").to_str().unwrap().to_owned()
}

/// The files of a folder by their paths in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = snapshot(folder).into_iter();
    all.map(|(path, bytes)| (path.strip_prefix(folder).unwrap().to_owned(), bytes))
        .collect()
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names =
        |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((path, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{} differs", path.display());
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_build_killed_at_every_step_makes_the_files_of_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    images(folder, 24, "png");
    rows(folder, 24);
    let annotated = annotations(folder);
    let with = ["--annotations", &annotated];
    let whole = folder.join("whole");
    make(folder, &whole, &with).ok();
    let killed = folder.join("killed");
    for (number, step) in STEPS.iter().enumerate() {
        let command = percept(&arguments(folder, &killed, &with));
        kill_in_step(command, &killed, number + 1, step);
    }
    // What a kill in the middle of a write leaves, wherever the kills above came.
    for place in ["", "steps", "candidates", "images"] {
        write(&killed.join(place).join(".half.tmp-1-0"), "half");
    }
    write(&killed.join("steps").join("06-choice.log.jsonl"), "{}");
    make(folder, &killed, &with).ok();
    assert_same(&whole, &killed);
    let again = make(folder, &killed, &["--annotations", &annotated, "--json"]).ok();
    let done = again.stdout.lines().take(STEPS.len());
    let done = done.map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(
        done.into_iter().all(|step| step["done_now"] == false),
        "{}",
        again.stdout
    );
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    images(folder, 16, "png");
    rows(folder, 16);
    let annotated = annotations(folder);
    for with in [
        vec!["--annotations", annotated.as_str()],
        vec!["--method", "diffusion_noise"],
    ] {
        let (whole, killed) = (folder.join("whole"), folder.join("killed"));
        let start = Instant::now();
        make(folder, &whole, &with).ok();
        let length = start.elapsed();
        for kill in 1..=10_u32 {
            let mut child = percept(&arguments(folder, &killed, &with))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Moments that are spread over the run and repeat in no step.
            std::thread::sleep(length * (kill * 37 % 101) / 101);
            let _ = child.kill();
            child.wait().unwrap();
        }
        make(folder, &killed, &with).ok();
        assert_same(&whole, &killed);
        fs::remove_dir_all(whole).unwrap();
        fs::remove_dir_all(killed).unwrap();
    }
}

/// Pixels of the real and the rejected picture of a row.
fn both(out: &Path, row: &Value) -> [image::RgbImage; 2] {
    ["images", "rejected_images"].map(|column| {
        let name = row[column][0].as_str().unwrap();
        Media::from_path(out.join(name)).decode().unwrap()
    })
}

#[test]
fn the_chosen_picture_has_lost_what_the_answer_names_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    images(folder, 20, "png");
    rows(folder, 20);
    let out = folder.join("pairs");
    let annotated = annotations(folder);
    let said = make(folder, &out, &["--annotations", &annotated]).ok();
    let pairs = lines(&out.join("pairs.jsonl"));
    assert_eq!(pairs.len(), 16);
    for row in &pairs {
        let named = row["named"].as_str().unwrap();
        assert_eq!(row["visual_pair"]["removed"], named);
        assert_eq!(row["prompt"][0]["role"], "user");
        assert_eq!(row["chosen"][0]["role"], "assistant");
        let class = CLASSES.iter().position(|c| *c == named).unwrap();
        let count = |image: &image::RgbImage, [red, green]: [u8; 2]| {
            image
                .pixels()
                .filter(|p| p.0[0] == red && p.0[1] == green && p.0[2] % 6 == 0)
                .count()
        };
        let [real, rejected] = both(&out, row);
        assert!(count(&real, colour(class)) > 1000);
        assert!(count(&rejected, colour(class)) < 20, "{named}");
        // The other discs are there.
        let others = (0..CLASSES.len()).filter(|other| *other != class);
        for other in others.filter(|other| count(&real, colour(*other)) > 1000) {
            assert_eq!(count(&real, colour(other)), count(&rejected, colour(other)));
        }
    }
    // Rows that name nothing are counted, and say why.
    assert!(
        said.stdout
            .contains("4  the answer names nothing that was found"),
        "{}",
        said.stdout
    );
    let summary: Value =
        serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["counts"]["visual_pairs"], 16);
    assert_eq!(summary["counts"]["dropped"], 4);
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert_eq!(page.matches("class=\"chosen\"").count(), 16);
    assert!(page.contains("row-3") && page.contains("without a rejected picture"));
}

#[test]
fn rivals_depend_on_seed_and_id_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    images(folder, 6, "png");
    rows(folder, 6);
    let all = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    for method in ["crop", "diffusion_noise", "mask", "blank", "other_row"] {
        let pictures = |out: &Path| {
            let pairs = lines(&out.join("pairs.jsonl"));
            let mut of_row: Vec<_> = (pairs.iter())
                .map(|row| (row["id"].as_str().unwrap().to_owned(), both(out, row)))
                .collect();
            of_row.sort_by(|a, b| a.0.cmp(&b.0));
            of_row
        };
        let out = folder.join(method);
        make(folder, &out, &["--method", method]).ok();
        let first = pictures(&out);
        assert_eq!(first.len(), 6);
        for (id, [real, rejected]) in &first {
            assert_ne!(real, rejected, "{method} {id}");
            assert_eq!(real.dimensions(), rejected.dimensions());
        }
        // The same rows in another order; another row's picture is another one then.
        let turned: Vec<&str> = all.lines().rev().collect();
        write(&folder.join("rows.jsonl"), turned.join("\n"));
        let other = folder.join(format!("{method}-turned"));
        make(folder, &other, &["--method", method]).ok();
        if method != "other_row" {
            assert_eq!(first, pictures(&other), "{method}");
        }
        let seeded = folder.join(format!("{method}-seeded"));
        make(folder, &seeded, &["--method", method, "--seed", "1"]).ok();
        assert_eq!(first == pictures(&seeded), method == "blank", "{method}");
        write(&folder.join("rows.jsonl"), &all);
    }
}
