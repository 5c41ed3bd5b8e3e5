//! What `percept data check` finds in preference pairs.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use percept_data::{
    CheckReport, Checks, ColumnMap, FileDataset, PairChecks, PairTokens, ProblemKind, RowTokens,
    Sample, check_rows,
};
use serde_json::{Value, json};

fn picture(folder: &Path, name: &str, size: (u32, u32), grey: u8) {
    let image = image::RgbImage::from_pixel(size.0, size.1, image::Rgb([grey; 3]));
    image.save(folder.join(name)).unwrap();
}

/// Words of the answers; a prompt has its words and 10 for each picture.
fn words(sample: &Sample) -> Result<PairTokens, String> {
    let count = |text: String| text.split_whitespace().count();
    let pair = sample.preference.as_ref().unwrap();
    let chosen = count(pair.chosen[0].plain_text());
    let rejected: Vec<usize> = pair
        .rejected
        .iter()
        .map(|turns| count(turns[0].plain_text()))
        .collect();
    let prompt = prompt(sample)?.prompt;
    Ok(PairTokens {
        chosen,
        pass: prompt + chosen + rejected.iter().sum::<usize>(),
        rejected,
    })
}

fn prompt(sample: &Sample) -> Result<RowTokens, String> {
    let image = 10 * sample.images.len();
    let words = sample.messages[0].plain_text().split_whitespace().count();
    Ok(RowTokens {
        prompt: words + image,
        image,
    })
}

fn check(rows: &[Value], max_length: usize, learns: bool) -> CheckReport {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", (40, 30), 10);
    picture(folder.path(), "b.png", (40, 30), 90);
    picture(folder.path(), "wide.png", (80, 30), 90);
    // The pixels of a.png in another file format.
    picture(folder.path(), "a.bmp", (40, 30), 10);
    std::fs::write(
        folder.path().join("broken.png"),
        b"\x89PNG\r\n\x1a\nrubbish",
    )
    .unwrap();
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let path: PathBuf = folder.path().join("x.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let data = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    let pairs = PairChecks {
        tokens: &words,
        max_length,
        limit: "dpo.ppo_max_token_len",
    };
    let checks = Checks {
        tokens: &prompt,
        pairs: learns.then_some(pairs),
        used: &|_| true,
        ..Checks::default()
    };
    check_rows(&data, &checks, &mut |_, _| {})
}

fn pair(prompt: &str, chosen: &str, rejected: &str, pictures: Value) -> Value {
    let mut row = json!({"prompt": prompt, "chosen": chosen, "images": ["a.png"]});
    if !rejected.is_empty() {
        row["rejected"] = rejected.into();
    }
    if !pictures.is_null() {
        row["rejected_images"] = pictures;
    }
    row
}

fn found(report: &CheckReport) -> Vec<(String, ProblemKind, Option<String>)> {
    let problems = report.problems.iter();
    problems
        .map(|p| (p.id.clone(), p.kind, p.field.clone()))
        .collect()
}

#[test]
fn each_fault_of_a_pair_is_found() {
    let rows = [
        pair("1", "A dog.", "A cat.", Value::Null),
        pair("2", "A dog.", "A dog.", Value::Null),
        pair("3", "A dog.", " A  dog.\n", Value::Null),
        pair("4", "A dog.", "", json!(["b.png"])),
        pair("5", "A dog.", "", json!(["a.png"])),
        pair("6", "A dog.", "", json!(["a.bmp"])),
        pair("7", "A dog.", "A cat.", json!(["wide.png"])),
        pair("8", "A dog.", "A cat.", json!(["none.png"])),
        pair("9", "A dog.", "A cat.", json!(["broken.png"])),
        pair("10", "A dog.", "A cat.", json!([["b.png"], ["a.png"]])),
        pair("11", "A dog that sits on a mat.", "A cat.", Value::Null),
        // Again, and the other way round.
        pair("1", "A dog.", "A cat.", Value::Null),
        pair("1", "A cat.", "A dog.", Value::Null),
        pair("1", "A dog.", "A cow.", Value::Null),
        json!({"prompt": "12", "response": "A dog."}),
    ];
    let report = check(&rows, 18, true);
    let at = |row: usize, kind, field: Option<&str>| {
        (format!("x.jsonl:{row}"), kind, field.map(str::to_owned))
    };
    assert_eq!(
        found(&report),
        [
            at(2, ProblemKind::Pair, Some("rejected")),
            at(3, ProblemKind::Pair, Some("rejected")),
            at(5, ProblemKind::Pair, Some("rejected_images")),
            at(6, ProblemKind::Pair, Some("rejected_images")),
            at(7, ProblemKind::PictureSize, Some("rejected_images[0]")),
            at(8, ProblemKind::Image, Some("rejected_images[0]")),
            at(9, ProblemKind::Image, Some("rejected_images[0]")),
            at(10, ProblemKind::Pair, Some("rejected_images[1]")),
            at(11, ProblemKind::Overlong, None),
            at(12, ProblemKind::Duplicate, None),
            at(13, ProblemKind::Contradiction, None),
            at(15, ProblemKind::Target, None),
        ],
        "{:?}",
        report.problems
    );
    let say = |row: usize| {
        let id = format!("x.jsonl:{row}");
        report
            .problems
            .iter()
            .find(|p| p.id == id)
            .unwrap()
            .message
            .as_str()
    };
    assert!(say(2).contains("are equal") && say(3).contains("white space"));
    assert!(say(7).contains("80 × 30") && say(7).contains("40 × 30"));
    assert!(say(11).contains("20 tokens") && say(11).contains("dpo.ppo_max_token_len"));
    assert!(say(13).contains("x.jsonl:1"), "{}", say(13));
    assert!(!ProblemKind::PictureSize.is_error() && ProblemKind::Pair.is_error());
    let pairs = &report.pairs;
    assert_eq!(
        (pairs.language, pairs.visual, pairs.both, pairs.all()),
        (7, 3, 4, 14)
    );
}

#[test]
fn a_limit_inside_the_prompt_is_said_to_cut_its_pictures() {
    let report = check(&[pair("1", "A dog.", "A cat.", Value::Null)], 8, true);
    let message = &report.problems[0].message;
    assert!(message.contains("where the pictures stand"), "{message}");
}

#[test]
fn chosen_answers_that_are_much_longer_are_said() {
    let rows: Vec<Value> = (0..6)
        .map(|at| {
            pair(
                &at.to_string(),
                "A dog that sits there.",
                "A cat.",
                Value::Null,
            )
        })
        .collect();
    let report = check(&rows, usize::MAX, true);
    assert_eq!(report.pairs.mean_tokens(), Some((5.0, 2.0)));
    let said = report.pairs.length_bias().unwrap();
    assert!(
        said.contains("2.5 times") && said.contains("6 of 6 pairs"),
        "{said}"
    );
    let even = check(
        &[pair("1", "A dog.", "A cat.", Value::Null)],
        usize::MAX,
        true,
    );
    assert_eq!(even.pairs.length_bias(), None);
    let visual = check(
        &[pair("1", "A dog.", "", json!(["b.png"]))],
        usize::MAX,
        true,
    );
    assert_eq!((visual.pairs.mean_tokens(), visual.pairs.visual), (None, 1));
}

/// A recipe without a preference stage loses nothing by what is wrong with pairs.
#[test]
fn pairs_are_checked_where_something_learns_from_them() {
    let rows = [
        pair("1", "A dog.", "A dog.", Value::Null),
        pair("2", "A dog.", "", json!(["none.png"])),
    ];
    let report = check(&rows, 1, false);
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.pairs.all(), 0);
}
