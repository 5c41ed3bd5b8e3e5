//! Arguments of `percept data visual-pairs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept_pairs::{Method, ModelScale};

use super::onnx_args::OnnxArgs;
use crate::shared::edit_args::EditArgs;
use crate::shared::endpoint_args::{AllowImages, CallArgs, EndpointArgs};

/// Make rejected pictures for preference training: the picture without what its answer talks about.
#[derive(Debug, Args)]
#[command(
    mut_arg("endpoint", |arg| arg.help(
        "OpenAI-compatible server with a vision-language model that tags and finds"
    )),
    after_help = "Steps of --method adavip: rows, tags, boxes, masks, candidates, choice, pairs; of the others:
rows, pictures, pairs. Each writes its decisions and their reasons to OUT/steps. The same command
resumes a stopped one and ends with the same files; a step is repeated when its settings or its
inputs have changed.

OUT/pairs.jsonl has TRL's conversational rows with `rejected_images`; OUT/index.html shows every
decision. A row without a rejected picture stays as a pair of answers where it has two, and is
counted. The chosen answer is the row's chosen, last assistant turn, expert or answer.

The default scorer is not CLIP: it knows which objects were found and which pixels were removed,
and finds the objects that the answer names by CHAIR's words. The built-in remover copies patches
of the surroundings. Programs are started once for a picture and have --timeout seconds. A model's
answers are kept in OUT/steps; the key of an endpoint is read from PERCEPT_API_KEY, else
OPENAI_API_KEY, and written nowhere.

Examples:
  percept data visual-pairs --data rows.jsonl --annotations instances_train2017.json --out pairs
  percept data visual-pairs --data rows.jsonl --method crop --out pairs-mdpo
  percept data visual-pairs --data rows.jsonl --out pairs --detect-onnx nanodet.onnx \\
      --onnx-runtime onnxruntime/capi/libonnxruntime.so.1.32.0
  percept data visual-pairs --data rows.jsonl --out pairs --tag-command 'python ram.py {image}' \\
      --detect-command 'python dino.py {image} {tags}' \\
      --segment-command 'python sam.py {image} {boxes}' \\
      --edit-command 'python lama.py {image} {mask} {output}' \\
      --score-command 'python clip.py {image} {texts}'"
)]
pub struct DataVisualPairs {
    /// Data files with answers or pairs of answers.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Folder from which relative image paths start (default: the folder of the data file).
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// From where images may be copied.
    #[command(flatten)]
    pub allow: AllowImages,
    /// Output folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How rejected pictures are made.
    #[arg(long, value_enum, default_value_t = MethodArg::Adavip)]
    pub method: MethodArg,
    /// Random seed; draws depend on it and on a row's id.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Run this step and all later ones again.
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// Maximum number of rows under way at once (default: the number of processors).
    #[arg(long)]
    pub workers: Option<usize>,

    /// COCO instances file of the pictures: tags, boxes and masks. Pictures are found by the column
    /// `image_id`, else by their file name.
    #[arg(long, value_name = "FILE.json")]
    pub annotations: Option<PathBuf>,
    /// Model files.
    #[command(flatten)]
    pub onnx: OnnxArgs,
    /// A vision-language model that tags and finds, on a server.
    #[command(flatten)]
    pub server: EndpointArgs,
    /// A local vision-language model that tags and finds: a Hugging Face folder, a run folder, or an id in
    /// the local Hugging Face cache.
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint")]
    pub model: Option<PathBuf>,
    /// Device of --model.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// What the numbers of that model's boxes count: pixels (Qwen2.5-VL), thousandths (Qwen2-VL,
    /// Qwen3-VL) or fractions of the sides.
    #[arg(long, value_enum, default_value_t = Scale::Pixels)]
    pub box_scale: Scale,
    /// Who says what a picture shows (default: --tag-command, else --tag-onnx or --detect-onnx, else --annotations, else
    /// the model).
    #[arg(long, value_enum)]
    pub tagger: Option<Finder>,
    /// Tag with a program that reads {image} and prints a JSON list of names or of
    /// {"tag": "dog", "score": 0.9}.
    #[arg(long, value_name = "COMMAND")]
    pub tag_command: Option<String>,
    /// Who says where a tag is (default: --detect-command, else --detect-onnx, else --annotations, else the model).
    #[arg(long, value_enum)]
    pub detector: Option<Finder>,
    /// Detect with a program that reads {image} and {tags} (a text file, one per line) and prints a JSON
    /// list of {"tag": "dog", "bbox": [left, top, width, height], "score": 0.8}.
    #[arg(long, value_name = "COMMAND")]
    pub detect_command: Option<String>,
    /// Who says which pixels belong to it (default: --segment-command, else --segment-onnx, else --annotations, else its
    /// box).
    #[arg(long, value_enum)]
    pub segmenter: Option<Segment>,
    /// Segment with a program that reads {image} and {boxes} (a JSON file) and prints a JSON list of COCO
    /// segmentations, one per box.
    #[arg(long, value_name = "COMMAND")]
    pub segment_command: Option<String>,
    /// Who removes it.
    #[command(flatten)]
    pub editor: EditArgs,
    /// Score with a program that reads {image} and {texts} (a JSON file, a list of sentences) and prints a
    /// JSON list of numbers, like CLIP (default: --score-onnx, else the objects that the answer names).
    #[arg(long, value_name = "COMMAND")]
    pub score_command: Option<String>,
    /// Words of the objects instead of COCO's: a class per line, its name and other words, separated by
    /// commas.
    #[arg(long, value_name = "FILE", conflicts_with = "score_command")]
    pub words: Option<PathBuf>,
    /// How servers are asked; --timeout holds for programs too.
    #[command(flatten)]
    pub calls: CallArgs,

    /// Lowest score of a tag.
    #[arg(long, default_value_t = 0.0)]
    pub tag_threshold: f64,
    /// Lowest score of a box.
    #[arg(long, default_value_t = 0.35)]
    pub box_threshold: f64,
    /// Lowest score of a box for its tag, where the detector gives one.
    #[arg(long, default_value_t = 0.25)]
    pub text_threshold: f64,
    /// How far masks are grown, in pixels of a picture whose longer side is 336 (scaled to others).
    #[arg(long, default_value_t = 12.0)]
    pub dilate: f64,
    /// Smallest share of the picture that a removal may cover.
    #[arg(long, default_value_t = 0.005)]
    pub min_area: f64,
    /// Largest share of the picture that a removal may cover.
    #[arg(long, default_value_t = 0.7)]
    pub max_area: f64,
    /// Maximum number of candidates per row: the surest tags.
    #[arg(long, default_value_t = 16)]
    pub max_candidates: usize,
    /// The similarity must fall by more than this.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub min_drop: f64,
    /// Skip rows at which a tool fails (default: stop).
    #[arg(long)]
    pub skip_failures: bool,
    /// Crop: smallest and largest share of the picture's area.
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [0.01, 0.2])]
    pub crop_scale: Vec<f64>,
    /// Diffusion noise: step of 1000.
    #[arg(long, default_value_t = 500)]
    pub noise_step: usize,
    /// Diffusion noise: cells of noise on the longer side, as many as the model's picture has pixels
    /// (0: one per pixel).
    #[arg(long, default_value_t = 336)]
    pub noise_side: u32,
    /// Mask: share of the patches that is painted over.
    #[arg(long, default_value_t = 0.3)]
    pub mask_share: f64,
    /// Mask, blank: grey level.
    #[arg(long, default_value_t = 127)]
    pub level: u8,
}

/// How rejected pictures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum MethodArg {
    /// Remove what the answer talks about (AdaViP).
    Adavip,
    /// A small random part, enlarged (mDPO).
    Crop,
    /// Noise of a diffusion process (CHiP).
    DiffusionNoise,
    /// Paint over a share of the patches (OPA-DPO).
    Mask,
    /// One grey level.
    Blank,
    /// The picture of another row.
    OtherRow,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Adavip => Self::Adavip,
            MethodArg::Crop => Self::Crop,
            MethodArg::DiffusionNoise => Self::DiffusionNoise,
            MethodArg::Mask => Self::Mask,
            MethodArg::Blank => Self::Blank,
            MethodArg::OtherRow => Self::OtherRow,
        }
    }
}

/// Who tags or detects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Finder {
    /// --annotations.
    Annotations,
    /// A program.
    Command,
    /// --tag-onnx or --detect-onnx.
    Onnx,
    /// --model or --endpoint.
    Model,
}

/// What the numbers of a model's boxes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// Pixels of the picture.
    Pixels,
    /// Thousandths of its sides.
    Thousandths,
    /// Parts of its sides.
    Fractions,
}

impl From<Scale> for ModelScale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Pixels => Self::Pixels,
            Scale::Thousandths => Self::Thousandths,
            Scale::Fractions => Self::Fractions,
        }
    }
}

/// Who segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Segment {
    /// --annotations.
    Annotations,
    /// A program.
    Command,
    /// --segment-onnx.
    Onnx,
    /// The box itself.
    Box,
}
