//! What percept-credit refuses, as Python raises it.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// A `ValueError` that says what an error says.
pub(crate) fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
