//! Writing checkpoints that `transformers` loads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use safetensors::{Dtype, View};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Param};

/// A shard holds at most this many bytes, as on the hub.
pub const MAX_SHARD_BYTES: usize = 5_000_000_000;

/// The number format of saved weights.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum SaveDtype {
    /// 32-bit floats: what was trained, bit for bit.
    #[default]
    #[serde(rename = "float32")]
    F32,
    /// bfloat16, rounded to nearest: half the size, the format most models are published in.
    #[serde(rename = "bfloat16")]
    Bf16,
    /// 16-bit floats, rounded to nearest; refused when a weight exceeds their range (65 504).
    #[serde(rename = "float16")]
    F16,
}

impl SaveDtype {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            SaveDtype::F32 => "float32",
            SaveDtype::Bf16 => "bfloat16",
            SaveDtype::F16 => "float16",
        }
    }

    fn bytes(self) -> usize {
        if self == SaveDtype::F32 { 4 } else { 2 }
    }

    fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            SaveDtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            SaveDtype::Bf16 => values
                .iter()
                .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
                .collect(),
            SaveDtype::F16 => values
                .iter()
                .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
                .collect(),
        }
    }
}

/// What a parameter is in a file: its name there, and its values.
pub trait Written {
    /// The name that the file has for it.
    fn name(&self, param: &Param) -> String {
        param.name().to_owned()
    }

    /// The elements, row-major.
    fn values(&self, param: &Param) -> Vec<f32> {
        param.to_vec()
    }
}

/// Parameters as they are.
pub struct AsTheyAre;

impl Written for AsTheyAre {}

/// A tensor that is read and converted when it is written.
struct TensorToWrite<'a, W> {
    param: &'a Param,
    dtype: SaveDtype,
    written: &'a W,
}

impl<W: Written> View for TensorToWrite<'_, W> {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            SaveDtype::F32 => Dtype::F32,
            SaveDtype::Bf16 => Dtype::BF16,
            SaveDtype::F16 => Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        self.param.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.dtype.encode(&self.written.values(self.param)))
    }

    fn data_len(&self) -> usize {
        self.param.numel() * self.dtype.bytes()
    }
}

/// Writes one safetensors file.
///
/// # Errors
/// The file cannot be written; a weight does not fit into float16.
pub fn write_file(
    path: &Path,
    params: &[&Param],
    dtype: SaveDtype,
    written: &impl Written,
) -> Result<(), Error> {
    let mut tensors = Vec::new();
    for &param in params {
        let name = written.name(param);
        if dtype == SaveDtype::F16 {
            check_f16_range(path, &name, &written.values(param))?;
        }
        let tensor = TensorToWrite {
            param,
            dtype,
            written,
        };
        tensors.push((name, tensor));
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path)
        .map_err(|error| Error::checkpoint(path, error.to_string()))?;
    sync(path)
}

fn check_f16_range(path: &Path, name: &str, values: &[f32]) -> Result<(), Error> {
    let limit = half::f16::MAX.to_f32();
    match values.iter().find(|v| v.abs() > limit) {
        None => Ok(()),
        Some(found) => Err(Error::Tensor {
            path: path.to_path_buf(),
            name: name.to_string(),
            message: format!(
                "holds {found}, beyond float16's ±{limit}; save as bfloat16 or float32"
            ),
        }),
    }
}

/// Writes `model.safetensors`, or shards of at most `max_shard_bytes` and their index.
///
/// # Errors
/// As [`write_file`].
pub fn write_weights(
    dir: &Path,
    params: &[&Param],
    dtype: SaveDtype,
    max_shard_bytes: usize,
    written: &impl Written,
) -> Result<(), Error> {
    let bytes = |param: &Param| param.numel() * dtype.bytes();
    let mut shards: Vec<Vec<&Param>> = vec![Vec::new()];
    let mut used = 0;
    for &param in params {
        if used > 0 && used + bytes(param) > max_shard_bytes {
            shards.push(Vec::new());
            used = 0;
        }
        used += bytes(param);
        shards
            .last_mut()
            .expect("starts with one shard")
            .push(param);
    }
    if let [only] = shards.as_slice() {
        return write_file(&dir.join("model.safetensors"), only, dtype, written);
    }
    let mut weight_map = serde_json::Map::new();
    for (i, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", i + 1, shards.len());
        write_file(&dir.join(&name), shard, dtype, written)?;
        weight_map.extend(shard.iter().map(|p| (written.name(p), json!(name))));
    }
    let total: usize = params.iter().map(|param| bytes(param)).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    write_json(&dir.join("model.safetensors.index.json"), &index)
}

/// Writes indented JSON with a final newline and syncs it.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(Error::json(path))?;
    text.push('\n');
    std::fs::write(path, text).map_err(Error::io(path))?;
    sync(path)
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::io(path))
}

/// Makes the folder's entries durable.
///
/// # Errors
/// The folder cannot be synced.
pub fn sync_dir(dir: &Path) -> Result<(), Error> {
    if cfg!(unix) { sync(dir) } else { Ok(()) }
}
