//! `percept halbench build` with everything that can be put in the place of its built-in parts: servers
//! that choose, edit and re-detect, programs that edit and score, a local model, JPEG files.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::coco::{CLASSES, arguments, build, colour, images, images_of, rows};
use common::{TINY, percept, run, run_in, snapshot, write};
use image::{Rgb, RgbImage, RgbaImage};
use mock::{Act, Mock, Seen};
use percept_data::Media;
use serde_json::Value;

const KEY: &str = "sk-never-to-be-seen";

/// The class that the prompt of an edit names.
fn named(text: &str) -> Option<usize> {
    let words = || text.split(|c: char| !c.is_alphanumeric());
    CLASSES
        .iter()
        .position(|class| words().any(|word| word == *class))
}

/// Chooses the last candidate, describes by its name, and says what it sees where it is asked.
fn looker(seen: &Seen, attempt: usize) -> Act {
    let question = seen.question();
    if attempt == 0 && question.len().is_multiple_of(3) {
        return Act::Status(429, "retry-after: 0\r\n", "{}".into());
    }
    if let Some((_, names)) = question.rsplit_once("in the scene? ") {
        let names = names.split('.').next().unwrap();
        return Act::Reply(format!("**{}**", names.rsplit(", ").next().unwrap()));
    }
    if let Some((_, new)) = question.split_once("only what is marked were ") {
        return Act::Reply(new.split(" instead").next().unwrap().into());
    }
    match question.strip_suffix(" in the image? Answer yes or no.") {
        Some(asked) if shows(&shown(seen), named(asked).unwrap()) => Act::Reply("Yes.".into()),
        Some(_) => Act::Reply("No, there is not.".into()),
        None => Act::Reply("A picture.".into()),
    }
}

/// The picture of a question.
fn shown(seen: &Seen) -> RgbImage {
    let content = seen.body["messages"][0]["content"].as_array().unwrap();
    let url = content
        .iter()
        .find_map(|part| part["image_url"]["url"].as_str());
    let (_, text) = url.unwrap().split_once("base64,").unwrap();
    Media::from_base64(text).unwrap().decode().unwrap()
}

/// Whether the middle has the colour of a class, on average: single pixels of a JPEG say little.
fn shows(image: &RgbImage, class: usize) -> bool {
    let (width, height) = (image.width() / 3, image.height() / 3);
    let middle = image::imageops::crop_imm(image, width, height, width, height).to_image();
    let mean = |i: usize| {
        middle
            .pixels()
            .map(|pixel| f64::from(pixel.0[i]))
            .sum::<f64>()
            / f64::from(middle.width() * middle.height())
    };
    (0..2).all(|i| (mean(i) - f64::from(colour(class)[i])).abs() < 8.0)
}

/// Requests, and how often they came.
type Forms = Mutex<Vec<(Vec<u8>, usize)>>;

/// A server with the API of images/edits that paints the colour of the class in the prompt, but grey in
/// every fourth edit, and limits the first attempt at every third.
struct Painter {
    url: String,
    seen: Arc<Forms>,
}

impl Painter {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let seen: Arc<Forms> = Arc::default();
        let store = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&store);
                std::thread::spawn(move || paint(&stream, &store));
            }
        });
        Self { url, seen }
    }
}

fn paint(mut stream: &TcpStream, store: &Forms) -> Option<()> {
    let body = body(stream)?;
    let (number, times) = {
        let mut store = store.lock().unwrap();
        let known = store.iter().position(|(seen, _)| *seen == body);
        let number = known.unwrap_or_else(|| {
            store.push((body.clone(), 0));
            store.len() - 1
        });
        store[number].1 += 1;
        (number, store[number].1)
    };
    let (status, answer) = match number % 3 == 0 && times == 1 {
        true => ("429 Wait\r\nretry-after: 0", "{}".to_owned()),
        false => ("200 OK", painted(&body, number % 4 == 3)),
    };
    let length = answer.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{head}{answer}").as_bytes()).ok()
}

fn body(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" || line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// A field of a form.
fn field<'a>(body: &'a [u8], name: &str) -> &'a [u8] {
    let find = |text: &[u8], part: &[u8]| text.windows(part.len()).position(|w| w == part).unwrap();
    let boundary = &body[..find(body, b"\r\n")];
    let from = &body[find(body, format!("name=\"{name}\"").as_bytes())..];
    let from = &from[find(from, b"\r\n\r\n") + 4..];
    &from[..find(from, boundary) - 2]
}

fn painted(body: &[u8], grey: bool) -> String {
    let open = |name: &str| image::load_from_memory(field(body, name)).unwrap();
    let (mut image, mask): (RgbImage, RgbaImage) =
        (open("image").into_rgb8(), open("mask").into_rgba8());
    let class = named(std::str::from_utf8(field(body, "prompt")).unwrap()).unwrap();
    let [red, green] = colour(class);
    for (x, y, pixel) in mask.enumerate_pixels() {
        if pixel.0[3] == 0 {
            let paint = if grey {
                [225, 225, 225]
            } else {
                [red, green, 9]
            };
            image.put_pixel(x, y, Rgb(paint));
        }
    }
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let text = STANDARD.encode(png.into_inner());
    format!(r#"{{"data": [{{"b64_json": "{text}"}}]}}"#)
}

#[test]
fn servers_choose_edit_and_re_detect_and_what_is_not_seen_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    images(at, 16, "jpg");
    let (chat, painter) = (Mock::start(looker), Painter::start());
    let out = at.join("bench");
    let build = |more: &[&str]| {
        let asked = [
            ["--endpoint", &chat.url, "--api-model", "chooser"],
            ["--edit-endpoint", &painter.url, "--edit-model", "painter"],
            ["--detect-endpoint", &chat.url, "--detect-api-model", "eyes"],
            ["--image-format", "jpeg", "--retry-pause", "0.002"],
        ];
        let mut arguments = arguments(at, &out);
        arguments.extend(
            asked
                .concat()
                .into_iter()
                .chain(more.iter().copied())
                .map(String::from),
        );
        let mut command = percept(&arguments);
        command.env("PERCEPT_API_KEY", KEY);
        run(command).ok()
    };
    let first = build(&[]);
    assert!(
        first.stderr.contains("re-detection: ") && !first.stderr.contains("(0 repeated)"),
        "{}",
        first.stderr
    );

    // Every edit that was painted grey is dropped, with the reason, and no other.
    let edits = painter.seen.lock().unwrap().len();
    let mut dropped: HashMap<String, usize> = HashMap::new();
    let quality = rows(&out, "05-quality.jsonl");
    assert!(quality.len() == edits && edits >= 16, "{edits}");
    for row in &quality {
        match row["dropped"].as_str() {
            Some(reason) => *dropped.entry(reason.into()).or_default() += 1,
            None => assert_eq!(
                row["kept"]["checks"]["scores"],
                Value::from([0.0, 1.0, 1.0, 0.0].to_vec())
            ),
        }
    }
    let grey = HashMap::from([(
        "the new class is not detected after the edit".into(),
        edits / 4,
    )]);
    assert_eq!(dropped, grey);

    // JPEG: the originals as they were, the edits anew.
    let questions: Vec<Value> =
        serde_json::from_slice(&fs::read(out.join("qa.json")).unwrap()).unwrap();
    for question in &questions {
        let name = question["image_name"].as_str().unwrap();
        let bytes = fs::read(out.join("images").join(name)).unwrap();
        assert!(
            name.ends_with(".jpg") && bytes.starts_with(&[0xff, 0xd8]),
            "{name}"
        );
        if question["tag"] == "origin" {
            assert_eq!(bytes, fs::read(at.join("images").join(name)).unwrap());
        }
    }
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    for said in [
        "re-detection",
        "\"eyes\"",
        "\"painter\"",
        "\"chooser\"",
        "measured too well",
    ] {
        assert!(card.contains(said), "{said}: {card}");
    }
    assert!(!card.contains("none was given"), "{card}");

    // Again, from the gate on: nothing is asked twice.
    let asked = || {
        let painted: usize = painter.seen.lock().unwrap().iter().map(|s| s.1).sum();
        (chat.seen().len(), painted)
    };
    let before = asked();
    let files = snapshot(&out);
    build(&["--from", "quality"]);
    assert_eq!(files, snapshot(&out));
    assert_eq!(before, asked());
    assert!(
        chat.seen()
            .iter()
            .all(|seen| seen.authorization == Some(format!("Bearer {KEY}")))
    );
    for (path, bytes) in snapshot(at) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(KEY), "the key is in {}", path.display());
    }
}

#[test]
fn a_program_scores_and_edits_without_gain_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    images(at, 8, "png");
    let out = at.join("bench");
    // One colour is a shorter PNG than the picture: to this program, more of the new class.
    RgbImage::from_pixel(240, 180, Rgb([250, 250, 250]))
        .save(at.join("flat.png"))
        .unwrap();
    let flat = at.join("flat.png");
    let edit = format!(
        "sh -c 'cp {} $1' sh {{output}} {{image}} {{mask}}",
        flat.display()
    );
    write(
        &at.join("scorer.sh"),
        "test $(grep -c . $2) = 2 || exit 3\nn=$(wc -c < $1)\necho [-$((n)), $((n))]\n",
    );
    let scorer = at.join("scorer.sh").display().to_string();
    let score = format!("sh {scorer} {{image}} {{classes}}");
    build(
        at,
        &out,
        &["--edit-command", &edit, "--score-command", &score],
    )
    .ok();
    let kept = rows(&out, "05-quality.jsonl");
    assert!(kept.len() >= 8);
    for row in &kept {
        let score = |at: usize| row["kept"]["checks"]["scores"][at].as_f64().unwrap();
        assert!(
            score(1) > score(0) && score(3) < score(2) && score(0) == -score(2),
            "{row}"
        );
    }
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(
        card.contains("| new class | -") && card.contains("scorer.sh"),
        "{card}"
    );

    let blind = "sh -c 'echo [1, 1]' sh {image} {classes}";
    let nothing = build(
        at,
        &out,
        &["--edit-command", &edit, "--score-command", blind],
    );
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing
            .stderr
            .contains("the score of the new class rose by"),
        "{}",
        nothing.stderr
    );
    let both = [
        "--score-command",
        blind,
        "--detect-endpoint",
        "http://x",
        "--detect-api-model",
        "m",
    ];
    assert_eq!(build(at, &out, &both).code, Some(2), "one gate at a time");
}

#[test]
fn a_local_model_chooses_and_re_detects() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // Names that it can say are among them.
    let names = [
        "person", "ring", "cross", "bear", "cat", "star", "cup", "triangle", "bar", "car",
        "diamond", "bed", "square", "disc",
    ];
    images_of(&names, at, 6, "png");
    let data = [
        "data", "export", "--task", "scenes", "--rows", "4", "--output", "data",
    ];
    run_in(at, &data).ok();
    let recipe = TINY.replace("[model.tiny]", "[model.tiny]\ncorpus = \"scenes\"");
    let (before, after) = recipe.split_once("[data.digit_sum]").unwrap();
    let after = &after[after.find("[rollout]").unwrap()..];
    let recipe = format!(
        "{before}[data]\ntrain_files = [\"data/data.jsonl\"]\n{after}[sft]\nsteps = 1\ntrain_batch_size = 2\n"
    );
    write(&at.join("recipe.toml"), recipe);
    run_in(at, &["train", "recipe.toml"]).ok();
    let model = checkpoint(&at.join("runs/run/checkpoints"));
    let out = at.join("bench");
    // It has seen four pictures and says words of its task: a shape now and then, seldom yes or no.
    let done = build(at, &out, &["--model", &model, "--detect-model", &model]);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    let choices = rows(&out, "03-choice.jsonl");
    let chosen: Vec<&Value> = choices
        .iter()
        .filter(|row| row["kept"].is_object())
        .collect();
    assert!(!chosen.is_empty(), "{choices:?}");
    for row in &chosen {
        assert_eq!(row["kept"]["chosen_by"], "model");
        let said = row["kept"]["reason"].as_str().unwrap();
        assert!(
            said.contains(row["kept"]["counterfactual"].as_str().unwrap()),
            "{row}"
        );
    }
    for row in rows(&out, "05-quality.jsonl") {
        let reason = row["dropped"].as_str().unwrap_or("detected");
        let known = [
            "not scored: neither yes nor no to",
            "detected",
            "contextual object covers",
        ];
        assert!(known.iter().any(|known| reason.contains(known)), "{row}");
    }
    let asked = rows(&out, "detections.journal.jsonl");
    assert!(!asked.is_empty());
    // Its answers are in files.
    build(
        at,
        &out,
        &[
            "--model",
            &model,
            "--detect-model",
            &model,
            "--from",
            "choice",
        ],
    );
    assert_eq!(rows(&out, "detections.journal.jsonl"), asked);
}

/// The only checkpoint of a run.
fn checkpoint(folder: &Path) -> String {
    let mut entries = fs::read_dir(folder).unwrap();
    entries
        .next()
        .unwrap()
        .unwrap()
        .path()
        .to_str()
        .unwrap()
        .into()
}
