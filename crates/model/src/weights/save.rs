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
pub(crate) const MAX_SHARD_BYTES: usize = 5_000_000_000;

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

/// One tensor to write, read and converted when its turn comes.
struct Saved<'a, F> {
    param: &'a Param,
    dtype: SaveDtype,
    read: &'a F,
}

impl<F: Fn(&Param) -> Vec<f32>> View for Saved<'_, F> {
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
        Cow::Owned(self.dtype.encode(&(self.read)(self.param)))
    }

    fn data_len(&self) -> usize {
        self.param.numel() * self.dtype.bytes()
    }
}

/// Writes one safetensors file; `read` gives the values of a parameter.
pub(crate) fn write_file(
    path: &Path,
    params: &[&Param],
    dtype: SaveDtype,
    read: &impl Fn(&Param) -> Vec<f32>,
) -> Result<(), Error> {
    let mut tensors = Vec::new();
    for &param in params {
        if dtype == SaveDtype::F16 {
            check_f16_range(path, param.name(), &read(param))?;
        }
        tensors.push((param.name(), Saved { param, dtype, read }));
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
pub(crate) fn write_weights(
    dir: &Path,
    params: &[&Param],
    dtype: SaveDtype,
    max_shard_bytes: usize,
    read: &impl Fn(&Param) -> Vec<f32>,
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
        return write_file(&dir.join("model.safetensors"), only, dtype, read);
    }
    let mut weight_map = serde_json::Map::new();
    for (i, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", i + 1, shards.len());
        write_file(&dir.join(&name), shard, dtype, read)?;
        weight_map.extend(shard.iter().map(|p| (p.name().to_string(), json!(name))));
    }
    let total: usize = params.iter().map(|param| bytes(param)).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    write_json(&dir.join("model.safetensors.index.json"), &index)
}

/// Writes indented JSON with a final newline and syncs it.
pub(crate) fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|source| Error::Json {
        path: path.to_path_buf(),
        source,
    })?;
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
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    if cfg!(unix) { sync(dir) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Model};

    #[test]
    fn shards_hold_at_most_the_limit_and_are_the_same_model() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qwen2_5_vl");
        let model = Model::load(&golden, &Device::flex()).unwrap();
        let dir = tempfile::TempDir::new().unwrap();
        model.config().save(dir.path(), SaveDtype::F32).unwrap();
        let params: Vec<&Param> = model.parameters().iter().collect();
        let limit = 60_000;
        write_weights(dir.path(), &params, SaveDtype::F32, limit, &Param::to_vec).unwrap();
        let shards: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "safetensors"))
            .collect();
        assert!(shards.len() > 2);
        for shard in shards {
            // The header comes on top.
            assert!(shard.metadata().unwrap().len() < limit as u64 + 10_000);
        }
        let again = Model::load(dir.path(), &Device::flex()).unwrap();
        for (a, b) in model.parameters().iter().zip(again.parameters()) {
            assert_eq!((a.name(), a.to_vec()), (b.name(), b.to_vec()));
        }
    }
}
