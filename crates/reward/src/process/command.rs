//! `command`: any program that speaks the JSON-lines protocol.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session::{Plan, Session};
use crate::{Answer, Error, Kind, Verdict, Verifier};

/// A program that judges: one JSON request a line on its standard input, one JSON verdict a line on
/// its standard output, in the same order.
///
/// ```text
/// {"id":7,"prompt":"…","completion":"…","ground_truth":"17","finished":true,"n_tokens":21,"meta":{…},"more":false}
/// {"id":7,"score":1.0}     or     {"id":7,"score":null,"reason":"no answer key"}
/// ```
///
/// It runs in its own process group. Where it is late, ends or writes anything else, the answer in
/// question is ungraded with the end of its standard error as reason, and it is started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalCommand {
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    /// Folder in which it runs, from which relative paths among its arguments start. Default: the
    /// folder of the recipe; without a recipe, the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Seconds for one verdict, and for the first one also for starting up.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Failures in a row after which the rest of a batch is left ungraded.
    #[serde(default = "max_restarts")]
    pub max_restarts: usize,
}

pub(super) fn timeout_s() -> f64 {
    10.0
}

pub(super) fn max_restarts() -> usize {
    3
}

/// A time limit that exists.
pub(super) fn seconds(option: &'static str, value: f64) -> Result<Duration, Error> {
    if value > 0.0 && value <= 86_400.0 {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(Error::option(
            option,
            value,
            "more than 0, at most 86400 seconds",
        ))
    }
}

struct Running(Session);

impl Verifier for Running {
    fn name(&self) -> &str {
        "command"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        self.0.judge(batch)
    }

    fn messages(&self) -> Vec<String> {
        self.0.messages()
    }

    fn reads_alternatives(&self) -> bool {
        true // passed on as the list that the row has
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

impl Kind for ExternalCommand {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if self.command.is_empty() {
            return Err(Error::option(
                "command",
                "[]",
                "a program and its arguments",
            ));
        }
        let plan = Plan {
            command: self.command.iter().map(Into::into).collect(),
            cwd: self.cwd.clone(),
            timeout: seconds("timeout_s", self.timeout_s)?,
            startup: None,
            max_restarts: self.max_restarts,
        };
        let help = "give the program's path; a program without a slash is looked up in PATH";
        Ok(Box::new(Running(Session::start(plan, help)?)))
    }

    // Foreign code is given all of them.
    fn reads(&self, _column: &str) -> bool {
        true
    }
}
