//! Reward models by their scores: from files, and from a model that judges the clips now.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use percept_benchmarks::video_reward::files::ClipPair;
use percept_benchmarks::video_reward::scores::Scores;
use serde_json::{Value, json};

use super::args::{NamedScores, ScorerArgs};
use crate::shared::Failure;
use crate::shared::judging::NamedClip;
use crate::shared::output::note;

/// The name of the model that judges now, in tables.
const JUDGE: &str = "react";

/// A reward model.
pub struct Scorer {
    /// In the table.
    pub name: String,
    /// What it says of clips.
    pub scores: Scores,
    /// Where they are from, for the summary.
    pub source: Value,
}

impl ScorerArgs {
    /// Every reward model that is named; each has a name of its own.
    pub fn scorers(
        &self,
        pairs: &[ClipPair],
        file: &Path,
        quiet: bool,
    ) -> Result<Vec<Scorer>, Failure> {
        let mut scorers = self.in_files()?;
        if self.judging.named() {
            scorers.push(self.judged(pairs, file, quiet)?);
        }
        if scorers.is_empty() {
            return Err(Failure::new(
                "nobody scores the clips: give --model DIR, or --endpoint URL --api-model NAME, or --scores NAME=FILE",
            ));
        }
        let mut names = HashSet::new();
        if let Some(twice) = scorers.iter().find(|s| !names.insert(&s.name)) {
            let name = &twice.name;
            return Err(Failure::new(format!(
                "two reward models are called {name:?}\n  help: --scores OTHER_NAME=FILE"
            )));
        }
        Ok(scorers)
    }

    /// Those of `--scores`.
    pub fn in_files(&self) -> Result<Vec<Scorer>, Failure> {
        let one = |NamedScores { name, path }: &NamedScores| {
            Ok(Scorer {
                name: name.clone(),
                scores: Scores::open(path)?,
                source: json!({"file": path.display().to_string()}),
            })
        };
        self.scores.iter().map(one).collect()
    }

    /// Judges every clip of the pairs once.
    fn judged(&self, pairs: &[ClipPair], file: &Path, quiet: bool) -> Result<Scorer, Failure> {
        let root = self.videos.as_deref();
        let root = root.unwrap_or(file.parent().unwrap_or(Path::new("")));
        let clips = clips(pairs, root)?;
        let journal = self.output.log("clips.jsonl")?;
        let judged = self.judging.judge(&clips, journal.as_deref(), quiet)?;
        let mut scores = Scores::empty();
        let (mut failed, mut silent) = (0, 0);
        for (clip, record) in clips.iter().zip(judged) {
            failed += usize::from(record.is_none());
            silent += usize::from(record.as_ref().is_some_and(|r| r.score.is_none()));
            scores.add(&clip.name, record.and_then(|record| record.score), None);
        }
        if failed + silent > 0 {
            note!(
                "{failed} of {} clips could not be judged, {silent} got no answer that can be read: their pairs count as wrong",
                clips.len()
            );
        }
        Ok(Scorer {
            name: JUDGE.to_owned(),
            scores,
            source: json!({
                "model": self.judging.answerer.model.as_ref().map(|path| path.display().to_string()),
                "endpoint_model": self.judging.answerer.server.api_model,
                "fps": self.judging.fps,
                "uniform": self.judging.uniform,
            }),
        })
    }
}

/// The clips of the pairs, each once; the first that is missing is named.
fn clips(pairs: &[ClipPair], root: &Path) -> Result<Vec<NamedClip>, Failure> {
    let mut seen = HashSet::new();
    let mut clips = Vec::new();
    for pair in pairs {
        for name in [&pair.a, &pair.b] {
            if seen.insert(name) {
                clips.push(NamedClip {
                    name: name.clone(),
                    prompt: pair.prompt.clone(),
                    path: place(root, name),
                    frame_rate: None,
                });
            }
        }
    }
    let missing: Vec<&NamedClip> = clips.iter().filter(|clip| !clip.path.exists()).collect();
    match missing.first() {
        Some(first) => Err(Failure::new(format!(
            "{} of {} clips are missing, the first is {}: expected them in --videos {}",
            missing.len(),
            clips.len(),
            first.name,
            root.display()
        ))),
        None => Ok(clips),
    }
}

/// Where a clip is: under its name, or, where the file names an address, under the last part of it.
fn place(root: &Path, name: &str) -> PathBuf {
    let whole = root.join(name.trim_start_matches("./"));
    match whole.exists() {
        true => whole,
        false => root.join(name.rsplit('/').next().unwrap_or(name)),
    }
}
