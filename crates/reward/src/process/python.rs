//! `python`: a reward function of TRL or verl, from its file.

use std::ffi::OsString;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options::{column, max_restarts, seconds, timeout_s};
use super::session::{Plan, Session};
use super::verifier::ProcessVerifier;
use crate::{Error, Kind, Verifier};

/// Speaks the protocol and calls the function.
const SHIM: &str = include_str!("reward_shim.py");

/// How a function of TRL's signature gets the prompt and the completion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletionFormat {
    /// As TRL does: as messages where the row's prompt is a list of messages, else as strings. A function that fails
    /// on the one form and works on the other gets the other from then on, and a line on the terminal says so.
    #[default]
    Auto,
    /// As strings.
    Text,
    /// As lists of one message, `[{"role": "assistant", "content": …}]`: what TRL passes for
    /// conversational data and what its own reward functions expect.
    Messages,
}

impl CompletionFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Messages => "messages",
        }
    }
}

/// A Python reward function, run in a subprocess with a deadline.
///
/// Its parameters tell what it is:
///
/// * TRL: `def reward_func(completions, **kwargs) -> list[float | None]`. `prompts`, `completion_ids`, `ground_truth`,
///   `answer`, `solution` and the row's columns are passed as lists. Functions that TRL brings
///   (`from trl.rewards import accuracy_reward`) and ms-swift's classes with `__call__(self, completions, …)` are the same.
/// * verl: `def compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float | dict`, or its batched
///   form with `solution_strs`.
/// * EasyR1: `def compute_score(reward_inputs)` or `(reward_input)`, which return dicts with `overall`.
///
/// `None` means, as in TRL, that this function does not judge this response: the other functions alone do, and where
/// there is none the response is ungraded, never 0. An exception leaves the response ungraded, with its message, file
/// and line as the reason and the traceback on the terminal. What it prints goes to standard error, whose last lines
/// are shown, each once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonFunction {
    /// The Python file, relative to the recipe; on the command line, to the working directory.
    pub path: PathBuf,
    /// Name of the function. Default: the only one in the file with a known signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The interpreter.
    #[serde(default = "python")]
    pub python: PathBuf,
    /// Seconds for one call.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Seconds for starting Python and importing the file.
    #[serde(default = "startup_timeout_s")]
    pub startup_timeout_s: f64,
    /// Call once with the whole batch instead of once per answer. Off by default: one answer that
    /// hangs or raises then costs no other its grade. Switch it on for functions that compare the
    /// responses of a batch or judge many at once faster.
    #[serde(default)]
    pub batch: bool,
    /// Call once with the responses to all rows that share a value of this column, for example `pair_id`: rewards that
    /// compare two pictures. Such rows are drawn in one step. The function gets `group_index` (which of the rows) and
    /// `rollout_index` (which response to it) as two more lists (TRL) or fields (verl's `extra_infos`, EasyR1's
    /// `reward_inputs`); it has to take lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// How prompts and completions are passed to a function of TRL's signature.
    #[serde(default)]
    pub completion_format: CompletionFormat,
    /// Failures in a row after which the rest of a batch is left ungraded.
    #[serde(default = "max_restarts")]
    pub max_restarts: usize,
}

fn python() -> PathBuf {
    "python3".into()
}

/// Importing torch or sympy takes seconds on a busy machine.
fn startup_timeout_s() -> f64 {
    60.0
}

impl PythonFunction {
    fn command(&self) -> Vec<OsString> {
        vec![
            self.python.clone().into(),
            "-c".into(),
            SHIM.into(),
            self.path.clone().into(),
            self.function.clone().unwrap_or_default().into(),
            match (&self.group_by, self.batch) {
                (Some(_), _) => "group",
                (None, true) => "batch",
                (None, false) => "single",
            }
            .into(),
            self.completion_format.name().into(),
        ]
    }
}

impl Kind for PythonFunction {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        let plan = Plan {
            command: self.command(),
            cwd: None,
            timeout: seconds("timeout_s", self.timeout_s)?,
            startup: Some(seconds("startup_timeout_s", self.startup_timeout_s)?),
            max_restarts: self.max_restarts,
        };
        let help = "run the file with the interpreter in `python` and see what it says";
        Ok(Box::new(ProcessVerifier {
            name: "python",
            group_by: column(&self.group_by)?,
            session: Session::start(plan, help)?,
        }))
    }

    // Foreign code is given all of them.
    fn reads(&self, _column: &str) -> bool {
        true
    }
}
