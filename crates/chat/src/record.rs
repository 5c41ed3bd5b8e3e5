//! A line of a file of answers.

use serde_json::Value;

use crate::ChatReply;

/// Key and answer of a line.
pub(crate) fn entry(mut line: Value) -> Result<(String, ChatReply), String> {
    let Some(key) = line["key"].as_str().map(str::to_owned) else {
        return Err("no `key`".into());
    };
    let reply =
        serde_json::from_value(line["reply"].take()).map_err(|e| format!("`reply`: {e}"))?;
    Ok((key, reply))
}
