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

/// What a model reads.
pub(super) enum Input {
    Floats(Array),
    Integers { shape: Vec<usize>, data: Vec<i64> },
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

    /// The names of its inputs, in the order of the file.
    pub fn inputs(&self) -> Vec<String> {
        let session = lock(&self.session);
        let inputs = session.inputs().iter();
        inputs.map(|input| input.name().to_owned()).collect()
    }

    /// Height and width of input `at`, where the file fixes them.
    pub fn size(&self, at: usize) -> Option<(u32, u32)> {
        match self.shape(at)?[..] {
            [_, _, height, width] if height > 0 && width > 0 => {
                Some((u32::try_from(height).ok()?, u32::try_from(width).ok()?))
            }
            _ => None,
        }
    }

    /// The shape of input `at`; sides that the file leaves open are negative.
    pub fn shape(&self, at: usize) -> Option<Vec<i64>> {
        let session = lock(&self.session);
        match session.inputs().get(at)?.dtype() {
            ValueType::Tensor { shape, .. } => Some(shape.to_vec()),
            _ => None,
        }
    }

    /// Runs the model on inputs in the order of the file; all outputs of float32.
    pub fn run(&self, inputs: Vec<Array>) -> Result<Vec<(String, Array)>, Error> {
        let names = self.inputs();
        if names.len() != inputs.len() {
            return Err(self.error(format!(
                "the model has {} inputs; expected {}",
                names.len(),
                inputs.len()
            )));
        }
        let inputs = inputs.into_iter().map(Input::Floats);
        self.run_named(names.into_iter().zip(inputs).collect())
    }

    /// Runs the model on inputs by their names; all outputs of float32.
    pub fn run_named(&self, inputs: Vec<(String, Input)>) -> Result<Vec<(String, Array)>, Error> {
        let failed = |e: ort::Error| self.error(e.to_string());
        let named = inputs.into_iter().map(|(name, input)| {
            let value = match input {
                Input::Floats(Array { shape, data }) => {
                    SessionInputValue::from(Tensor::from_array((shape, data))?)
                }
                Input::Integers { shape, data } => {
                    SessionInputValue::from(Tensor::from_array((shape, data))?)
                }
            };
            Ok((name, value))
        });
        let named: Vec<(String, SessionInputValue<'_>)> =
            named.collect::<Result<_, _>>().map_err(failed)?;
        let mut session = lock(&self.session);
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
