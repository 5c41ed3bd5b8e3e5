//! Lines of a file of answers.

use std::path::Path;

use percept_base::LogError;
use serde_json::Value;

use crate::ChatReply;

/// Keys and answers of the lines of `path`.
pub(crate) fn entries(
    path: &Path,
    lines: Vec<Value>,
) -> impl Iterator<Item = Result<(String, ChatReply), LogError>> {
    lines.into_iter().enumerate().map(|(at, line)| {
        entry(line).map_err(|found| LogError::Line {
            path: path.into(),
            line: at + 1,
            found,
            expected: "an answer: {\"key\": …, \"reply\": …}",
        })
    })
}

/// Key and answer of a line.
fn entry(mut line: Value) -> Result<(String, ChatReply), String> {
    let Some(key) = line["key"].as_str().map(str::to_owned) else {
        return Err("no `key`".into());
    };
    let reply =
        serde_json::from_value(line["reply"].take()).map_err(|e| format!("`reply`: {e}"))?;
    Ok((key, reply))
}
