//! Running the built binary on folders of a test's own.
#![allow(dead_code, reason = "each test file uses its part of this module")]

pub mod blocks;
pub mod coco;
pub mod files;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Nothing that these tests do takes so long; what does hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// The smallest model, and data of the built-in task.
pub const TINY: &str = r#"
[trainer]
experiment_name = "run"
output_dir = "runs"
[model.tiny]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 64
[model.tiny.vision]
depth = 1
hidden_size = 32
num_heads = 2
intermediate_size = 64
fullatt_block_indexes = [0]
[data.digit_sum]
sft = { len = 64, seed = 1 }
rl = { len = 64, seed = 2 }
val = { split = "test", len = 2, seed = 3 }
[rollout]
max_completion_length = 4
num_generations = 2
"#;

/// One supervised step.
pub const SFT: &str = "[sft]\nsteps = 1\ntrain_batch_size = 2\n";

/// One step of reinforcement learning.
pub const RL: &str = "[rl]\nsteps = 1\ntrain_batch_size = 2\nppo_mini_batch_size = 2\n";

/// What a process did.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Panics unless all went well.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

/// The binary with arguments.
pub fn percept<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_percept"));
    command.args(args);
    command
}

/// Runs a command to its end; one that hangs is ended and has no exit code.
pub fn run(mut command: Command) -> Outcome {
    command.stdin(Stdio::null());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let stderr = child.stderr.take().unwrap();
    let [stdout, stderr] = [drain(stdout), drain(stderr)];
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let [stdout, stderr] = [stdout, stderr].map(|thread| thread.join().unwrap());
    Outcome {
        code: status.code(),
        stdout,
        stderr,
    }
}

fn drain(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs the binary with arguments in a folder.
pub fn run_in(folder: &Path, args: &[&str]) -> Outcome {
    let mut command = percept(args);
    command.current_dir(folder);
    run(command)
}

/// Starts a command that works in numbered steps in `out`, and kills it once step `number` has begun: its log or its rows
/// are there.
pub fn kill_in_step(mut command: Command, out: &Path, number: usize, step: &str) {
    let begun = |ending: &str| {
        let name = format!("{number:02}-{step}{ending}");
        out.join("steps").join(name).exists()
    };
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = silent.spawn().unwrap();
    let start = Instant::now();
    while !begun(".log.jsonl") && !begun(".jsonl") && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < LIMIT, "{step} never begins");
        std::thread::sleep(Duration::from_micros(200));
    }
    let _ = child.kill();
    child.wait().unwrap();
}

/// A run of one supervised step that all tests read: its folder, and its checkpoint as a model.
pub fn base() -> &'static Path {
    static BASE: OnceLock<TempDir> = OnceLock::new();
    BASE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("recipe.toml"), format!("{TINY}{SFT}"));
        run_in(folder.path(), &["train", "recipe.toml", "--quiet"]).ok();
        folder
    })
    .path()
}

/// The run that [`base`] made.
pub fn base_run() -> PathBuf {
    base().join("runs/run")
}

/// The model that [`base`] made.
pub fn base_model() -> PathBuf {
    base_run().join("checkpoints/step-000001")
}

/// Writes a file, and its folder where needed.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a folder, with its content.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push((path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

/// Collects the cases of a test, so that one run shows all that fail.
#[derive(Default)]
pub struct Cases {
    count: usize,
    failed: Vec<String>,
}

impl Cases {
    /// The command must end by itself with an exit code other than 0, say all of `words` on
    /// standard error, begin with `error:`, and not have panicked.
    pub fn refused(&mut self, name: &str, outcome: &Outcome, words: &[&str]) {
        let mut wrong = Vec::new();
        if !matches!(outcome.code, Some(1 | 2)) {
            wrong.push(format!("exit code {:?}", outcome.code));
        }
        if !outcome.stderr.contains("error: ") {
            wrong.push("no error".into());
        }
        wrong.extend(
            words
                .iter()
                .filter(|word| !outcome.stderr.contains(**word))
                .map(|word| format!("no word of {word:?}")),
        );
        self.close(name, outcome, wrong);
    }

    /// The command must succeed without a panic.
    pub fn accepted(&mut self, name: &str, outcome: &Outcome) {
        let wrong = match outcome.code {
            Some(0) => Vec::new(),
            code => vec![format!("exit code {code:?}")],
        };
        self.close(name, outcome, wrong);
    }

    /// Something that must hold.
    pub fn holds(&mut self, name: &str, what: &str, holds: bool) {
        if !holds {
            self.failed.push(format!("{name}: not so: {what}"));
        }
    }

    fn close(&mut self, name: &str, outcome: &Outcome, mut wrong: Vec<String>) {
        self.count += 1;
        if outcome.stderr.contains("panicked") || outcome.stdout.contains("panicked") {
            wrong.push("panic".into());
        }
        if !wrong.is_empty() {
            let text: String = outcome.stderr.chars().take(2000).collect();
            self.failed
                .push(format!("{name}: {}\n{text}", wrong.join(", ")));
        }
    }

    /// Panics when a case failed.
    pub fn finish(self) {
        println!("{} cases", self.count);
        let failed = self.failed.len();
        assert!(
            failed == 0,
            "{failed} failures\n\n{}",
            self.failed.join("\n---\n")
        );
    }
}
