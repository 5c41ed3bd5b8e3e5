//! Log-probabilities of the reference on disk: `reference_log_probs.jsonl` in the run folder.
//!
//! The first line says whose they are, each line after it has those of one pair, known by its content: a row that comes
//! again in a later epoch or in a resumed run is found, one that was changed is not.

use std::collections::HashMap;
use std::path::Path;

use percept_base::{AppendLog, hex};
use percept_model::Prompt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::stages::dpo::pair::{Pair, Response};

const FILE: &str = "reference_log_probs.jsonl";

/// The file, and what is in it.
pub(crate) struct Stored {
    log: AppendLog,
    /// By the key of a pair: of each response that was asked about, in their order.
    known: HashMap<String, Vec<Vec<f32>>>,
}

impl Stored {
    /// Opens the file of a run for the reference `whose`; what it holds of another one is removed.
    ///
    /// # Errors
    /// [`Error::Log`] when the disk refuses or the file is none of ours.
    pub(crate) fn open(run: &Path, whose: &str) -> Result<Self, Error> {
        let path = run.join(FILE);
        let (mut log, mut lines) = AppendLog::open(&path)?;
        let head = json!({ "reference": whose });
        if lines.first() != Some(&head) {
            if !lines.is_empty() {
                drop(log);
                percept_base::files::remove(&path)?;
                (log, _) = AppendLog::open(&path)?;
            }
            log.append(std::slice::from_ref(&head))?;
            lines.clear();
        }
        let known = lines.iter().skip(1).filter_map(read).collect();
        Ok(Self { log, known })
    }

    /// What is known of a pair.
    pub(crate) fn get(&self, key: &str) -> Option<&Vec<Vec<f32>>> {
        self.known.get(key)
    }

    /// Adds pairs; when this returns they are on the disk.
    ///
    /// # Errors
    /// [`Error::Log`] when the disk refuses.
    pub(crate) fn add(&mut self, found: Vec<(String, Vec<Vec<f32>>)>) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let lines: Vec<Value> = found
            .iter()
            .map(|(key, values)| line(key, values))
            .collect();
        self.log.append(&lines)?;
        self.known.extend(found);
        Ok(())
    }
}

fn line(key: &str, values: &[Vec<f32>]) -> Value {
    let values: Vec<Vec<Value>> = values
        .iter()
        .map(|response| response.iter().map(|&value| number(value)).collect())
        .collect();
    json!({ "pair": key, "log_probs": values })
}

/// The shortest number that is read back as the same one; null for what JSON cannot say.
fn number(value: f32) -> Value {
    let short: f64 = value.to_string().parse().unwrap_or(f64::NAN);
    let exact = if short as f32 == value {
        short
    } else {
        f64::from(value)
    };
    serde_json::Number::from_f64(exact).map_or(Value::Null, Value::Number)
}

fn read(line: &Value) -> Option<(String, Vec<Vec<f32>>)> {
    let key = line["pair"].as_str()?.to_owned();
    let value = |value: &Value| value.as_f64().map_or(f32::NAN, |value| value as f32);
    let response = |values: &Value| Some(values.as_array()?.iter().map(value).collect());
    let values = line["log_probs"].as_array()?.iter().map(response);
    Some((key, values.collect::<Option<_>>()?))
}

/// The key of a pair: the content of its prompts, and the responses at `places`.
pub(crate) fn key(pair: &Pair, places: &[usize]) -> String {
    let mut hash = Sha256::new();
    for &place in places {
        let Response { prompt, tokens, .. } = &pair.responses[place];
        add_prompt(&mut hash, &pair.prompts[*prompt]);
        add_numbers(&mut hash, tokens);
    }
    hex(&hash.finalize()[..16])
}

fn add_prompt(hash: &mut Sha256, prompt: &Prompt) {
    add_numbers(hash, &prompt.tokens);
    add_numbers(hash, prompt.positions.as_flattened());
    for picture in &prompt.vision {
        let grid = picture.grid_thw.map(|side| side as u32);
        add_numbers(hash, &grid);
        hash.update(bytemuck::cast_slice::<f32, u8>(&picture.pixels));
    }
}

/// With their count before them, so that two lists are not one longer list.
fn add_numbers(hash: &mut Sha256, numbers: &[u32]) {
    hash.update((numbers.len() as u64).to_le_bytes());
    hash.update(bytemuck::cast_slice::<u32, u8>(numbers));
}

/// Whose log-probabilities they are: a hash of the files in the folder of the reference, and how it computes.
///
/// # Errors
/// [`Error::Read`] when they cannot be read.
pub(crate) fn whose(folder: &Path, bf16: bool) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let mut names = percept_base::files::list_dir(folder)?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let reads = |source| Error::Read {
            path: path.clone(),
            source,
        };
        hash.update(name.as_bytes());
        let mut file = std::fs::File::open(&path).map_err(reads)?;
        std::io::copy(&mut file, &mut hash).map_err(reads)?;
    }
    hash.update([u8::from(bf16)]);
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read_back_to_the_bit_and_not_for_another_reference() {
        let folder = tempfile::tempdir().unwrap();
        let values = vec![
            vec![
                -1.1,
                -0.1 + f32::EPSILON,
                -87.336_54,
                f32::MIN_POSITIVE,
                0.0,
            ],
            vec![],
            vec![-1e-7],
        ];
        let mut stored = Stored::open(folder.path(), "a").unwrap();
        assert!(stored.get("k").is_none());
        stored.add(vec![("k".to_owned(), values.clone())]).unwrap();
        drop(stored);
        let stored = Stored::open(folder.path(), "a").unwrap();
        assert_eq!(stored.get("k"), Some(&values));
        drop(stored);
        let stored = Stored::open(folder.path(), "b").unwrap();
        assert!(stored.get("k").is_none());
    }

    #[test]
    fn a_pair_is_known_by_pixels_and_tokens() {
        let pair = |pixel: f32, token: u32| {
            let patches = percept_data::Patches {
                grid_thw: [1, 1, 1],
                pixels: vec![pixel],
            };
            Pair {
                prompts: vec![Prompt {
                    tokens: vec![1, 2],
                    vision: vec![patches.into()],
                    ..Prompt::default()
                }],
                responses: vec![Response {
                    kind: percept_credit::preference::Kind::Chosen,
                    prompt: 0,
                    tokens: vec![token],
                    weight: None,
                    phrase: None,
                }],
                ..Pair::default()
            }
        };
        let first = key(&pair(0.5, 7), &[0]);
        assert_eq!(first, key(&pair(0.5, 7), &[0]));
        assert_ne!(first, key(&pair(0.25, 7), &[0]));
        assert_ne!(first, key(&pair(0.5, 8), &[0]));
        assert_ne!(first, key(&pair(0.5, 7), &[]));
    }
}
