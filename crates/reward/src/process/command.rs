//! `command`: any program that speaks the JSON-lines protocol.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options::{column, max_restarts, seconds, timeout_s};
use super::session::{Plan, Session};
use super::verifier::ProcessVerifier;
use crate::{Error, Kind, Verifier};

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
    /// Judge the responses to all rows that share a value of this column together: such rows are drawn in one step,
    /// `more` is true up to the last response to the last of them, and requests have `group_index` (which of the rows) and
    /// `rollout_index` (which response to it) as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// Failures in a row after which the rest of a batch is left ungraded.
    #[serde(default = "max_restarts")]
    pub max_restarts: usize,
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
        Ok(Box::new(ProcessVerifier {
            name: "command",
            group_by: column(&self.group_by)?,
            session: Session::start(plan, help)?,
        }))
    }

    // Foreign code is given all of them.
    fn reads(&self, _column: &str) -> bool {
        true
    }
}
