//! `percept data visual-pairs`.

use super::*;
use crate::common::coco::images;

const ANNOTATED: &[&str] = &["--annotations", "instances.json"];

fn row(picture: &str, answer: &str) -> String {
    json!({"id": picture, "prompt": "What is there?", "images": [picture], "response": answer})
        .to_string()
}

/// Six pictures with annotations, and rows about them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 6, "png");
    let rows: Vec<String> = (0..6)
        .map(|at| {
            row(
                &format!("images/{at:04}.png"),
                "A person, some skis and a bear.",
            )
        })
        .collect();
    write(&folder.path().join("rows.jsonl"), rows.join("\n"));
    folder
}

fn make(folder: &Path, more: &[&str]) -> Outcome {
    let out = folder.join("out");
    let _ = fs::remove_dir_all(&out);
    again(folder, more)
}

fn again(folder: &Path, more: &[&str]) -> Outcome {
    let mut args = vec![
        "data",
        "visual-pairs",
        "--data",
        "rows.jsonl",
        "--out",
        "out",
    ];
    args.extend(more);
    run_in(folder, &args)
}

fn only(folder: &Path, row: &str) {
    write(&folder.join("rows.jsonl"), format!("{row}\n"));
}

#[test]
fn visual_pairs_options_and_files() {
    let mut cases = Cases::default();
    let place = folder();
    let folder = place.path();
    cases.accepted("good", &make(folder, ANNOTATED));
    for (name, more, words) in [
        ("no tagger", &[][..], &["no tagger", "--annotations"][..]),
        (
            "no detector",
            &["--tag-command", "x {image}"],
            &["no detector"],
        ),
        (
            "tagger without annotations",
            &["--tagger", "annotations", "--tag-command", "x {image}"],
            &["--tagger annotations needs --annotations"],
        ),
        (
            "segmenter without command",
            &["--annotations", "instances.json", "--segmenter", "command"],
            &["--segment-command"],
        ),
        (
            "no annotation file",
            &["--annotations", "none.json"],
            &["none.json"],
        ),
        (
            "rows as annotations",
            &["--annotations", "rows.jsonl"],
            &["rows.jsonl"],
        ),
        (
            "threshold",
            &["--annotations", "instances.json", "--box-threshold", "2"],
            &["--box-threshold", "0 to 1"],
        ),
        (
            "areas",
            &["--annotations", "instances.json", "--min-area", "0.8"],
            &["--min-area"],
        ),
        (
            "nan",
            &["--annotations", "instances.json", "--max-area", "nan"],
            &["--max-area"],
        ),
        (
            "dilate",
            &["--annotations", "instances.json", "--dilate", "1e9"],
            &["--dilate"],
        ),
        (
            "no candidates",
            &["--annotations", "instances.json", "--max-candidates", "0"],
            &["--max-candidates"],
        ),
        (
            "workers",
            &["--annotations", "instances.json", "--workers", "0"],
            &["--workers"],
        ),
        (
            "noise step",
            &["--method", "diffusion_noise", "--noise-step", "1000"],
            &["--noise-step", "999"],
        ),
        (
            "crop scale",
            &["--method", "crop", "--crop-scale", "0.5", "0.1"],
            &["--crop-scale"],
        ),
        (
            "step of another method",
            &["--method", "crop", "--from", "tags"],
            &["tags", "pictures"],
        ),
        (
            "no words",
            &["--annotations", "instances.json", "--words", "empty.txt"],
            &["--words", "class per line"],
        ),
        (
            "template",
            &[
                "--annotations",
                "instances.json",
                "--segment-command",
                "sam {image}",
            ],
            &["{boxes}"],
        ),
    ] {
        write(&folder.join("empty.txt"), "# nothing\n");
        cases.refused(name, &make(folder, more), words);
    }
    for (name, text) in [
        ("annotations: half a file", "{\"images\": [{\"id\": 1"),
        (
            "annotations: captions",
            "{\"images\": [], \"annotations\": []}",
        ),
        ("annotations: a list", "[]"),
        (
            "annotations: an object of no class",
            "{\"images\": [{\"id\": 1, \"file_name\": \"a\", \"width\": 2, \"height\": 2}], \"categories\": [], \
          \"annotations\": [{\"id\": 1, \"image_id\": 1, \"category_id\": 7, \"bbox\": [0, 0, 1, 1]}]}",
        ),
    ] {
        write(&folder.join("other.json"), text);
        let outcome = make(folder, &["--annotations", "other.json"]);
        cases.refused(name, &outcome, &["other.json"]);
    }
    cases.finish();
}

#[test]
fn visual_pairs_rows_and_pictures() {
    let mut cases = Cases::default();
    let place = folder();
    let folder = place.path();
    let good = row("images/0001.png", "Some skis.");
    // One good row beside the bad one: the bad one is counted, and the good one is made.
    for (name, bad, words) in [
        (
            "missing picture",
            row("images/none.png", "Skis."),
            "a picture cannot be read",
        ),
        (
            "corrupt picture",
            row("images/corrupt.png", "Skis."),
            "a picture cannot be read",
        ),
        (
            "picture outside",
            row("/etc/hostname", "Skis."),
            "a picture cannot be read",
        ),
        (
            "no answer",
            json!({"prompt": "What?", "images": ["images/0001.png"]}).to_string(),
            "no chosen answer",
        ),
        (
            "empty answer",
            row("images/0001.png", "  "),
            "no chosen answer",
        ),
        (
            "answer without objects",
            row("images/0001.png", "It is late."),
            "names nothing that was found",
        ),
        (
            "not annotated",
            row("images/copy.png", "Skis."),
            "the annotations do not have this picture",
        ),
        (
            "another size",
            row("images/0002.png", "Skis."),
            "not the size in its annotation",
        ),
        (
            "no picture",
            json!({"prompt": "What?", "response": "Skis."}).to_string(),
            "no picture",
        ),
    ] {
        fs::copy(
            folder.join("images/0001.png"),
            folder.join("images/copy.png"),
        )
        .unwrap();
        write(
            &folder.join("images/corrupt.png"),
            "\u{89}PNG\r\n\u{1a}\nnonsense",
        );
        image::RgbImage::new(9, 9)
            .save(folder.join("images/0002.png"))
            .unwrap();
        write(&folder.join("rows.jsonl"), format!("{bad}\n{good}\n"));
        let outcome = make(folder, ANNOTATED);
        assert!(
            outcome.stdout.contains(words),
            "{name}: {}{}",
            outcome.stdout,
            outcome.stderr
        );
        assert!(
            outcome.stdout.contains("1 pairs with a rejected picture"),
            "{name}: {}",
            outcome.stdout
        );
        assert!(
            matches!(outcome.code, Some(0 | 1)) && !outcome.stderr.contains("panicked"),
            "{name}: {outcome:?}"
        );
    }
    only(folder, &row("images/0001.png", "It is late."));
    let none = make(folder, ANNOTATED);
    cases.refused("nothing at all", &none, &["no row got a rejected picture"]);
    only(folder, &row("images/0001.png", "Skis."));
    let whole = make(
        folder,
        &["--annotations", "instances.json", "--max-area", "0.01"],
    );
    cases.refused("all removals too large", &whole, &["removed area above"]);
    let small = make(
        folder,
        &["--annotations", "instances.json", "--min-area", "0.69"],
    );
    cases.refused("all removals too small", &small, &["removed area below"]);
    cases.accepted("of one row no other", &make(folder, &["--method", "blank"]));
    let other = make(folder, &["--method", "other_row"]);
    cases.refused(
        "no other row",
        &other,
        &["no other row has another picture"],
    );
    cases.finish();
}

#[test]
fn visual_pairs_commands() {
    let mut cases = Cases::default();
    let place = folder();
    let folder = place.path();
    only(folder, &row("images/0001.png", "Some skis."));
    let with = |tag: &str, detect: &str, more: &[&str]| {
        let mut args = vec!["--tag-command", tag, "--detect-command", detect];
        args.extend(more);
        make(folder, &args)
    };
    write(&folder.join("tag.sh"), "echo '[\"skis\"]'\n");
    write(
        &folder.join("box.sh"),
        "echo '[{\"tag\": \"skis\", \"bbox\": [30, 60, 40, 50], \"score\": 0.9}]'\n",
    );
    let (tag, found) = ("sh tag.sh {image}", "sh box.sh {image} {tags}");
    cases.accepted("good", &with(tag, found, &[]));
    for (name, tag, found, more, words) in [
        (
            "tagger dies",
            "sh -c 'echo no GPU >&2; exit 3' {image}",
            found,
            &[][..],
            &["tagger failed", "no GPU", "images/0001.png"][..],
        ),
        (
            "tagger hangs",
            "sh -c 'sleep 60' {image}",
            found,
            &["--timeout", "0.3"],
            &["killed"],
        ),
        (
            "tagger is not there",
            "/no/such {image}",
            found,
            &[],
            &["cannot be started"],
        ),
        (
            "tagger says nonsense",
            "echo hello {image}",
            found,
            &[],
            &["hello", "JSON list"],
        ),
        (
            "no tags",
            "echo [] # {image}",
            found,
            &[],
            &["tagger failed"],
        ),
        (
            "detector says nonsense",
            tag,
            "echo {image} {tags}",
            &[],
            &["detector failed", "JSON list"],
        ),
        (
            "segmenter gives too few",
            tag,
            found,
            &["--segment-command", "sh empty.sh {image} {boxes}"],
            &["segmenter failed", "1 COCO segmentations"],
        ),
        (
            "remover writes nothing",
            tag,
            found,
            &["--edit-command", "true {image} {mask} {output}"],
            &["remover failed", "was to write"],
        ),
        (
            "scorer says infinity",
            tag,
            found,
            &["--score-command", "sh inf.sh {image} {texts}"],
            &["scorer failed", "finite"],
        ),
    ] {
        write(&folder.join("empty.sh"), "echo '[]'\n");
        write(&folder.join("inf.sh"), "echo '[1e999]'\n");
        cases.refused(name, &with(tag, found, more), words);
    }
    // What the programs say of the picture is a reason to leave the row out.
    for (name, said, words) in [
        ("nothing found", "[]", "nothing was detected"),
        (
            "outside",
            "[{\"tag\": \"skis\", \"bbox\": [900, 900, 40, 50], \"score\": 0.9}]",
            "outside the picture",
        ),
        (
            "negative",
            "[{\"tag\": \"skis\", \"bbox\": [90, 90, -40, -50], \"score\": 0.9}]",
            "outside the picture",
        ),
        (
            "unsure",
            "[{\"tag\": \"skis\", \"bbox\": [30, 60, 40, 50], \"score\": 0.2}]",
            "--box-threshold",
        ),
        (
            "unsure of the name",
            "[{\"tag\": \"skis\", \"bbox\": [30, 60, 40, 50], \"score\": 0.9, \"text_score\": 0.1}]",
            "--text-threshold",
        ),
        (
            "another tag",
            "[{\"tag\": \"cat\", \"bbox\": [30, 60, 40, 50], \"score\": 0.9}]",
            "of other tags",
        ),
    ] {
        write(&folder.join("other.sh"), format!("echo '{said}'\n"));
        let outcome = with(tag, "sh other.sh {image} {tags}", &[]);
        cases.refused(
            name,
            &outcome,
            &["no row got a rejected picture", "nothing was detected"],
        );
        let steps = fs::read_to_string(folder.join("out/steps/03-boxes.jsonl")).unwrap();
        assert!(steps.contains(words), "{name}: {steps}");
    }
    let empty = "sh -c 'echo [[]]' sh {image} {boxes}";
    let outcome = with(tag, found, &["--segment-command", empty]);
    cases.refused("empty masks", &outcome, &["an empty mask"]);
    let skipped = with("false {image}", found, &["--skip-failures"]);
    cases.refused(
        "skipped",
        &skipped,
        &["no row got a rejected picture", "the tagger failed"],
    );
    cases.finish();
}

#[test]
fn visual_pairs_folders() {
    let mut cases = Cases::default();
    let place = folder();
    let folder = place.path();
    cases.accepted("good", &make(folder, ANNOTATED));
    let other = again(folder, &["--method", "crop"]);
    cases.refused(
        "another method's folder",
        &other,
        &["--method adavip", "another --out"],
    );
    let before = snapshot(&folder.join("out"));
    let _ = fs::remove_dir_all(folder.join("out"));
    write(&folder.join("out/index.html"), "mine");
    cases.refused("other files", &again(folder, ANNOTATED), &["other files"]);
    assert_eq!(
        fs::read_to_string(folder.join("out/index.html")).unwrap(),
        "mine"
    );
    fs::remove_dir_all(folder.join("out")).unwrap();
    write(&folder.join("out"), "a file");
    cases.refused("a file", &again(folder, ANNOTATED), &["out"]);
    fs::remove_file(folder.join("out")).unwrap();
    // Other settings: what depends on them is made again, as if from the start.
    make(
        folder,
        &["--annotations", "instances.json", "--dilate", "3"],
    )
    .ok();
    again(folder, ANNOTATED).ok();
    assert_eq!(before, snapshot(&folder.join("out")));
    // A picture that changed after it was read.
    fs::copy(
        folder.join("images/0003.png"),
        folder.join("images/0001.png"),
    )
    .unwrap();
    let changed = again(
        folder,
        &["--annotations", "instances.json", "--dilate", "4"],
    );
    cases.refused(
        "a picture changed",
        &changed,
        &["not the one that was read before", "--from rows"],
    );
    let read = again(
        folder,
        &[
            "--annotations",
            "instances.json",
            "--dilate",
            "4",
            "--from",
            "rows",
        ],
    );
    cases.accepted("read again", &read);
    let rows = folder.join("out/steps/02-tags.jsonl");
    let text = fs::read_to_string(&rows).unwrap();
    write(&rows, text.replace("tag", "gat"));
    cases.accepted(
        "a step that was touched",
        &again(
            folder,
            &["--annotations", "instances.json", "--dilate", "4"],
        ),
    );
    cases.finish();
}
