//! Reading safetensors checkpoints: one file or shards with an index, memory-mapped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::Error;

/// How strictly a checkpoint is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Accept NaN and infinite weights. By default they are refused with the tensor's name,
    /// because nothing trains on from them.
    pub allow_non_finite: bool,
}

/// The tensors of a checkpoint folder, under the names the hub uses.
pub struct Checkpoint {
    dir: PathBuf,
    files: Vec<(PathBuf, Mmap)>,
    tensors: BTreeMap<String, Entry>,
}

struct Entry {
    file: usize,
    stored_name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Where the tensor's bytes stand in the file.
    bytes: std::ops::Range<usize>,
}

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// No such file, a missing shard, a truncated or malformed file, a tensor stored twice.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let single = dir.join("model.safetensors");
        let index = dir.join("model.safetensors.index.json");
        if single.exists() {
            return Self::open_files(dir, &[single], hub_name);
        }
        if !index.exists() {
            return Err(Error::checkpoint(dir, no_weights(dir)));
        }
        let weight_map = read_index(&index)?;
        let shards: BTreeSet<&String> = weight_map.values().collect();
        let paths: Vec<PathBuf> = shards.iter().map(|name| dir.join(name)).collect();
        if let Some(missing) = paths.iter().find(|path| !path.exists()) {
            let message = format!(
                "listed in {} but missing; download it again",
                index.display()
            );
            return Err(Error::checkpoint(missing, message));
        }
        let checkpoint = Self::open_files(dir, &paths, hub_name)?;
        for (name, shard) in &weight_map {
            let path = dir.join(shard);
            let found = checkpoint.tensors.get(&hub_name(name));
            if found.is_none_or(|entry| checkpoint.files[entry.file].0 != path) {
                let message = format!("missing, though {} says it is here", index.display());
                return Err(Error::Tensor {
                    path,
                    name: name.clone(),
                    message,
                });
            }
        }
        Ok(checkpoint)
    }

    /// Opens one safetensors file; `rename` maps stored names to the names of [`Checkpoint::names`].
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_file(path: &Path, rename: fn(&str) -> String) -> Result<Self, Error> {
        let dir = path.parent().unwrap_or(Path::new("."));
        Self::open_files(dir, &[path.to_path_buf()], rename)
    }

    fn open_files(
        dir: &Path,
        paths: &[PathBuf],
        rename: fn(&str) -> String,
    ) -> Result<Self, Error> {
        let mut checkpoint = Self {
            dir: dir.to_path_buf(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
        };
        for path in paths {
            checkpoint.add_file(path, rename)?;
        }
        Ok(checkpoint)
    }

    fn add_file(&mut self, path: &Path, rename: fn(&str) -> String) -> Result<(), Error> {
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        if file.metadata().map_err(Error::io(path))?.len() == 0 {
            return Err(Error::checkpoint(
                path,
                "the file is empty; copy or download it again",
            ));
        }
        // SAFETY: the map is read-only; a file that another process shortens meanwhile ends this
        // process with SIGBUS, as with every program that maps checkpoints.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let parsed = SafeTensors::deserialize(&map).map_err(|error| {
            let help = "the file is truncated or not a safetensors file; copy or download it again";
            Error::checkpoint(path, format!("{error}\n  help: {help}"))
        })?;
        for (name, view) in parsed.iter() {
            let start = view.data().as_ptr() as usize - map.as_ptr() as usize;
            let entry = Entry {
                file: self.files.len(),
                stored_name: name.to_string(),
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: start..start + view.data().len(),
            };
            if let Some(twice) = self.tensors.insert(rename(name), entry) {
                let message = format!("stored twice, also as {}", twice.stored_name);
                let path = path.to_path_buf();
                return Err(Error::Tensor {
                    path,
                    name: name.to_string(),
                    message,
                });
            }
        }
        drop(parsed);
        self.files.push((path.to_path_buf(), map));
        Ok(())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Hub names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether a tensor of this hub name is stored.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Reads a tensor of the expected shape as f32, row-major.
    ///
    /// # Errors
    /// A missing tensor, another shape, a dtype other than f32, bf16 and f16, NaN or infinity.
    pub fn read(
        &self,
        name: &str,
        shape: &[usize],
        options: LoadOptions,
    ) -> Result<Vec<f32>, Error> {
        let Some(entry) = self.tensors.get(name) else {
            let mut message = format!("missing; expected shape {shape:?}");
            if name == "lm_head.weight" {
                message += "\n  help: if the head shares the embedding table, config.json must \
                    say \"tie_word_embeddings\": true";
            }
            return Err(Error::Tensor {
                path: self.dir.clone(),
                name: name.into(),
                message,
            });
        };
        let (path, map) = &self.files[entry.file];
        let error = |message: String| Error::Tensor {
            path: path.clone(),
            name: entry.stored_name.clone(),
            message,
        };
        if entry.shape != shape {
            return Err(error(format!(
                "found shape {:?}, expected {shape:?}",
                entry.shape
            )));
        }
        let bytes = &map[entry.bytes.clone()];
        let values = to_f32(bytes, entry.dtype).ok_or_else(|| {
            error(format!(
                "found dtype {:?}, expected F32, BF16 or F16",
                entry.dtype
            ))
        })?;
        if !options.allow_non_finite
            && let Some(at) = values.par_iter().position_any(|v| !v.is_finite())
        {
            let found = values[at];
            return Err(error(format!(
                "holds {found} (element {at}); the checkpoint is broken"
            )));
        }
        Ok(values)
    }

    /// Refuses tensors that `expected` does not know.
    ///
    /// # Errors
    /// [`Error::Tensor`] naming the first of them.
    pub fn check_no_others(&self, expected: &BTreeSet<&str>) -> Result<(), Error> {
        let extra: Vec<&str> = self
            .names()
            .filter(|name| !expected.contains(name))
            .collect();
        let Some(first) = extra.first() else {
            return Ok(());
        };
        let entry = &self.tensors[*first];
        let others = match extra.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        Err(Error::Tensor {
            path: self.files[entry.file].0.clone(),
            name: entry.stored_name.clone(),
            message: format!(
                "unexpected{others}: the architecture of config.json has no such parameter"
            ),
        })
    }
}

/// What a folder without safetensors has instead.
fn no_weights(dir: &Path) -> String {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names: Vec<String> = files
        .map(|file| file.file_name().to_string_lossy().to_lowercase())
        .collect();
    let holds = |ending: &str| names.iter().any(|name| name.ends_with(ending));
    let help = if holds(".gguf") {
        "GGUF holds quantised weights for inference; take the model's original folder (hf download ORG/NAME)"
    } else if holds(".bin") || holds(".pt") || holds(".pth") {
        "percept reads safetensors; a pytorch_model.bin is converted by loading and saving it once with transformers"
    } else {
        "the folder has no weights; was the download interrupted? (hf download ORG/NAME goes on with it)"
    };
    format!(
        "no model.safetensors and no model.safetensors.index.json in this folder\n  help: {help}"
    )
}

fn read_index(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let index: Value = serde_json::from_slice(&bytes).map_err(Error::json(path))?;
    let map = index.get("weight_map").cloned().unwrap_or_default();
    let map: BTreeMap<String, String> = serde_json::from_value(map).map_err(Error::json(path))?;
    if let Some(shard) = map.values().find(|name| name.contains(['/', '\\'])) {
        let message = format!("weight_map names {shard:?}; a shard must lie in the same folder");
        return Err(Error::checkpoint(path, message));
    }
    Ok(map)
}

/// The name that a parameter has here, for the name that some library stored it under, whether its own in memory or the
/// hub's: `model.…` and `lm_head.…` the decoder's, `visual.…` Qwen's tower, `vision_tower.vision_model.…` CLIP's and
/// `multi_modal_projector.…` what stands behind it.
pub fn hub_name(stored: &str) -> String {
    let name = stored.strip_prefix("_orig_mod.").unwrap_or(stored);
    let tower = name.strip_prefix("model.").unwrap_or(name);
    if let Some(rest) = tower.strip_prefix("vision_tower.") {
        // transformers 5 has the tower without the model around it.
        let rest = rest.strip_prefix("vision_model.").unwrap_or(rest);
        return format!("vision_tower.vision_model.{rest}");
    }
    for (prefix, hub) in [
        ("model.language_model.", "model."),
        ("language_model.model.", "model."),
        ("language_model.lm_head.", "lm_head."),
        ("model.visual.", "visual."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("model.lm_head.", "lm_head."),
    ] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return format!("{hub}{rest}");
        }
    }
    name.to_string()
}

fn to_f32(bytes: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    fn convert<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
        let mut values = vec![0.0; bytes.len() / N];
        values
            .par_chunks_mut(1 << 16)
            .zip(bytes.par_chunks(N << 16))
            .for_each(|(to, from)| {
                for (to, from) in to.iter_mut().zip(from.as_chunks::<N>().0) {
                    *to = f(*from);
                }
            });
        values
    }
    match dtype {
        Dtype::F32 => Some(convert(bytes, f32::from_le_bytes)),
        Dtype::BF16 => Some(convert(bytes, |b| half::bf16::from_le_bytes(b).to_f32())),
        Dtype::F16 => Some(convert(bytes, |b| half::f16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::hub_name;

    #[test]
    fn every_library_s_name_becomes_the_hub_s() {
        for (stored, hub) in [
            (
                "model.language_model.layers.0.mlp.up_proj.weight",
                "model.layers.0.mlp.up_proj.weight",
            ),
            ("language_model.model.norm.weight", "model.norm.weight"),
            (
                "model.visual.blocks.1.norm1.weight",
                "visual.blocks.1.norm1.weight",
            ),
            ("visual.merger.ln_q.weight", "visual.merger.ln_q.weight"),
            ("model.embed_tokens.weight", "model.embed_tokens.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
            (
                "vision_tower.vision_model.pre_layrnorm.bias",
                "vision_tower.vision_model.pre_layrnorm.bias",
            ),
            (
                "vision_tower.pre_layrnorm.bias",
                "vision_tower.vision_model.pre_layrnorm.bias",
            ),
            (
                "model.vision_tower.encoder.layers.1.mlp.fc1.weight",
                "vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight",
            ),
            (
                "model.multi_modal_projector.linear_1.weight",
                "multi_modal_projector.linear_1.weight",
            ),
        ] {
            assert_eq!(hub_name(stored), hub);
        }
    }
}
