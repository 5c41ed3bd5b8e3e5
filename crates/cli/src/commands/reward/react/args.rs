//! The options of `percept reward react`, and the clips that they name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use percept_data::RawRows;

use crate::shared::Failure;
use crate::shared::judging::{JudgingArgs, NamedClip};

/// Score clips by their frames: what is broken, where, and why. Frames are chosen in two rounds, the second where the first found
/// low scores.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept reward react --model runs/react clip.mp4 --prompt \"a dog catches a ball\" --output scores/
  percept reward react --model runs/react --prompts clips.csv --output scores/
  percept reward react --model runs/react --frames frames/clip1 frames/clip2 --frame-rate 24
  percept reward react --endpoint URL --api-model NAME clip.mp4 --uniform")]
pub struct ReactArgs {
    /// Videos: files, or folders of frames.
    #[arg(required_unless_present_any = ["frames", "prompts"])]
    pub videos: Vec<PathBuf>,
    /// Folders of frames, in the order of their names.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub frames: Vec<PathBuf>,
    /// Frames per second of --frames.
    #[arg(long, default_value_t = 24.0)]
    pub frame_rate: f64,
    /// What the clips were made from.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        conflicts_with = "prompts"
    )]
    pub prompt: String,
    /// Rows with `path` (or `video`) and `prompt`, in any format that training reads: clips, relative to this file, and what each
    /// was made from.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["videos", "frames"])]
    pub prompts: Option<PathBuf>,
    /// Output folder: clips.jsonl, from which a stopped command goes on, and sheet.html with the worst frames first. Without it,
    /// a line of JSON for each clip on standard output.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Frames of each clip in sheet.html.
    #[arg(long, default_value_t = 8)]
    pub sheet_frames: usize,
    /// How clips are judged.
    #[command(flatten)]
    pub judging: JudgingArgs,
}

impl ReactArgs {
    /// The clips, each once.
    pub fn clips(&self) -> Result<Vec<NamedClip>, Failure> {
        let clips = match &self.prompts {
            Some(file) => rows(file)?,
            None => {
                let one = |path: &PathBuf, frame_rate| NamedClip {
                    name: path.display().to_string(),
                    prompt: self.prompt.clone(),
                    path: path.clone(),
                    frame_rate,
                };
                let videos = self.videos.iter().map(|path| one(path, None));
                let frames = self.frames.iter();
                videos
                    .chain(frames.map(|path| one(path, Some(self.frame_rate))))
                    .collect()
            }
        };
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for clip in &clips {
            if let Some(before) = seen.insert(&clip.name, &clip.prompt) {
                let with = match before == clip.prompt {
                    true => "",
                    false => ", with different prompts",
                };
                return Err(Failure::new(format!("{} is named twice{with}", clip.name)));
            }
        }
        Ok(clips)
    }
}

fn rows(file: &Path) -> Result<Vec<NamedClip>, Failure> {
    let rows = RawRows::open(file, file)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let one = |at: usize| {
        let row = rows.get(at)?;
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| row.get(*name)?.as_str());
            found.map(str::to_owned).ok_or_else(|| {
                Failure::new(format!(
                    "{}:{}: no {}; expected a text there",
                    file.display(),
                    rows.number(at),
                    names.join(" or ")
                ))
            })
        };
        let name = text(&["path", "video"])?;
        Ok(NamedClip {
            path: folder.join(&name),
            prompt: text(&["prompt"])?,
            name,
            frame_rate: None,
        })
    };
    (0..rows.len()).map(one).collect()
}
