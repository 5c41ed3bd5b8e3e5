//! Where a model is: what `--model`, `--adapter` and `model.path` may say.
//!
//! | named | taken |
//! |---|---|
//! | a folder with `config.json` | it |
//! | a folder with `adapter_config.json` only | the base model that the file names, with this adapter |
//! | a run folder, or its `checkpoints/` | its newest complete checkpoint |
//! | `org/name` or `org/name@revision`, and no such path | the snapshot in the local Hugging Face cache |
//!
//! Nothing is downloaded: where the cache has no such model, the error says which command brings it.

use std::path::{Path, PathBuf};

use percept_report::RunDir;
use serde_json::Value;

use crate::Error;

const CONFIG: &str = "config.json";
const ADAPTER: &str = "adapter_config.json";

/// A model's folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The folder with `config.json` and the weights.
    pub base: PathBuf,
    /// An adapter that belongs on top of it.
    pub adapter: Option<PathBuf>,
}

impl Located {
    /// The folder whose tokenizer, chat template and image limits the model was trained with: the adapter's, where
    /// it was saved with them.
    pub fn processor(&self) -> &Path {
        let holds =
            |folder: &Path, names: &[&str]| names.iter().any(|name| folder.join(name).exists());
        let images = ["preprocessor_config.json", "processor_config.json"];
        match &self.adapter {
            Some(adapter)
                if holds(adapter, &["tokenizer.json"])
                    && (holds(adapter, &images) || !holds(&self.base, &images)) =>
            {
                adapter
            }
            _ => &self.base,
        }
    }
}

/// Finds a model by its name.
///
/// # Errors
/// [`Error::Model`] naming what was looked for, and what to do.
pub fn locate(name: &Path) -> Result<Located, Error> {
    let folder = folder(name, CONFIG)?;
    let has = |file: &str| folder.join(file).exists();
    let weights = has("model.safetensors") || has("model.safetensors.index.json");
    // Some trainers copy config.json beside an adapter.
    if has(CONFIG) && (weights || !has(ADAPTER)) {
        return Ok(Located {
            base: folder,
            adapter: None,
        });
    }
    let file = folder.join(ADAPTER);
    let base = base_of(&file)?;
    // A relative path is as in PEFT: from the working directory, where training was started.
    let base = self::folder(Path::new(&base), CONFIG).map_err(|e| {
        no(&file, format!("names the base model {base:?}, which is not here\n  because: {e}\n  help: give the base as --model and this folder as --adapter"))
    })?;
    Ok(Located {
        base,
        adapter: Some(folder),
    })
}

/// Finds an adapter by its name.
///
/// # Errors
/// As [`locate`].
pub fn locate_adapter(name: &Path) -> Result<PathBuf, Error> {
    let folder = folder(name, ADAPTER)?;
    match folder.join(ADAPTER).exists() {
        true => Ok(folder),
        false => Err(no(
            &folder,
            "this folder holds a whole model, not an adapter\n  help: give it as --model".into(),
        )),
    }
}

/// A folder with the file or an adapter.
fn folder(name: &Path, wanted: &str) -> Result<PathBuf, Error> {
    if name.is_dir() {
        return in_folder(name, wanted);
    }
    if name.exists() {
        return Err(no(name, a_file(name)));
    }
    match HubName::of(name) {
        Some(hub) => hub.snapshot(wanted),
        None => Err(no(
            name,
            "no such folder\n  help: a model is a Hugging Face folder with config.json, a run folder, or an \
             id of the Hugging Face Hub (org/name) in the local cache"
                .into(),
        )),
    }
}

fn in_folder(folder: &Path, wanted: &str) -> Result<PathBuf, Error> {
    if [wanted, CONFIG, ADAPTER]
        .iter()
        .any(|file| folder.join(file).exists())
    {
        return Ok(folder.to_owned());
    }
    if let Some(run) = run_folder(folder) {
        return match run.latest_checkpoint()? {
            Some(newest) => Ok(newest.path),
            None => Err(no(
                folder,
                "a run folder without a complete checkpoint\n  help: trainer.save_freq says how often one is \
                 written; one is written when a stage ends"
                    .into(),
            )),
        };
    }
    let holds = |ending: &str| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .map(|file| file.file_name().to_string_lossy().to_lowercase())
            .any(|name| name.ends_with(ending))
    };
    let message = match (holds(".gguf"), holds(".safetensors")) {
        (true, false) => GGUF.to_owned(),
        _ => format!(
            "neither a model nor a run: no {CONFIG}, no {ADAPTER} and no checkpoints/ in this folder\n  help: give \
             the folder that holds {CONFIG} and the weights"
        ),
    };
    Err(no(folder, message))
}

/// The run that the folder is, or whose `checkpoints/` it is.
fn run_folder(folder: &Path) -> Option<RunDir> {
    if let Ok(run) = RunDir::open(folder) {
        return Some(run);
    }
    let whole = folder.canonicalize().ok()?;
    let parent = whole.parent()?;
    let run = RunDir::open(parent).ok()?;
    (run.checkpoints_dir() == whole).then_some(run)
}

const GGUF: &str = "GGUF holds quantised weights for inference, which cannot be trained or read here\n  help: give \
                    the model's original folder (config.json and safetensors); hf download ORG/NAME brings it";

fn a_file(path: &Path) -> String {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("gguf") => GGUF.to_owned(),
        Some("safetensors" | "bin" | "pt" | "pth" | "json") => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).display();
            format!("a file; expected the folder that holds it with config.json\n  help: {parent}")
        }
        _ => "a file; expected a folder with config.json".to_owned(),
    }
}

fn base_of(file: &Path) -> Result<String, Error> {
    let read = || {
        let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
        let json: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let base = json["base_model_name_or_path"].as_str().map(str::to_owned);
        base.filter(|base| !base.is_empty()).ok_or_else(|| {
            "base_model_name_or_path is missing: the base has no folder of its own (a built-in model, or one with another \
             adapter merged)\n  help: write the base to a folder (percept merge), and give it as --model and this folder as --adapter"
                .to_owned()
        })
    };
    read().map_err(|message| no(file, message))
}

/// An id of the Hugging Face Hub.
struct HubName {
    id: String,
    revision: Option<String>,
}

impl HubName {
    /// Whether this could be one: `name` or `org/name`, with `@revision`.
    fn of(name: &Path) -> Option<Self> {
        let text = name.to_str()?;
        let (id, revision) = match text.split_once('@') {
            Some((id, revision)) => (id, Some(revision.to_owned())),
            None => (text, None),
        };
        let word = |part: &str| {
            let ends = |c: char| c.is_ascii_alphanumeric() || c == '_';
            part.starts_with(ends)
                && part.chars().all(|c| ends(c) || c == '-' || c == '.')
                && !part.contains("..")
        };
        let plain = |revision: &String| !revision.is_empty() && revision.split('/').all(word);
        let parts: Vec<&str> = id.split('/').collect();
        let ok = parts.len() == 2 && parts.iter().all(|part| word(part));
        (ok && revision.as_ref().is_none_or(plain)).then(|| Self {
            id: id.to_owned(),
            revision,
        })
    }

    fn snapshot(&self, wanted: &str) -> Result<PathBuf, Error> {
        let cache = hub_cache();
        let repo = cache.join(format!("models--{}", self.id.replace('/', "--")));
        let revision = self.revision.as_deref().unwrap_or("main");
        let snapshot = |hash: &str| repo.join("snapshots").join(hash.trim());
        let found = std::fs::read_to_string(repo.join("refs").join(revision))
            .ok()
            .map(|hash| snapshot(&hash))
            .or_else(|| Some(snapshot(revision)))
            .filter(|folder| folder.is_dir());
        let command = match &self.revision {
            Some(revision) => format!("hf download {} --revision {revision}", self.id),
            None => format!("hf download {}", self.id),
        };
        let cache = cache.display();
        let Some(folder) = found else {
            let what = match repo.is_dir() {
                true => format!(
                    "the local Hugging Face cache ({cache}) has this model, but not its revision {revision}"
                ),
                false => {
                    format!("no such folder, and not in the local Hugging Face cache ({cache})")
                }
            };
            return Err(no(
                Path::new(&self.id),
                format!("{what}\n  help: {command}"),
            ));
        };
        // A file is a link to a blob, which an interrupted download leaves out.
        if [wanted, CONFIG, ADAPTER]
            .iter()
            .any(|file| folder.join(file).exists())
        {
            return Ok(folder);
        }
        let message = format!("its snapshot in the local cache has no {wanted}\n  help: {command}");
        Err(no(&folder, message))
    }
}

/// As huggingface_hub finds it.
fn hub_cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(cache) = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")) {
        return home_of(cache);
    }
    let home = set("HF_HOME").or_else(|| Some(set("XDG_CACHE_HOME")?.join("huggingface")));
    home_of(home.unwrap_or_else(|| PathBuf::from("~/.cache/huggingface"))).join("hub")
}

/// `~` in a path.
fn home_of(path: PathBuf) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        Err(_) => path,
    }
}

fn no(path: &Path, message: String) -> Error {
    Error::Model(percept_model::Error::checkpoint(path, message))
}
