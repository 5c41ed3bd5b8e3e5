//! Scores of clips that were made elsewhere: by another reward model, by an earlier run.
//!
//! A row is a clip (`path` or `video` or `image`, and scores) or a pair (`path_A`, `path_B`, and scores that end in `_A` and
//! `_B`). A score of all dimensions is `score`, `reward`, `ALL` or `Overall`; of one, its name: `VQ`, `MQ`, `TA`. A
//! name may start with `reward_`, as in the files of VideoAlign's program. Rows of `percept reward react` have `labels`, too.

use std::path::Path;

use percept_data::RawRows;
use percept_frames::Distortion;
use serde_json::{Map, Value};

use super::matching::ByClip;
use crate::Error;

/// Names of a score for all dimensions.
const WHOLE: [&str; 4] = ["score", "reward", "ALL", "Overall"];
/// Names of a clip.
const CLIP: [&str; 3] = ["path", "video", "image"];

/// What is known of a clip or frame.
#[derive(Debug, Clone, Default, PartialEq)]
struct Scored {
    /// By dimension.
    dimensions: Vec<(String, f64)>,
    whole: Option<f64>,
    labels: Option<Vec<Distortion>>,
}

/// The scores of one reward model.
#[derive(Debug, Clone)]
pub struct Scores {
    clips: ByClip<Scored>,
}

impl Scores {
    /// Reads a file in any format that training reads.
    ///
    /// # Errors
    /// A file or row that cannot be read; a row without a clip or without a score; a score that is no finite number; two rows
    /// that give a clip different scores.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let rows = RawRows::open(path, path)?;
        let mut clips = ByClip::new();
        for at in 0..rows.len() {
            let columns = rows.get(at)?;
            let place = format!("{}:{}", path.display(), rows.number(at));
            let sides: &[(&str, &str)] = match columns.contains_key("path_A") {
                true => &[("path_A", "_A"), ("path_B", "_B")],
                false => &[("", "")],
            };
            for (name, end) in sides {
                let (clip, scored) = read(&columns, name, end, &place)?;
                // A clip of several pairs stands in several rows.
                let before = clips.insert(&clip, scored.clone());
                if before.is_some_and(|before| before != scored) {
                    return Err(Error::Row {
                        place,
                        found: format!("other scores of {clip} than in a row above"),
                        expected: "the same scores wherever a clip stands",
                    });
                }
            }
        }
        Ok(Self { clips })
    }

    /// No scores yet.
    pub fn empty() -> Self {
        Self {
            clips: ByClip::new(),
        }
    }

    /// Adds a clip's or frame's score for all dimensions, and its labels.
    pub fn add(&mut self, clip: &str, score: Option<f64>, labels: Option<Vec<Distortion>>) {
        let scored = Scored {
            dimensions: Vec::new(),
            whole: score,
            labels,
        };
        self.clips.insert(clip, scored);
    }

    /// The score of a clip in a dimension: its own, else that of all.
    pub fn of(&self, clip: &str, dimension: &str) -> Option<f64> {
        let scored = self.clips.get(clip)?;
        let own = scored.dimensions.iter().find(|(name, _)| name == dimension);
        own.map(|(_, score)| *score).or(scored.whole)
    }

    /// The labels of a frame.
    pub fn labels(&self, frame: &str) -> Option<&[Distortion]> {
        self.clips.get(frame)?.labels.as_deref()
    }
}

/// A clip and its scores; `name` is its column, or empty for any of the usual ones.
fn read(
    columns: &Map<String, Value>,
    name: &str,
    end: &str,
    place: &str,
) -> Result<(String, Scored), Error> {
    let error = |found: String, expected| Error::Row {
        place: place.to_owned(),
        found,
        expected,
    };
    let text = |name: &str| columns.get(name).and_then(Value::as_str);
    let clip = match name {
        "" => CLIP.iter().find_map(|name| text(name)),
        name => text(name),
    };
    let clip = clip.ok_or_else(|| {
        let missing = if name.is_empty() {
            "path, video or image"
        } else {
            name
        };
        error(
            format!("no {missing}"),
            "a row of a clip or of a pair of clips, with scores",
        )
    })?;
    let mut scored = Scored::default();
    // A score that is null was looked for and not found: the clip is known, and has none.
    let mut known = false;
    for (column, value) in columns {
        let bare = column.strip_prefix("reward_").unwrap_or(column);
        let Some(bare) = bare.strip_suffix(end) else {
            continue;
        };
        let dimension = ["VQ", "MQ", "TA"].contains(&bare);
        let whole = WHOLE.contains(&bare);
        known |= dimension || whole;
        if !dimension && !whole || value.is_null() {
            continue;
        }
        let number = match value {
            Value::String(text) => text.trim().parse::<f64>().ok(),
            other => other.as_f64(),
        };
        let number = number.filter(|number| number.is_finite());
        let number = number.ok_or_else(|| error(format!("{column} {value}"), "a finite number"))?;
        match dimension {
            true => scored.dimensions.push((bare.to_owned(), number)),
            false => scored.whole = Some(number),
        }
    }
    if let Some(labels) = columns.get("labels").filter(|labels| labels.is_array()) {
        let read = serde_json::from_value(labels.clone());
        scored.labels =
            Some(read.map_err(|e| error(format!("labels {labels}: {e}"), "a list of labels"))?);
    }
    if !known && scored.labels.is_none() {
        return Err(error(
            format!("no score of {clip}"),
            "score, reward, ALL, Overall, VQ, MQ or TA, with or without reward_ before it",
        ));
    }
    Ok((clip.to_owned(), scored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str, text: &str) -> Result<Scores, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Scores::open(&path)
    }

    #[test]
    fn files_of_other_programs_are_read() {
        // VideoAlign's out_single.csv and out_pair.csv.
        let single = "path,model,reward_VQ,reward_MQ,reward_TA,reward_ALL\nv/1.mp4,m,1,2,3,6\n";
        let scores = open("s.csv", single).unwrap();
        assert_eq!(scores.of("v/1.mp4", "MQ"), Some(2.0));
        assert_eq!(scores.of("1.mp4", "Overall"), Some(6.0));
        let pair = "path_A,path_B,VQ,reward_VQ_A,reward_VQ_B,reward_ALL_A,reward_ALL_B\n\
                    1.mp4,2.mp4,same,0.5,0.25,1,-1\n";
        let scores = open("p.csv", pair).unwrap();
        assert_eq!(scores.of("2.mp4", "VQ"), Some(0.25));
        assert_eq!(scores.of("2.mp4", "Distortion"), Some(-1.0));
        // Ours.
        let own = r#"{"video":"a.mp4","score":3.5,"labels":["extra limbs"],"frames":[]}"#;
        let scores = open("o.jsonl", own).unwrap();
        assert_eq!(scores.of("a.mp4", "TA"), Some(3.5));
        assert_eq!(scores.labels("a.mp4"), Some(&[Distortion::ExtraLimbs][..]));
        // A clip of which no answer could be read.
        let scores = open("o.jsonl", r#"{"video":"a.mp4","score":null,"labels":{}}"#).unwrap();
        assert_eq!(scores.of("a.mp4", "Overall"), None);
    }

    #[test]
    fn what_is_no_score_is_named() {
        for (text, said) in [
            ("path,score\na.mp4,nan\n", "finite"),
            ("path,score\na.mp4,good\n", "good"),
            ("path,fps\na.mp4,24\n", "no score of a.mp4"),
            ("clip,score\na.mp4,1\n", "no path, video or image"),
            ("path,score\na.mp4,1\na.mp4,2\n", "x.csv:3"),
        ] {
            let error = open("x.csv", text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
