//! A model file.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::session::{Session, SessionInputValue};
use ort::value::{Tensor, ValueType};
use percept_base::lock;

use super::OnnxRuntime;
use crate::Error;

/// A model; calls wait for each other.
pub(super) struct Model {
    path: PathBuf,
    session: Mutex<Session>,
}

/// Numbers with their shape.
pub(super) struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Model {
    /// Reads a model file. ONNX Runtime gets the threads of the machine.
    pub fn open(runtime: &OnnxRuntime, path: &Path) -> Result<Self, Error> {
        let failed = |e: ort::Error| Error::Onnx {
            path: path.to_owned(),
            what: e.to_string(),
        };
        if !path.is_file() {
            return Err(Error::Onnx {
                path: path.to_owned(),
                what: "there is no such file".into(),
            });
        }
        let mut builder = Session::builder(&runtime.environment).map_err(failed)?;
        let session = builder.commit_from_file(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            session: Mutex::new(session),
        })
    }

    /// An error about this file.
    pub fn error(&self, what: impl Into<String>) -> Error {
        Error::Onnx {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// Height and width of input `at`, where the file fixes them.
    pub fn size(&self, at: usize) -> Option<(u32, u32)> {
        let session = lock(&self.session);
        match session.inputs().get(at)?.dtype() {
            ValueType::Tensor { shape, .. } => match shape[..] {
                [_, _, height, width] if height > 0 && width > 0 => {
                    Some((u32::try_from(height).ok()?, u32::try_from(width).ok()?))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Runs the model: inputs in the order of the file; the named outputs, or all.
    pub fn run(&self, inputs: Vec<Array>) -> Result<Vec<(String, Array)>, Error> {
        let failed = |e: ort::Error| self.error(e.to_string());
        let mut session = lock(&self.session);
        let expected = session.inputs().len();
        if expected != inputs.len() {
            return Err(self.error(format!(
                "the model has {expected} inputs; expected {}",
                inputs.len()
            )));
        }
        let values = inputs.into_iter().map(|input| {
            let tensor = Tensor::from_array((input.shape, input.data))?;
            Ok(SessionInputValue::from(tensor))
        });
        let values: Vec<SessionInputValue<'_>> =
            values.collect::<Result<_, _>>().map_err(failed)?;
        let names: Vec<String> = session
            .inputs()
            .iter()
            .map(|i| i.name().to_owned())
            .collect();
        let named: Vec<(String, SessionInputValue<'_>)> = names.into_iter().zip(values).collect();
        let outputs = session.run(named).map_err(failed)?;
        let mut all = Vec::new();
        for (name, value) in outputs.iter() {
            let Ok((shape, data)) = value.try_extract_tensor::<f32>() else {
                continue;
            };
            all.push((
                name.to_owned(),
                Array {
                    shape: shape.iter().map(|side| *side as usize).collect(),
                    data: data.to_vec(),
                },
            ));
        }
        Ok(all)
    }
}
