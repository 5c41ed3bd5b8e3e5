//! Arguments of `percept halbench build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept_halbench::{AbsentRule, ImageFormat, Step};

use crate::shared::edit_args::EditArgs;
use crate::shared::endpoint_args::{AllowImages, CallArgs, EndpointArgs};

/// Build a counterfactual benchmark from images with COCO annotations.
#[derive(Debug, Args)]
#[command(
    after_help = "Steps: statistics, roles, choice, edit, quality, questions, dataset. Each writes its decisions and
their reasons to OUT/steps. The same command resumes a stopped build; a step is repeated when its
settings or its inputs have changed. The same seed gives the same files.

The built-in editor puts a cut-out of another image in the place of what it takes away: a stand-in
for a diffusion model. A model that re-detects keeps what it can see: it, and its like, should not
be measured with the benchmark. Programs have --timeout seconds for an image. The key of an
endpoint is read from PERCEPT_API_KEY, else OPENAI_API_KEY, and written nowhere.

Examples:
  percept halbench build --images val2017 --annotations instances_val2017.json --out bench
  percept halbench build --images val2017 --annotations instances_val2017.json --out bench \\
      --endpoint https://host/v1 --api-model gemini-2.5-flash \\
      --edit-command 'python inpaint.py {image} {mask} {prompt} {output} --seed {seed}' \\
      --score-command 'python tools/clip_score.py clip-vit-base-patch32 {image} {classes}'
  percept halbench build --images val2017 --annotations instances_val2017.json --out bench \\
      --detect-model Qwen2.5-VL-3B-Instruct --from quality
  percept halbench build --images val2017 --annotations instances_val2017.json --out bench --from quality",
    mut_arg("endpoint", |arg| arg.help(
        "OpenAI-compatible server whose model chooses the replacement and describes it (default: a rule)"
    ))
)]
pub struct HalbenchBuild {
    /// Folder of images.
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// Folders that --images links to.
    #[command(flatten)]
    pub allow: AllowImages,
    /// COCO instances file of these images, with outlines.
    #[arg(long, value_name = "FILE.json")]
    pub annotations: PathBuf,
    /// Another COCO instances file in which co-occurrence is counted (default: --annotations).
    #[arg(long, value_name = "FILE.json")]
    pub count_in: Option<PathBuf>,
    /// Folder of the benchmark.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Run only this step again.
    #[arg(long, value_name = "STEP", value_parser = step, conflicts_with = "from")]
    pub step: Option<Step>,
    /// Run this step and all later ones again.
    #[arg(long, value_name = "STEP", value_parser = step)]
    pub from: Option<Step>,

    /// Who chooses the replacement.
    #[command(flatten)]
    pub server: EndpointArgs,
    /// Local model that chooses the replacement and describes it (folder, run, or id in the Hugging Face
    /// cache).
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint")]
    pub model: Option<PathBuf>,
    /// Device of --model and --detect-model.
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// Who edits.
    #[command(flatten)]
    pub editor: EditArgs,
    /// Score classes with a program that reads {image} and {classes} (a text file, one per line) and
    /// prints a JSON list of numbers: edits must gain the new class and lose the old one.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["detect_endpoint", "detect_model"])]
    pub score_command: Option<String>,
    /// Check edits with a vision-language model on an OpenAI-compatible server: asked about the edited
    /// region, it must see the old object before the edit and the new one after it.
    #[arg(
        long,
        value_name = "URL",
        requires = "detect_api_model",
        conflicts_with = "detect_model"
    )]
    pub detect_endpoint: Option<String>,
    /// Name of that model as the server knows it.
    #[arg(long, value_name = "NAME", requires = "detect_endpoint")]
    pub detect_api_model: Option<String>,
    /// Check edits with a local vision-language model on --device (folder, run, or id in the Hugging Face
    /// cache).
    #[arg(long, value_name = "DIR")]
    pub detect_model: Option<PathBuf>,
    /// How servers are asked.
    #[command(flatten)]
    pub calls: CallArgs,

    /// Allow classes that are already in the image as candidates, as the official script does.
    #[arg(long)]
    pub allow_present: bool,
    /// Maximum number of objects of the replaced class in one image.
    #[arg(long, default_value_t = 3)]
    pub max_instances: usize,
    /// Smallest share of the image that a replaced object may cover.
    #[arg(long, default_value_t = 0.01)]
    pub min_target_share: f64,
    /// Largest share of the image that a replaced object may cover.
    #[arg(long, default_value_t = 0.35)]
    pub max_target_share: f64,
    /// Maximum number of edits per image (default: one per class).
    #[arg(long)]
    pub max_edits_per_image: Option<usize>,
    /// How the two absent classes are chosen.
    #[arg(long, value_enum, default_value_t = Absent::Target)]
    pub absent: Absent,
    /// Format of the images.
    #[arg(long, value_enum, default_value_t = Format::Png)]
    pub image_format: Format,
}

fn step(name: &str) -> Result<Step, String> {
    Step::named(name).ok_or_else(|| {
        let names = Step::ALL.map(Step::name).join(", ");
        format!("expected one of {names}")
    })
}

/// How absent classes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Absent {
    /// The classes that occur most often with the replaced class.
    Target,
    /// At random.
    Random,
}

impl From<Absent> for AbsentRule {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Target => Self::Target,
            Absent::Random => Self::Random,
        }
    }
}

/// Format of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lossless.
    Png,
    /// As in the official data set.
    Jpeg,
}

impl From<Format> for ImageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Png => Self::Png,
            Format::Jpeg => Self::Jpeg,
        }
    }
}
