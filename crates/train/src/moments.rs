//! The optimiser's moments as safetensors: `exp_avg.<name>` and `exp_avg_sq.<name>`, the names of
//! PyTorch's AdamW state.

use std::collections::HashMap;
use std::path::Path;

use percept_model::Param;
use percept_nn::Moments;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::Error;

/// Writes the moments of the trainable parameters, synced.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub fn save(path: &Path, params: &[Param], moments: &[Moments]) -> Result<(), Error> {
    let bad = |message: String| Error::Checkpoint {
        path: path.to_owned(),
        message,
    };
    let mut views = Vec::new();
    for (param, moments) in params
        .iter()
        .zip(moments)
        .filter(|(param, _)| param.trainable())
    {
        for (prefix, values) in [("exp_avg", &moments.first), ("exp_avg_sq", &moments.second)] {
            let shape = param.shape().to_vec();
            let view = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values))
                .map_err(|e| bad(format!("{prefix}.{}: {e}", param.name())))?;
            views.push((format!("{prefix}.{}", param.name()), view));
        }
    }
    let bytes = safetensors::serialize(views, None).map_err(|e| bad(e.to_string()))?;
    Ok(percept_report::write_atomic(path, &bytes)?)
}

/// Reads the moments of the trainable parameters.
///
/// # Errors
/// [`Error::Checkpoint`] when the file is damaged or belongs to another model.
pub fn load(path: &Path, params: &[Param]) -> Result<Vec<Moments>, Error> {
    let bad = |message: String| Error::Checkpoint {
        path: path.to_owned(),
        message,
    };
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| bad(format!("not a complete safetensors file: {e}")))?;
    let found: HashMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let read = |prefix: &str, param: &Param| -> Result<Vec<f32>, Error> {
        let name = format!("{prefix}.{}", param.name());
        let view = found.get(&name).ok_or_else(|| {
            bad(format!(
                "{name} is missing; did `model` in the recipe change since this run began?"
            ))
        })?;
        if view.dtype() != Dtype::F32 || view.shape() != param.shape() {
            return Err(bad(format!(
                "{name} is {:?} {:?}, expected F32 {:?}",
                view.dtype(),
                view.shape(),
                param.shape()
            )));
        }
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(bad(format!(
                "{name} holds {value}; the file is broken: remove this checkpoint to go on from the one before"
            ))),
            None => Ok(values),
        }
    };
    params
        .iter()
        .map(|param| {
            if !param.trainable() {
                return Ok(Moments::zeros(0));
            }
            Ok(Moments {
                first: read("exp_avg", param)?,
                second: read("exp_avg_sq", param)?,
            })
        })
        .collect()
}
