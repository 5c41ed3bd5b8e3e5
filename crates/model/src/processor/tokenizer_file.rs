//! Reading `tokenizer.json`, which may come from anybody.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::Error;
use crate::processor::errors::bad;

/// The largest known has 37 MB.
const MAX_BYTES: u64 = 1 << 30;
/// How many times longer normalisation may make a text; known tokenizers stay below 10.
const MAX_GROWTH: f64 = 1000.0;

/// What can make a text longer.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    decoder: Value,
}

pub(crate) fn read(path: &Path) -> Result<Tokenizer, Error> {
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if size > MAX_BYTES {
        let message = format!("has {size} bytes; expected at most {MAX_BYTES}");
        return Err(bad(path.display(), message));
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let unreadable = |e: String| {
        let help = "slow tokenizers are converted with transformers' AutoTokenizer.save_pretrained";
        bad(
            path.display(),
            format!("not a readable tokenizer: {e}\n  help: {help}"),
        )
    };
    let parts: Parts = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
    for (field, part) in [
        ("normalizer", &parts.normalizer),
        ("pre_tokenizer", &parts.pre_tokenizer),
        ("decoder", &parts.decoder),
    ] {
        let growth = growth(part);
        if growth > MAX_GROWTH {
            let message = format!(
                "{field} can make a text {growth:.0} times longer; expected at most {MAX_GROWTH}, for memory is bounded"
            );
            return Err(bad(path.display(), message));
        }
    }
    Tokenizer::from_bytes(&bytes).map_err(|e| unreadable(e.to_string()))
}

/// By how much a step and all in it can make a text longer, at most.
fn growth(step: &Value) -> f64 {
    let inner = ["normalizers", "pretokenizers", "decoders"].iter();
    let inner = inner.filter_map(|field| step[*field].as_array()).flatten();
    let own = match step["type"].as_str() {
        Some("Replace") => {
            let content = step["content"].as_str().map_or(0, str::len) as f64;
            match step["pattern"]["String"].as_str() {
                Some(pattern) if !pattern.is_empty() => content / pattern.len() as f64,
                // An expression may match nothing before every character.
                _ => content + 1.0,
            }
        }
        Some("Prepend" | "Metaspace") => {
            let added = step["prepend"].as_str().or(step["replacement"].as_str());
            added.map_or(1.0, |text| text.len() as f64)
        }
        _ => 1.0,
    };
    inner.map(growth).product::<f64>() * own.max(1.0)
}
