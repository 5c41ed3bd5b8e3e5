//! `percept reward react` and the benchmarks of video reward models, with a server as the judge and with files of scores.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::Path;

use common::{Outcome, base_model, run_in, write};
use image::{Rgb, RgbImage};
use mock::{Act, Mock, Seen};
use percept_data::Media;
use serde_json::{Value, json};

/// Ten seconds at 4 frames a second; frames whose green is 255 are broken.
fn clip(folder: &Path, broken: std::ops::Range<u8>) {
    fs::create_dir_all(folder).unwrap();
    for at in 0..40 {
        let green = if broken.contains(&at) { 255 } else { 0 };
        let picture = RgbImage::from_pixel(8, 8, Rgb([at, green, 0]));
        picture.save(folder.join(format!("{at}.png"))).unwrap();
    }
}

/// Sees what is broken; says nothing that can be read of frame 0.
fn eyes() -> Mock {
    let answer = |seen: &Seen| {
        let parts = seen.body["messages"][0]["content"].as_array().unwrap();
        let url = parts.iter().find_map(|p| p["image_url"]["url"].as_str());
        let image = Media::from_base64(url.unwrap()).unwrap().decode().unwrap();
        match image.get_pixel(0, 0).0 {
            [0, ..] => "I see nothing.".to_owned(),
            [at, 255, _] => format!(
                "<think>arm {at} is doubled</think><answer>{{\"labels\":[\"extra limbs\"],\"score\":1.5}}</answer>"
            ),
            _ => "<think>fine</think><answer>{\"labels\":[],\"score\":4.5}</answer>".to_owned(),
        }
    };
    Mock::start(move |seen, _| Act::Reply(answer(seen)))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn json_lines(outcome: &Outcome) -> Vec<Value> {
    let lines = outcome.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn clips_are_scored_once_and_the_worst_frames_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    clip(&at.join("clean"), 0..0);
    clip(&at.join("broken"), 18..24);
    let model = eyes();
    let args = [
        "reward",
        "react",
        "--endpoint",
        &model.url,
        "--api-model",
        "eyes",
        "--frames",
        "clean",
        "broken",
        "--frame-rate",
        "4",
        "--fps",
        "1",
        "--prompt",
        "a dog <b>runs</b>",
        "--output",
        "out",
    ];
    let first = run_in(at, &args).ok();
    assert!(first.stdout.contains("extra limbs ×"), "{}", first.stdout);
    let records = lines(&at.join("out/clips.jsonl"));
    assert_eq!(records.len(), 2);
    let (clean, broken) = (&records[0], &records[1]);
    assert_eq!(clean["video"], "clean");
    assert!(broken["score"].as_f64() < clean["score"].as_f64());
    // 1 frame a second of 10 seconds, over both rounds.
    assert_eq!(broken["frames"].as_array().unwrap().len(), 10);
    let sheet = fs::read_to_string(at.join("out/sheet.html")).unwrap();
    let place = |text: &str| sheet.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(place("· broken") < place("· clean"));
    assert!(sheet.contains("is doubled") && sheet.contains("&lt;b&gt;runs"));
    assert!(!sheet.contains("src=\"http"));
    // Nothing is asked twice.
    let asked = model.seen().len();
    let again = run_in(at, &args).ok();
    assert_eq!((model.seen().len(), again.stdout), (asked, first.stdout));
    // Another sampling is another judgement: it does not go on in the same file.
    let other = run_in(at, &[&args[..], &["--uniform"]].concat());
    assert_eq!(other.code, Some(1));
    assert!(
        other.stderr.contains("another sampling"),
        "{}",
        other.stderr
    );
}

#[test]
fn what_cannot_be_judged_is_said_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    clip(&at.join("clean"), 0..0);
    fs::create_dir(at.join("empty")).unwrap();
    let rows = "path,prompt\nclean,a dog\nempty,a cat\nmissing.mp4,a bird\n";
    write(&at.join("clips.csv"), rows);
    let model = eyes();
    let server = [
        "reward",
        "react",
        "--endpoint",
        &model.url,
        "--api-model",
        "eyes",
    ];
    let outcome = run_in(
        at,
        &[&server[..], &["--prompts", "clips.csv", "--json"]].concat(),
    );
    assert_eq!(outcome.code, Some(1));
    let records = json_lines(&outcome);
    assert_eq!((records.len(), &records[0]["prompt"]), (1, &json!("a dog")));
    for said in ["empty", "missing.mp4", "2 of 3 clips could not be judged"] {
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    let twice = run_in(at, &[&server[..], &["clean", "clean"]].concat());
    assert!(
        twice.stderr.contains("clean is named twice"),
        "{}",
        twice.stderr
    );
    let nobody = run_in(at, &["reward", "react", "clean"]);
    assert!(nobody.stderr.contains("--model DIR"), "{}", nobody.stderr);
}

/// A model that has learned nothing says nothing that can be read, which is no score and no failure.
#[test]
fn a_local_model_judges_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    clip(&at.join("clip"), 0..0);
    let model = base_model().display().to_string();
    let outcome = run_in(
        at,
        &[
            "reward",
            "react",
            "--model",
            &model,
            "--frames",
            "clip",
            "--frame-rate",
            "4",
            "--fps",
            "0.4",
            "--max-tokens",
            "4",
        ],
    )
    .ok();
    let record = &json_lines(&outcome)[0];
    assert_eq!(
        (&record["score"], &record["unreadable"]),
        (&Value::Null, &json!(4))
    );
    assert!(
        outcome.stderr.contains("4 of 4 answers could not be read"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn reward_models_stand_side_by_side_on_videogen_rewardbench() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    clip(&at.join("v/clean"), 0..0);
    clip(&at.join("v/broken"), 5..35);
    let rows = "path_A,path_B,A_model,B_model,prompt,VQ,MQ,TA,Overall\n\
        v/clean,v/broken,m,n,a dog,A,same,B,A\n\
        v/broken,v/clean,n,m,a dog,B,same,A,B\n";
    write(&at.join("bench.csv"), rows);
    let other =
        "path,reward_VQ,reward_MQ,reward_TA,reward_ALL\nv/clean,1,0,1,1\n./v/broken,2,0,2,2\n";
    write(&at.join("other.csv"), other);
    let model = eyes();
    let outcome = run_in(
        at,
        &[
            "eval",
            "videogen-rewardbench",
            "--data",
            "bench.csv",
            "--scores",
            "other=other.csv",
            "--endpoint",
            &model.url,
            "--api-model",
            "eyes",
            "--fps",
            "1",
            "--output",
            "out",
            "--json",
        ],
    )
    .ok();
    let found = json_lines(&outcome);
    let of = |name: &str, dimension: &str| {
        let wanted = |o: &&Value| o["reward_model"] == name && o["dimension"] == dimension;
        found.iter().find(wanted).unwrap()["accuracy"].clone()
    };
    assert_eq!(of("other", "Overall")["without_ties"]["mean"], 0.0);
    assert_eq!(of("other", "MQ")["with_ties"]["mean"], 1.0);
    assert_eq!(of("react", "Overall")["without_ties"]["mean"], 1.0);
    assert_eq!(of("react", "TA")["without_ties"]["mean"], 0.0);
    let records = lines(&at.join("out/records.jsonl"));
    assert_eq!(records[0]["scores"]["other"]["VQ"], json!([1.0, 2.0]));
    assert_eq!(records[0]["preferences"]["MQ"], "same");
    assert!(at.join("out/report.html").is_file() && at.join("out/clips.jsonl").is_file());
    // The judgements of a run are scores of the next.
    let table = run_in(
        at,
        &[
            "eval",
            "videogen-rewardbench",
            "--data",
            "bench.csv",
            "--scores",
            "react=out/clips.jsonl",
        ],
    )
    .ok();
    assert!(table.stdout.contains("react"), "{}", table.stdout);
    let missing = run_in(at, &["eval", "videogen-rewardbench", "--data", "bench.csv"]);
    assert!(
        missing.stderr.contains("--scores NAME=FILE"),
        "{}",
        missing.stderr
    );
}

#[test]
fn frames_are_judged_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    clip(&at.join("c"), 10..20);
    let row = |frame: usize, side: &str, labels: &[&str]| {
        json!({"images": [format!("c/{frame}.png")], "prompt": "What is broken?", "labels": labels, "video": "c.mp4",
            "pair_id": "1", "side": side, "preference": "B"})
    };
    let rows = [row(12, "A", &["extra limbs"]), row(30, "B", &[])];
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    write(&at.join("frames.jsonl"), rows.join("\n"));
    write(
        &at.join("blind.jsonl"),
        "{\"image\":\"c/12.png\",\"score\":5,\"labels\":[]}\n{\"image\":\"c/30.png\",\"score\":5,\"labels\":[]}\n",
    );
    let model = eyes();
    let outcome = run_in(
        at,
        &[
            "eval",
            "react-bench",
            "--frames",
            "frames.jsonl",
            "--scores",
            "blind=blind.jsonl",
            "--endpoint",
            &model.url,
            "--api-model",
            "eyes",
            "--output",
            "out",
            "--json",
        ],
    )
    .ok();
    assert_eq!(model.seen()[0].question(), "What is broken?");
    let found = json_lines(&outcome);
    let f1 = |at: usize, class: &str| found[at]["scores"][class]["f1"]["mean"].as_f64();
    assert_eq!(
        (f1(0, "distorted"), f1(0, "normal")),
        (Some(0.0), Some(2.0 / 3.0))
    );
    assert_eq!(
        (f1(1, "distorted"), f1(1, "normal")),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(found[1]["calibration"]["auroc"], 1.0);
    // The pair: B is better, and scores more.
    assert_eq!(found[3]["accuracy"]["without_ties"]["mean"], 1.0);
    let asked = model.seen().len();
    assert_eq!(asked, 2);
    let wrong = run_in(
        at,
        &[
            "eval",
            "react-bench",
            "--frames",
            "blind.jsonl",
            "--scores",
            "x=blind.jsonl",
        ],
    );
    assert!(wrong.stderr.contains("blind.jsonl:1"), "{}", wrong.stderr);
}
