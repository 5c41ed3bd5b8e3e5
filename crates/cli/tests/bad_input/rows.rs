//! Data files.

use super::*;

/// `percept train` on files, with two columns that the built-in task has too.
fn train_on(folder: &Path, stage: &str, extra: &str) -> Outcome {
    let model = base_model();
    let recipe = format!(
        "[trainer]\nexperiment_name = 'run'\noutput_dir = 'runs'\n[model]\npath = '{}'\n\
         [data]\ntrain_files = ['rows.jsonl']\n{extra}\n[rollout]\nmax_completion_length = 4\n\
         num_generations = 2\n{stage}",
        model.display()
    );
    write(&folder.join("recipe.toml"), recipe);
    run_in(folder, &["train", "recipe.toml", "--overwrite"])
}

const ROW: &str = r#"{"prompt": "1+1?", "answer": "2", "response": "2"}"#;

#[test]
fn rows() {
    let mut cases = Cases::default();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = folder.join("rows.jsonl");
    let missing = train_on(folder, RL, "");
    cases.refused("no file", &missing, &["rows.jsonl"]);
    write(&rows, format!("{ROW}\n{ROW}\n"));
    cases.accepted("good rows", &train_on(folder, RL, ""));
    cases.accepted("good rows, sft", &train_on(folder, SFT, ""));
    for (name, extra) in [
        ("columns.prompt", "[data.columns]\nprompt = 'no_such'"),
        ("columns.images", "[data.columns]\nimages = 'no_such'"),
        ("columns.answer", "[data.columns]\nanswer = 'no_such'"),
    ] {
        cases.refused(name, &train_on(folder, RL, extra), &["no_such"]);
    }
    cases.refused(
        "prompts too long",
        &train_on(folder, RL, "max_prompt_length = 3"),
        &["rows.jsonl:", "tokens"],
    );
    cases.refused(
        "no pixels",
        &train_on(folder, RL, "min_pixels = 500\nmax_pixels = 100"),
        &["min_pixels"],
    );
    cases.refused(
        "no val file",
        &train_on(folder, RL, "val_files = ['other.jsonl']"),
        &["other.jsonl"],
    );
    let contents: [(&str, &[u8], &str); 17] = [
        ("empty", b"", "rows.jsonl"),
        ("blank", b"\n\n  \n", "rows.jsonl"),
        ("half a row", br#"{"prompt": "1+1"#, "rows.jsonl:1"),
        ("a number", b"7\n", "rows.jsonl:1"),
        ("a list", b"[1, 2]\n", "rows.jsonl:1"),
        (
            "not UTF-8",
            b"{\"prompt\": \"\xff\xfe\", \"answer\": \"2\"}\n",
            "rows.jsonl:1",
        ),
        ("zeros", &[0; 100], "rows.jsonl:1"),
        (
            "no prompt",
            br#"{"question_text": "1+1", "answer": "2"}"#,
            "prompt",
        ),
        (
            "prompt a number",
            br#"{"prompt": 5, "answer": "2"}"#,
            "prompt",
        ),
        (
            "prompt null",
            br#"{"prompt": null, "answer": "2"}"#,
            "prompt",
        ),
        (
            "no messages",
            br#"{"messages": [], "answer": "2"}"#,
            "rows.jsonl:1",
        ),
        (
            "unknown role",
            br#"{"messages": [{"role": "judge", "content": "x"}], "answer": "2"}"#,
            "judge",
        ),
        (
            "content a number",
            br#"{"messages": [{"role": "user", "content": 3}], "answer": "2"}"#,
            "content",
        ),
        (
            "images a number",
            br#"{"prompt": "<image> 1+1", "images": 7, "answer": "2"}"#,
            "images",
        ),
        (
            "image missing",
            br#"{"prompt": "<image> 1+1", "images": ["no.png"], "answer": "2"}"#,
            "no.png",
        ),
        (
            "more <image> than images",
            br#"{"prompt": "<image><image> 1", "images": [], "answer": "2"}"#,
            "image",
        ),
        (
            "a placeholder",
            br#"{"prompt": "<|image_pad|> 1+1", "answer": "2"}"#,
            "<|image_pad|>",
        ),
    ];
    for (name, content, word) in contents {
        write(&rows, content);
        cases.refused(name, &train_on(folder, RL, ""), &[word]);
        if !content.is_empty() {
            // The same before training, where all rows are looked at.
            let check = run_in(folder, &["data", "check", "recipe.toml"]);
            let said = format!("{}{}", check.stdout, check.stderr);
            cases.holds(
                &format!("{name}, data check"),
                &said,
                check.code == Some(1) && said.contains(word),
            );
        }
    }
    write(&rows, format!("{ROW}\n"));
    remove(&rows);
    fs::create_dir(&rows).unwrap();
    cases.refused("a folder", &train_on(folder, RL, ""), &["rows.jsonl"]);
    fs::remove_dir(&rows).unwrap();
    // A bad row among good ones is counted.
    write(
        &rows,
        format!("{ROW}\n{{\"prompt\": \"<|image_pad|>\", \"answer\": \"2\"}}\n{ROW}\n"),
    );
    cases.accepted(
        "a bad row among good ones",
        &train_on(folder, RL, "shuffle = false"),
    );
    let metrics = fs::read_to_string(folder.join("runs/run/metrics.jsonl")).unwrap();
    cases.holds(
        "a bad row among good ones",
        &metrics,
        metrics.contains("\"data/skipped_rows\":1.0"),
    );
    cases.finish();
}

#[test]
fn other_formats() {
    let mut cases = Cases::default();
    let folder = tempfile::tempdir().unwrap();
    let model = base_model();
    let eval = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        write(&path, content);
        run(percept(&[
            "eval",
            "--max-tokens",
            "2",
            "--model",
            model.to_str().unwrap(),
            "--data",
            path.to_str().unwrap(),
        ]))
    };
    cases.accepted(
        "good.json",
        &eval("good.json", format!("[{ROW}]").as_bytes()),
    );
    let contents: [(&str, &[u8]); 10] = [
        ("empty.json", b""),
        ("none.json", b"[]"),
        (
            "half.json",
            br#"[{"prompt": "1+1?", "answer": "2"}, {"prompt"#,
        ),
        ("comma.json", br#"[{"prompt": "1"},, {"prompt": "2"}]"#),
        ("deep.json", &[b'['; 100_000]),
        ("empty.parquet", b""),
        ("text.parquet", b"PAR1 this is no parquet file PAR1"),
        ("footer.parquet", b"PAR1\xff\xff\xff\x7fPAR1"),
        ("rows.csv", b"prompt,answer\n\"1+1,2\n"),
        ("rows", b"1+1"),
    ];
    for (name, content) in contents {
        cases.refused(name, &eval(name, content), &[name]);
    }
    // A real Parquet file: rollouts of a run.
    let made = folder.path().join("rl");
    write(&made.join("recipe.toml"), format!("{TINY}{RL}"));
    run_in(&made, &["train", "recipe.toml", "--quiet"]).ok();
    let bytes = fs::read(made.join("runs/run/rollouts/step-000001.parquet")).unwrap();
    for (name, keep) in [("cut.parquet", 0.5), ("start.parquet", 0.01)] {
        cases.refused(
            name,
            &eval(name, &bytes[..(bytes.len() as f64 * keep) as usize]),
            &[name],
        );
    }
    let mut holed = bytes.clone();
    let end = holed.len() * 3 / 4;
    holed[8..end].fill(0xa5);
    cases.refused(
        "holed.parquet",
        &eval("holed.parquet", &holed),
        &["holed.parquet"],
    );
    // A megabyte as answer, and as prompt.
    let long = "9".repeat(1 << 20);
    let answer = json!({"prompt": "1+1?", "answer": long}).to_string();
    cases.accepted("a long answer", &eval("answer.jsonl", answer.as_bytes()));
    let nested = json!({"prompt": "1+1?", "answer": "(".repeat(1 << 20)}).to_string();
    cases.accepted("a deep answer", &eval("deep.jsonl", nested.as_bytes()));
    let unknown = run(percept(&[
        "eval",
        "--model",
        model.to_str().unwrap(),
        "--digit-sum",
        "2",
        "--reward",
        "charm",
    ]));
    cases.refused("unknown verifier", &unknown, &["charm", "math"]);
    let no_answer = eval("open.jsonl", br#"{"prompt": "1+1?"}"#);
    cases.holds(
        "no answer",
        &no_answer.stdout,
        no_answer.stdout.contains("ungraded") || no_answer.code != Some(0),
    );
    cases.finish();
}
