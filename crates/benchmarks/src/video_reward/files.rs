//! The files of the benchmarks.
//!
//! * VideoGen-RewardBench: CSV with `path_A, path_B, A_model, B_model, prompt, VQ, MQ, TA, Overall`, the last four `A`, `B`
//!   or `same` (VideoAlign's training files have no `Overall`); other columns are not used.
//! * GenAI-Bench, videos: JSON with `id, prompt, video_left, video_right, vote_type`, the last `leftvote`, `rightvote`,
//!   `tievote` or `bothbad_vote`: the last two are ties. The data set on the Hub calls the clips `left_video` and
//!   `right_video`.
//! * REACT-Bench's files are not public. Ours are JSONL (or any format that training reads). A pair: `path_A, path_B,
//!   prompt, preference`. A frame: a row of single frames as `percept annotate` exports it, `images: [path], prompt,
//!   labels: [names]`; with `pair_id`, `side` and `preference`, pairs of frames are judged as well.

use std::collections::BTreeMap;
use std::path::Path;

use percept_data::RawRows;
use percept_frames::{Distortion, Preference};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Error;

/// The dimensions of VideoGen-RewardBench: visual quality, motion quality, text alignment, all together.
pub const DIMENSIONS: [&str; 4] = ["VQ", "MQ", "TA", "Overall"];

const PREFERENCE: &str = "A, B or same";

/// A pair of clips of one prompt, and what people prefer.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPair {
    /// Its row, for records.
    pub id: String,
    /// Clip A as the file names it.
    pub a: String,
    /// Clip B.
    pub b: String,
    /// What both were generated from.
    pub prompt: String,
    /// Who generated them, where the file says so.
    pub models: Option<(String, String)>,
    /// By dimension.
    pub preferences: Vec<(&'static str, Preference)>,
}

/// A frame and what people say is broken.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledFrame {
    /// Its row, for records.
    pub id: String,
    /// The picture as the file names it.
    pub image: String,
    /// What its clip was generated from.
    pub prompt: String,
    /// Its clip, where the file says so: frames of one clip are not independent.
    pub video: Option<String>,
    /// What is broken.
    pub labels: Vec<Distortion>,
    /// Of a pair of frames: the pair, `A` or `B`, and which people prefer.
    pub pair: Option<(String, String, Preference)>,
}

/// Pairs of VideoGen-RewardBench.
///
/// # Errors
/// A file or row that cannot be read, with its line and field.
pub fn videogen(path: &Path) -> Result<Vec<ClipPair>, Error> {
    each(path, |row| {
        let mut preferences = Vec::new();
        for dimension in DIMENSIONS {
            // The authors' script reads `ALL` where their file says `Overall`.
            let other = (dimension == "Overall").then_some("ALL");
            let names = std::iter::once(dimension).chain(other);
            if let Some(name) = names.into_iter().find(|name| row.has(name)) {
                preferences.push((dimension, row.preference(name)?));
            }
        }
        if preferences.is_empty() {
            return Err(row.error(
                "no VQ, MQ, TA or Overall".into(),
                "a row of VideoGen-RewardBench",
            ));
        }
        let models = row.optional("A_model").zip(row.optional("B_model"));
        Ok(ClipPair {
            id: row.number.to_string(),
            a: row.text(&["path_A"])?,
            b: row.text(&["path_B"])?,
            prompt: row.text(&["prompt"])?,
            models,
            preferences,
        })
    })
}

/// Pairs of GenAI-Bench's videos; the left clip is A.
///
/// # Errors
/// A file or row that cannot be read, with its place and field.
pub fn genai(path: &Path) -> Result<Vec<ClipPair>, Error> {
    each(path, |row| {
        let vote = row.text(&["vote_type"])?;
        let preference = match vote.as_str() {
            "leftvote" => Preference::A,
            "rightvote" => Preference::B,
            "tievote" | "bothbad_vote" => Preference::Tie,
            other => {
                return Err(row.error(
                    format!("vote_type {other:?}"),
                    "leftvote, rightvote, tievote or bothbad_vote",
                ));
            }
        };
        let models = row.optional("left_model").zip(row.optional("right_model"));
        Ok(ClipPair {
            id: row.optional("id").unwrap_or_else(|| row.number.to_string()),
            a: row.text(&["video_left", "left_video"])?,
            b: row.text(&["video_right", "right_video"])?,
            prompt: row.text(&["prompt"])?,
            models,
            preferences: vec![("Overall", preference)],
        })
    })
}

/// Pairs of clips in our own format.
///
/// # Errors
/// A file or row that cannot be read, with its line and field.
pub fn react_pairs(path: &Path) -> Result<Vec<ClipPair>, Error> {
    each(path, |row| {
        Ok(ClipPair {
            id: row.optional("id").unwrap_or_else(|| row.number.to_string()),
            a: row.text(&["path_A", "video_A"])?,
            b: row.text(&["path_B", "video_B"])?,
            prompt: row.text(&["prompt"])?,
            models: row.optional("A_model").zip(row.optional("B_model")),
            preferences: vec![("Distortion", row.preference("preference")?)],
        })
    })
}

/// Labelled frames in our own format.
///
/// # Errors
/// A file or row that cannot be read, with its line and field; a label that is none of the eight; a pair with one side.
pub fn react_frames(path: &Path) -> Result<Vec<LabelledFrame>, Error> {
    let frames = each(path, |row| {
        let pair = match row.optional("pair_id") {
            Some(pair) if row.has("preference") => {
                let side = row.text(&["side"])?;
                if side != "A" && side != "B" {
                    return Err(row.error(format!("side {side:?}"), "A or B"));
                }
                Some((pair, side, row.preference("preference")?))
            }
            _ => None,
        };
        Ok(LabelledFrame {
            id: row.optional("id").unwrap_or_else(|| row.number.to_string()),
            image: row.image()?,
            prompt: row.text(&["prompt"])?,
            video: row.optional("video"),
            labels: row.labels()?,
            pair,
        })
    })?;
    whole_pairs(path, &frames)?;
    Ok(frames)
}

fn whole_pairs(path: &Path, frames: &[LabelledFrame]) -> Result<(), Error> {
    let mut sides: BTreeMap<&str, Vec<(&str, Preference)>> = BTreeMap::new();
    for (pair, side, preference) in frames.iter().filter_map(|f| f.pair.as_ref()) {
        let sides = sides.entry(pair).or_default();
        sides.push((side, *preference));
    }
    for (pair, mut sides) in sides {
        sides.sort_by_key(|(side, _)| *side);
        let fits = matches!(sides[..], [("A", a), ("B", b)] if a == b);
        if !fits {
            let found = sides.iter().map(|(side, _)| *side);
            return Err(Error::Row {
                place: format!("{}: pair {pair}", path.display()),
                found: format!("sides {}", found.collect::<Vec<_>>().join(", ")),
                expected: "one row of side A and one of side B, with the same preference",
            });
        }
    }
    Ok(())
}

/// A row on its way.
struct Row<'a> {
    path: &'a Path,
    number: usize,
    columns: Map<String, Value>,
}

fn each<T>(path: &Path, read: impl Fn(&Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let rows = RawRows::open(path, path)?;
    let one = |at| {
        read(&Row {
            path,
            number: rows.number(at),
            columns: rows.get(at)?,
        })
    };
    (0..rows.len()).map(one).collect()
}

impl Row<'_> {
    fn error(&self, found: String, expected: &'static str) -> Error {
        Error::Row {
            place: format!("{}:{}", self.path.display(), self.number),
            found,
            expected,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.columns.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text, or a number as one.
    fn optional(&self, name: &str) -> Option<String> {
        match self.columns.get(name)? {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The first of these columns that is there.
    fn text(&self, names: &[&str]) -> Result<String, Error> {
        let found = names.iter().find_map(|name| self.optional(name));
        found.ok_or_else(|| self.error(format!("no {}", names.join(" or ")), "a text there"))
    }

    fn preference(&self, name: &str) -> Result<Preference, Error> {
        let text = self.text(&[name])?;
        self.value(name, Value::String(text), PREFERENCE)
    }

    fn image(&self) -> Result<String, Error> {
        if let Some(image) = self.optional("image") {
            return Ok(image);
        }
        match self
            .columns
            .get("images")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([Value::String(image)]) => Ok(image.clone()),
            _ => Err(self.error("no `images` with one path".into(), "one picture a row")),
        }
    }

    fn labels(&self) -> Result<Vec<Distortion>, Error> {
        const EXPECTED: &str = "a list of labels, empty for a clean frame";
        match self.columns.get("labels") {
            Some(value @ Value::Array(_)) => self.value("labels", value.clone(), EXPECTED),
            _ => Err(self.error("no `labels`".into(), EXPECTED)),
        }
    }

    fn value<T: DeserializeOwned>(
        &self,
        field: &str,
        value: Value,
        expected: &'static str,
    ) -> Result<T, Error> {
        let shown = value.to_string();
        serde_json::from_value(value)
            .map_err(|error| self.error(format!("{field} {shown}: {error}"), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn videogen_rows_are_read_as_published() {
        let (_folder, path) = file(
            "bench.csv",
            "path_A,path_B,A_model,B_model,prompt,VQ,MQ,TA,Overall,fps_A\n\
             videos/1.mp4,videos/2.mp4,m,n,\"a \"\"red\"\" cat,\nrunning\",A,same,B,A,24.0\n",
        );
        let pairs = videogen(&path).unwrap();
        assert_eq!(pairs[0].prompt, "a \"red\" cat,\nrunning");
        let said: Vec<&str> = pairs[0].preferences.iter().map(|(name, _)| *name).collect();
        assert_eq!(said, DIMENSIONS);
        assert_eq!(pairs[0].preferences[1].1, Preference::Tie);
    }

    #[test]
    fn genai_votes_are_preferences_and_both_bad_is_a_tie() {
        let (_folder, path) = file(
            "genai.json",
            r#"[{"id":"7","prompt":"p","video_left":"l.mp4","video_right":"r.mp4","vote_type":"rightvote"},
               {"id":"8","prompt":"p","left_video":"l.mp4","right_video":"r.mp4","vote_type":"bothbad_vote"}]"#,
        );
        let pairs = genai(&path).unwrap();
        assert_eq!(pairs[0].preferences, [("Overall", Preference::B)]);
        assert_eq!(pairs[1].preferences, [("Overall", Preference::Tie)]);
        assert_eq!((pairs[1].id.as_str(), pairs[1].a.as_str()), ("8", "l.mp4"));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_line() {
        /// A file, what is said of it, and what that must name.
        type Case = (&'static str, fn(&Path) -> String, &'static [&'static str]);
        let wrong: [Case; 4] = [
            (
                "path_A,path_B,prompt,VQ\n1,2,p,A\n1,2,p,C\n",
                |path| videogen(path).unwrap_err().to_string(),
                &["x.csv:3", "VQ", "\"C\"", "A, B or same"],
            ),
            (
                "path_A,path_B,prompt\n1,2,p\n",
                |path| videogen(path).unwrap_err().to_string(),
                &["x.csv:2", "no VQ"],
            ),
            (
                "path_A,prompt,preference\n1,p,A\n",
                |path| react_pairs(path).unwrap_err().to_string(),
                &["x.csv:2", "path_B"],
            ),
            (
                "id,prompt,video_left,video_right,vote_type\n1,p,l,r,left\n",
                |path| genai(path).unwrap_err().to_string(),
                &["vote_type", "leftvote"],
            ),
        ];
        for (text, read, said) in wrong {
            let (_folder, path) = file("x.csv", text);
            let error = read(&path);
            for part in said {
                assert!(error.contains(part), "{error}: {part}");
            }
        }
    }

    #[test]
    fn frames_have_known_labels_and_whole_pairs() {
        let row = |side: &str, labels: &str| {
            format!(
                r#"{{"images":["{side}.png"],"prompt":"p","labels":{labels},"pair_id":"1","side":"{side}","preference":"A"}}"#
            )
        };
        let both = [row("A", "[]"), row("B", r#"["extra limbs"]"#)].join("\n");
        let (_folder, path) = file("f.jsonl", &both);
        let frames = react_frames(&path).unwrap();
        assert_eq!(frames[1].labels, [Distortion::ExtraLimbs]);
        assert!(frames[0].labels.is_empty());
        let (_folder, path) = file("f.jsonl", &row("A", "[]"));
        let error = react_frames(&path).unwrap_err().to_string();
        assert!(
            error.contains("pair 1") && error.contains("sides A"),
            "{error}"
        );
        let (_folder, path) = file("f.jsonl", &row("A", r#"["six fingers"]"#));
        let error = react_frames(&path).unwrap_err().to_string();
        assert!(
            error.contains("f.jsonl:1") && error.contains("six fingers"),
            "{error}"
        );
    }
}
