//! Run folders, checkpoints, full disks.

use super::*;

/// A run folder of a test's own: a copy of the run that [`base`] made.
fn run_copy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    copy(base(), folder.path());
    let run = folder.path().join("runs/run");
    (folder, run)
}

#[test]
fn run_folders() {
    let mut cases = Cases::default();
    let (folder, run_path) = run_copy();
    let before = snapshot(&run_path);
    let unchanged = |cases: &mut Cases, name: &str, path: &Path, before: &[(PathBuf, Vec<u8>)]| {
        let same = snapshot(path)
            .iter()
            .map(|(p, b)| (p, b))
            .eq(before.iter().map(|(p, b)| (p, b)));
        cases.holds(name, "the run is as it was", same);
    };
    cases.refused(
        "exists",
        &train(folder.path(), &[]),
        &["already holds a run", "--resume"],
    );
    unchanged(&mut cases, "exists", &run_path, &before);
    let bad = train(
        folder.path(),
        &["--overwrite", "--set", "model.tiny.hidden_size=33"],
    );
    cases.refused("overwrite by a bad recipe", &bad, &["hidden_size"]);
    unchanged(&mut cases, "overwrite by a bad recipe", &run_path, &before);
    let other = train(
        folder.path(),
        &[
            "--resume",
            "--set",
            "model.tiny.hidden_size=64",
            "--set",
            "model.lora.r=4",
        ],
    );
    cases.refused("resume with another model", &other, &["step-000001"]);
    unchanged(&mut cases, "resume with another model", &run_path, &before);
    cases.refused(
        "both",
        &train(folder.path(), &["--resume", "--overwrite"]),
        &["--overwrite"],
    );
    cases.accepted(
        "resume of a finished run",
        &train(folder.path(), &["--resume"]),
    );
    cases.accepted("overwrite", &train(folder.path(), &["--overwrite"]));

    let foreign = folder.path().join("runs/notes");
    write(&foreign.join("thesis.tex"), "years of work");
    for flag in ["--resume", "--overwrite", "--quiet"] {
        let outcome = train(
            folder.path(),
            &[flag, "--set", "trainer.experiment_name=notes"],
        );
        cases.refused(&format!("{flag} of a foreign folder"), &outcome, &["notes"]);
        cases.holds(
            flag,
            "the file is there",
            foreign.join("thesis.tex").exists(),
        );
    }
    write(&folder.path().join("file"), "");
    for (place, word) in [
        ("file", "file"),
        ("file/deeper", "file"),
        ("/proc/percept", "/proc/percept"),
    ] {
        let outcome = train(
            folder.path(),
            &["--set", &format!("trainer.output_dir={place}")],
        );
        cases.refused(&format!("output_dir={place}"), &outcome, &[word, "help"]);
    }
    for args in [
        ["view", "/no/such/run"],
        ["view", foreign.to_str().unwrap()],
    ] {
        cases.refused(&args.join(" "), &run(percept(&args)), &["not a run folder"]);
    }
    cases.finish();
}

/// A name, a file of the checkpoint, and what happens to it.
type Damage<'a> = (&'a str, &'a str, &'a dyn Fn(&Path));

#[test]
fn damaged_checkpoints() {
    let mut cases = Cases::default();
    let damages: [Damage<'_>; 10] = [
        ("state.json cut", "percept/state.json", &|p| {
            truncate(p, 0.5)
        }),
        ("state.json empty", "percept/state.json", &|p| {
            truncate(p, 0.0)
        }),
        (
            "state.json of another version",
            "percept/state.json",
            &|p| edit_json(p, |s| s["format"] = json!(99)),
        ),
        ("state.json without a field", "percept/state.json", &|p| {
            edit_json(p, |s| drop(s.as_object_mut().unwrap().remove("stages")));
        }),
        ("optimizer cut", "percept/optimizer.safetensors", &|p| {
            truncate(p, 0.5)
        }),
        ("optimizer empty", "percept/optimizer.safetensors", &|p| {
            truncate(p, 0.0)
        }),
        ("optimizer missing", "percept/optimizer.safetensors", &|p| {
            remove(p)
        }),
        (
            "optimizer of another model",
            "percept/optimizer.safetensors",
            &|p| {
                edit_safetensors(p, |h, _| {
                    h["exp_avg.lm_head.weight"]["shape"] = json!([32, 96])
                });
            },
        ),
        ("optimizer NaN", "percept/optimizer.safetensors", &|p| {
            poison(p, "exp_avg.lm_head.weight", f32::NAN)
        }),
        ("weights cut", "model.safetensors", &|p| truncate(p, 0.7)),
    ];
    for (name, file, damage) in damages {
        let (folder, run_path) = run_copy();
        damage(&run_path.join("checkpoints/step-000001").join(file));
        let before = snapshot(&run_path);
        let outcome = train(folder.path(), &["--resume", "--set", "sft.steps=2"]);
        let word = file.rsplit('/').next().unwrap();
        cases.refused(name, &outcome, &["step-000001", word]);
        cases.holds(name, "nothing changed", snapshot(&run_path) == before);
    }
    let (folder, run_path) = run_copy();
    let metrics = run_path.join("metrics.jsonl");
    let line = fs::read_to_string(&metrics).unwrap();
    write(&metrics, format!("rubbish\n{line}"));
    let outcome = train(folder.path(), &["--resume", "--set", "sft.steps=2"]);
    cases.refused("metrics.jsonl", &outcome, &["metrics.jsonl:1"]);
    cases.holds(
        "metrics.jsonl",
        "the checkpoint is there",
        run_path
            .join("checkpoints/step-000001/config.json")
            .exists(),
    );
    cases.finish();
}

/// A disk that takes no more: a file may not grow beyond a limit.
#[test]
fn full_disk() {
    let mut cases = Cases::default();
    let (folder, run_path) = run_copy();
    let checkpoint = run_path.join("checkpoints/step-000001");
    let before = snapshot(&checkpoint);
    // In blocks of 512 or 1024 bytes, as the shell has it; the model has more than 100 KiB.
    let script = format!(
        "trap '' XFSZ; ulimit -f 40; exec {} train recipe.toml --resume --set sft.steps=3",
        env!("CARGO_BIN_EXE_percept")
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path());
    let outcome = run(command);
    cases.refused("checkpoint", &outcome, &["safetensors", "help"]);
    cases.holds(
        "checkpoint",
        "the one before is whole",
        snapshot(&checkpoint) == before,
    );
    let others = fs::read_dir(run_path.join("checkpoints")).unwrap().count();
    cases.holds("checkpoint", "nothing half is left", others == 1);
    cases.accepted("generate", &generate(&checkpoint, &["hi"]));
    cases.accepted(
        "go on",
        &train(folder.path(), &["--resume", "--set", "sft.steps=3"]),
    );
    cases.finish();
}
