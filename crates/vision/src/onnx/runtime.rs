//! ONNX Runtime's library.

use std::path::{Path, PathBuf};

use ort::environment::Environment;

use crate::Error;

/// The library, loaded once in a process: its first place holds.
#[derive(Debug, Clone)]
pub struct OnnxRuntime {
    pub(super) environment: Environment,
}

impl OnnxRuntime {
    /// Loads the library: `libonnxruntime.so` of a release, or that in a Python's `onnxruntime/capi`.
    ///
    /// # Errors
    /// [`Error::Onnx`] for a file that is no such library, or of a version that is too old.
    pub fn open(library: &Path) -> Result<Self, Error> {
        let failed = |what: String| Error::Onnx {
            path: library.to_owned(),
            what: format!(
                "{what}\n  help: name ONNX Runtime's library: libonnxruntime.so, in Python's package onnxruntime/capi"
            ),
        };
        // Loading a missing file by name would look in the system's folders.
        if !library.is_file() {
            return Err(failed("there is no such file".into()));
        }
        let builder = ort::init_from(library).map_err(|e| failed(e.to_string()))?;
        let environment = builder.build().map_err(|e| failed(e.to_string()))?;
        Ok(Self { environment })
    }

    /// The library that the environment names: `ORT_DYLIB_PATH`.
    pub fn named() -> Option<PathBuf> {
        std::env::var_os("ORT_DYLIB_PATH")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }
}
