//! Statistics as a dict.

use percept_credit::Stats;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Named numbers as Python reads them.
pub(crate) fn stats<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (name, value) in stats {
        out.set_item(name, value)?;
    }
    Ok(out)
}
