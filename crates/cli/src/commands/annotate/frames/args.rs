//! Arguments of `percept annotate frames`.

use std::path::PathBuf;

use clap::Args;

use crate::commands::annotate::overlap_args::OverlapArgs;

/// Cut pairs of frames from two generators' clips of one prompt, and serve the page on which they are labelled.
#[derive(Debug, Args)]
#[command(
    after_help = "--videos is a table with the columns path_A, path_B and prompt (VideoGen-RewardBench's names; A_model and
B_model where they are known), paths relative to it, or a folder:

  clips/prompts.csv        name,prompt
  clips/kling/0001.mp4     a subfolder for each generator, with clips of equal names
  clips/luma/0001.mp4      (files, or folders of frames)

OUT holds pairs.jsonl, frames/ and actions.jsonl. Every click is an action: it is on the disk before the page says that
it is saved, and a page that lost the server keeps its actions and sends them again. The same command goes on
where it was. Annotators give a name; a reviewer opens the same page and chooses Review.

Examples:
  percept annotate frames --videos pairs.csv --out labels --serve
  percept annotate frames --videos clips --frames 6 --overlap 2 --overlap-share 0.1 --out labels --serve
  percept annotate status labels
  percept annotate export labels --output labels/train.parquet"
)]
pub struct AnnotateFrames {
    /// Pairs of clips: a table, or a folder. Not needed where OUT holds them already.
    #[arg(long, value_name = "DIR|FILE")]
    pub videos: Option<PathBuf>,
    /// Folder of the frames and of what is said of them.
    #[arg(long, value_name = "DIR", default_value = "annotations")]
    pub out: PathBuf,
    /// Serve the page at this address. Whoever can reach it can read and annotate.
    #[arg(long, num_args = 0..=1, default_missing_value = "127.0.0.1:7861", value_name = "ADDRESS")]
    pub serve: Option<String>,
    /// Frames of each clip, in the middle of equal parts of the shorter one.
    #[arg(long, value_name = "N", default_value_t = 4, conflicts_with = "at")]
    pub frames: usize,
    /// Times in seconds at which frames are cut, instead.
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    pub at: Vec<f64>,
    /// In a folder of more than two generators, pair every two for each prompt instead of drawing two.
    #[arg(long)]
    pub every_two: bool,
    /// Leave out pairs of which a clip is missing; otherwise they are an error.
    #[arg(long)]
    pub skip_missing: bool,
    /// Random seed of sides and of drawn generators, in a folder.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How many annotators get a pair.
    #[command(flatten)]
    pub overlap: OverlapArgs,
}
