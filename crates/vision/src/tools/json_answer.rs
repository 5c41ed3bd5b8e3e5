//! What a program prints: one JSON value.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::command::CommandTool;

/// Bytes of an answer that a message shows.
const SHOWN: usize = 120;

/// Reads what `tool` printed; `expected` says what would do.
pub(super) fn read<T: DeserializeOwned>(
    tool: &CommandTool,
    said: &str,
    expected: &str,
) -> Result<T, Error> {
    serde_json::from_str(said.trim()).map_err(|e| wrong(tool, said, &format!("{expected} ({e})")))
}

/// An answer that will not do.
pub(super) fn wrong(tool: &CommandTool, said: &str, expected: &str) -> Error {
    let start: String = said.trim().chars().take(SHOWN).collect();
    Error::Command {
        program: tool.words()[0].clone(),
        what: format!("printed `{start}`; expected {expected}"),
        stderr: String::new(),
    }
}
