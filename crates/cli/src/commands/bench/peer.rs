//! The peer: `peer.py` (TRL: `peer_grpo.py`) in the user's Python, with the same shapes and the same names.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::suite::Suite;

const PYTORCH: &str = include_str!("peer.py");
const TRL: &str = include_str!("peer_grpo.py");

/// What the script prints.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Libraries and versions.
    pub version: String,
    /// Numbers by row name.
    pub rows: BTreeMap<String, f64>,
}

/// Runs the peer's side of a suite; `folder` is where percept's side left what it takes.
///
/// # Errors
/// Why there is no peer, in words.
pub fn ask(
    python: &str,
    suite: Suite,
    threads: usize,
    repeat: usize,
    folder: &Path,
) -> Result<Answer, String> {
    let mut command = Command::new(python);
    command.args(["-", &threads.to_string(), &repeat.to_string()]);
    let script = match suite {
        Suite::Grpo => {
            command.arg(folder);
            TRL
        }
        _ => {
            command.arg(suite.name());
            PYTORCH
        }
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{python}: {e}"))?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    // A script that ends early closes the pipe; its standard error says why.
    let _ = input.write_all(script.as_bytes());
    drop(input);
    let done = child.wait_with_output().map_err(|e| e.to_string())?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        let last = text.lines().last().unwrap_or("it said nothing");
        return Err(format!("{python}: {last}"));
    }
    let text = String::from_utf8_lossy(&done.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|e| format!("{python}: {e}"))
}
