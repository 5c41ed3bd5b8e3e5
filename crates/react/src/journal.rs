//! The file of judged clips: one [`ClipRecord`] a line, on the disk before the next clips are judged.

use std::collections::HashMap;
use std::path::Path;

use percept_base::{AppendLog, LogError};
use serde_json::{Value, json};

use crate::Error;
use crate::record::ClipRecord;

/// The file of judged clips. A command that was stopped goes on with the clips that are not in it.
#[derive(Debug)]
pub struct Journal {
    log: AppendLog,
    known: HashMap<String, ClipRecord>,
    /// What the judgements depend on besides the clip.
    settings: Value,
}

impl Journal {
    /// Opens or creates the file. Each line holds the settings with which its clip was judged: model, question, sampling.
    ///
    /// # Errors
    /// Those of [`AppendLog::open`]; a line of another kind, or of a clip that was judged with other settings.
    pub fn open(path: &Path, settings: Value) -> Result<Self, Error> {
        let (log, lines) = AppendLog::open(path)?;
        let mut known = HashMap::with_capacity(lines.len());
        for (at, mut line) in lines.into_iter().enumerate() {
            let wrong = |found: String, expected| LogError::Line {
                path: path.to_owned(),
                line: at + 1,
                found,
                expected,
            };
            let fields = line.as_object_mut();
            let before = fields.and_then(|fields| fields.remove("settings"));
            if before.as_ref() != Some(&settings) {
                let found = before.map_or("no settings".to_owned(), |before| {
                    differing(&before, &settings)
                });
                return Err(wrong(found, "clips judged with the settings of this command").into());
            }
            let record = serde_json::from_value::<ClipRecord>(line)
                .map_err(|error| wrong(error.to_string(), "a judged clip"))?;
            known.insert(record.video.clone(), record);
        }
        Ok(Self {
            log,
            known,
            settings,
        })
    }

    /// The judgement of a clip, where it is known and was made for the same prompt.
    pub fn get(&self, video: &str, prompt: &str) -> Option<&ClipRecord> {
        let known = self.known.get(video);
        known.filter(|record| record.prompt == prompt)
    }

    /// Adds judged clips.
    ///
    /// # Errors
    /// The disk.
    pub fn add(&mut self, records: Vec<ClipRecord>) -> Result<(), Error> {
        let mut lines = Vec::with_capacity(records.len());
        for record in &records {
            let mut line = serde_json::to_value(record).unwrap_or_default();
            line["settings"] = json!(self.settings);
            lines.push(line);
        }
        self.log.append(&lines)?;
        for record in records {
            self.known.insert(record.video.clone(), record);
        }
        Ok(())
    }
}

/// The first setting that is another one.
fn differing(before: &Value, now: &Value) -> String {
    let keys = now.as_object().into_iter().flat_map(|fields| fields.keys());
    let key = keys.into_iter().find(|key| before.get(key) != now.get(key));
    match key {
        Some(key) => format!("another {key}"),
        None => "other settings".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(video: &str) -> ClipRecord {
        ClipRecord::of(video.into(), "p".into(), 1.0, Vec::new())
    }

    #[test]
    fn what_is_judged_is_known_again_and_other_settings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clips.jsonl");
        let settings = json!({"model": "m", "fps": 2.0});
        let mut journal = Journal::open(&path, settings.clone()).unwrap();
        journal.add(vec![record("a.mp4")]).unwrap();
        drop(journal);
        let journal = Journal::open(&path, settings).unwrap();
        assert_eq!(journal.get("a.mp4", "p"), Some(&record("a.mp4")));
        assert_eq!(journal.get("a.mp4", "another prompt"), None);
        drop(journal);
        let error = Journal::open(&path, json!({"model": "m", "fps": 4.0})).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("clips.jsonl:1") && error.contains("another fps"),
            "{error}"
        );
    }
}
