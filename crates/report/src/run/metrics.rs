//! `metrics.jsonl`: one line per step, `{"step":7,"stage":"rl","time":12.5,"reward/mean":0.25}`.
//!
//! A value that is not finite is written as `null` (JSON has no NaN; pandas reads it as NaN).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Error, RunDir};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Steps done in all stages.
    pub step: u64,
    /// `sft`, `rl`, `eval`, ….
    pub stage: String,
    /// Seconds since the start of the run, over all resumes.
    pub time: f64,
    /// Named numbers in the order in which they were written; `null` reads as NaN.
    pub values: Vec<(String, f64)>,
}

impl Row {
    /// The value of a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.values.iter().find(|(key, _)| key == name);
        found.map(|&(_, value)| value)
    }

    fn parse(line: &[u8]) -> Result<Self, String> {
        let mut row = Row::default();
        let object: Map<String, Value> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let mut has_step = false;
        for (name, value) in object {
            match (name.as_str(), value) {
                ("step", value) => {
                    row.step = value.as_u64().ok_or("`step` is not a whole number")?;
                    has_step = true;
                }
                ("stage", Value::String(stage)) => row.stage = stage,
                ("time", value) => row.time = value.as_f64().unwrap_or(f64::NAN),
                (_, Value::Null) => row.values.push((name, f64::NAN)),
                (_, Value::Number(number)) => {
                    row.values.push((name, number.as_f64().unwrap_or(f64::NAN)));
                }
                _ => return Err(format!("`{name}` is not a number")),
            }
        }
        if has_step {
            Ok(row)
        } else {
            Err("`step` is missing".into())
        }
    }

    fn line(&self) -> Vec<u8> {
        let mut object = Map::new();
        object.insert("step".into(), self.step.into());
        object.insert("stage".into(), self.stage.as_str().into());
        object.insert("time".into(), self.time.into());
        for (name, value) in &self.values {
            object.insert(name.clone(), (*value).into());
        }
        let mut line = Value::Object(object).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

/// Appends to `metrics.jsonl`.
#[derive(Debug)]
pub struct MetricsWriter {
    file: File,
    path: PathBuf,
}

impl MetricsWriter {
    /// Starts the file of a new run, or, given the step of the checkpoint from which a run goes
    /// on, removes the lines after it (and a last line that a kill left half-written), so that
    /// the file ends up as that of an uninterrupted run. Lines that belong to a step (its
    /// evaluation, say) must therefore be written before its checkpoint.
    pub fn open(run: &RunDir, resume_at_step: Option<u64>) -> Result<Self, Error> {
        let path = run.metrics();
        let keep = match resume_at_step {
            Some(step) => kept_length(&path, step)?,
            None => 0,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        file.set_len(keep).map_err(Error::io("truncate", &path))?;
        Ok(Self { file, path })
    }

    /// Appends one line. `values` named `step`, `stage` or `time` are refused.
    pub fn write(&mut self, row: &Row) -> Result<(), Error> {
        let reserved = |name: &str| ["step", "stage", "time"].contains(&name);
        if let Some((name, _)) = row.values.iter().find(|(name, _)| reserved(name)) {
            return Err(Error::Invalid {
                path: self.path.clone(),
                row: None,
                what: format!("a metric cannot be called `{name}`"),
                help: "give it a prefix, as in `timing_s/step`",
            });
        }
        // One call per line: what a kill can tear is the last line only.
        self.file
            .write_all(&row.line())
            .map_err(Error::io("write", &self.path))
    }

    /// Makes what was written survive a power failure; call it before a checkpoint is named.
    pub fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(Error::io("write", &self.path))
    }
}

/// Reads `metrics.jsonl`; a half-written last line is left out, a missing file has no rows.
pub fn read_metrics(path: &Path) -> Result<Vec<Row>, Error> {
    Ok(read_lines(path)?.into_iter().map(|(row, _)| row).collect())
}

/// Bytes up to the last line of `step` or before.
fn kept_length(path: &Path, step: u64) -> Result<u64, Error> {
    let lines = read_lines(path)?;
    let kept = lines.iter().take_while(|(row, _)| row.step <= step).last();
    Ok(kept.map_or(0, |&(_, end)| end))
}

/// Rows, each with the offset after its newline.
fn read_lines(path: &Path) -> Result<Vec<(Row, u64)>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let mut rows = Vec::new();
    let mut end = 0;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
    for (i, line) in lines.iter().enumerate() {
        end += line.len();
        let torn = !line.ends_with(b"\n");
        if torn || line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match Row::parse(line) {
            Ok(row) => rows.push((row, end as u64)),
            // A power failure can leave a last line of zeros that has its newline.
            Err(_) if i + 1 == lines.len() => {}
            Err(reason) => {
                return Err(Error::Invalid {
                    path: path.to_path_buf(),
                    row: Some(i + 1),
                    what: format!("not a line of metrics: {reason}"),
                    help: "repair or remove this line",
                });
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> Row {
        Row {
            step,
            stage: "rl".into(),
            time: step as f64 * 0.5,
            values: vec![
                ("reward/mean".into(), 0.1 * step as f64),
                ("actor/grad_norm".into(), f64::NAN),
                ("z".into(), 1e-9),
                ("a".into(), -3.0),
            ],
        }
    }

    fn write(run: &RunDir, resume: Option<u64>, steps: std::ops::RangeInclusive<u64>) {
        let mut writer = MetricsWriter::open(run, resume).unwrap();
        steps.for_each(|step| writer.write(&row(step)).unwrap());
        writer.sync().unwrap();
    }

    #[test]
    fn a_resumed_file_is_that_of_an_uninterrupted_run() {
        let folder = tempfile::tempdir().unwrap();
        let [whole, killed] = ["a", "b"].map(|n| RunDir::create(&folder.path().join(n)).unwrap());
        write(&whole, None, 1..=9);
        write(&killed, None, 1..=7);
        for torn in ["", "{\"step\":8,\"sta", "\n", "\0\0\0\0\n"] {
            let mut file = OpenOptions::new()
                .append(true)
                .open(killed.metrics())
                .unwrap();
            file.write_all(torn.as_bytes()).unwrap();
            assert_eq!(
                read_metrics(&killed.metrics()).unwrap().len() % 2,
                1,
                "{torn:?}"
            );
            write(&killed, Some(5), 6..=9);
            assert_eq!(
                fs::read(whole.metrics()).unwrap(),
                fs::read(killed.metrics()).unwrap()
            );
        }
        write(&killed, Some(0), 1..=9);
        assert_eq!(
            fs::read(whole.metrics()).unwrap(),
            fs::read(killed.metrics()).unwrap()
        );
    }

    #[test]
    fn rows_come_back_in_order_and_every_line_is_json() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        assert!(read_metrics(&run.metrics()).unwrap().is_empty());
        write(&run, None, 3..=3);
        let text = fs::read_to_string(run.metrics()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value["actor/grad_norm"].is_null());
        let back = read_metrics(&run.metrics()).unwrap().remove(0);
        let names = |row: &Row| row.values.iter().map(|v| v.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&back), names(&row(3)));
        assert_eq!((back.step, back.stage.as_str(), back.time), (3, "rl", 1.5));
        assert_eq!(back.get("z"), Some(1e-9));
        assert!(back.get("actor/grad_norm").unwrap().is_nan());
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, "{\"step\":1}\n{\"loss\":2}\n{\"step\":2}\n").unwrap();
        let message = read_metrics(&path).unwrap_err().to_string();
        assert!(
            message.contains("metrics.jsonl:2") && message.contains("`step` is missing"),
            "{message}"
        );
    }

    #[test]
    fn reserved_names_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        let mut writer = MetricsWriter::open(&run, None).unwrap();
        let bad = Row {
            values: vec![("time".into(), 1.0)],
            ..Row::default()
        };
        assert!(
            writer
                .write(&bad)
                .unwrap_err()
                .to_string()
                .contains("`time`")
        );
    }
}
