//! The optimiser's moments as safetensors: `exp_avg.<name>`, `exp_avg_sq.<name>` and `step.<name>`, the
//! names of PyTorch's AdamW state.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use percept_model::Param;
use percept_nn::Moments;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};

use crate::Error;

/// One tensor to write, read from its device when its turn comes.
struct Saved<'a> {
    shape: &'a [usize],
    values: Values<'a>,
}

enum Values<'a> {
    Tensor(&'a Tensor<1>),
    /// A number of steps; torch keeps it as a scalar tensor in f32 too.
    Steps(usize),
}

impl View for Saved<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = match self.values {
            Values::Tensor(values) => percept_nn::to_vec(values),
            Values::Steps(steps) => vec![steps as f32],
        };
        Cow::Owned(bytemuck::cast_slice(&values).to_vec())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Writes the moments of the trainable parameters and how many gradients made them, synced.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub fn save(
    path: &Path,
    params: &[Param],
    moments: &[Moments],
    steps: &[usize],
) -> Result<(), Error> {
    let all = params.iter().zip(moments.iter().zip(steps));
    let views =
        all.filter(|(param, _)| param.trainable())
            .flat_map(|(param, (moments, &steps))| {
                let all = [
                    ("exp_avg", param.shape(), Values::Tensor(&moments.first)),
                    ("exp_avg_sq", param.shape(), Values::Tensor(&moments.second)),
                    ("step", &[], Values::Steps(steps)),
                ];
                all.map(|(prefix, shape, values)| {
                    (
                        format!("{prefix}.{}", param.name()),
                        Saved { shape, values },
                    )
                })
            });
    let bytes = safetensors::serialize(views, None).map_err(|e| Error::Checkpoint {
        path: path.to_owned(),
        message: e.to_string(),
    })?;
    Ok(percept_base::files::write_atomic(path, &bytes)?)
}

/// Reads the moments of the trainable parameters onto their device, and their steps. A file without
/// steps is of a version that counted updates of the whole model: `updates` stands for them, and 0 for
/// a parameter whose moments are all 0, which had no gradient yet.
///
/// # Errors
/// [`Error::Checkpoint`] when the file is damaged or belongs to another model.
pub fn load(
    path: &Path,
    params: &[Param],
    device: &Device,
    updates: usize,
) -> Result<(Vec<Moments>, Vec<usize>), Error> {
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
    let read = |prefix: &str, param: &Param| -> Result<Tensor<1>, Error> {
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
            None => {
                let len = values.len();
                Ok(Tensor::from_data(TensorData::new(values, [len]), device))
            }
        }
    };
    let steps = |param: &Param, second: &Tensor<1>| -> Result<usize, Error> {
        let name = format!("step.{}", param.name());
        let Some(view) = found.get(&name) else {
            let untouched = percept_nn::to_vec(second).iter().all(|&x| x == 0.0);
            return Ok(if untouched { 0 } else { updates });
        };
        let value: Vec<f32> = match view.dtype() {
            Dtype::F32 => bytemuck::pod_collect_to_vec(view.data()),
            _ => Vec::new(),
        };
        match value[..] {
            [steps] if steps >= 0.0 && steps.fract() == 0.0 => Ok(steps as usize),
            _ => Err(bad(format!(
                "{name} is {:?} {:?} {value:?}, expected one whole number in F32",
                view.dtype(),
                view.shape()
            ))),
        }
    };
    let all = params.iter().map(|param| {
        if !param.trainable() {
            return Ok((Moments::zeros(0, device), 0));
        }
        let moments = Moments {
            first: read("exp_avg", param)?,
            second: read("exp_avg_sq", param)?,
        };
        let steps = steps(param, &moments.second)?;
        Ok((moments, steps))
    });
    Ok(all.collect::<Result<Vec<_>, Error>>()?.into_iter().unzip())
}
