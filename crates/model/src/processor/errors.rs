//! Errors of the processor.

use percept_data::Sample;

use crate::Error;

/// An error of a file, or of a part of the processor.
pub(crate) fn bad(what: impl std::fmt::Display, message: String) -> Error {
    Error::Processor {
        what: what.to_string(),
        message,
    }
}

/// An error of a field of a sample.
pub(crate) fn at(sample: &Sample, field: &str, message: String) -> Error {
    bad(format!("{}, {field}", sample.id), message)
}
