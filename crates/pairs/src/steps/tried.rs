//! What a tool said, or what becomes of the row at which it failed.

use percept_vision::Error;

use crate::{PairsConfig, PairsError};

/// The result of a tool; inside, why the row is left out. What lies in the picture is a reason; what lies in the tool stops
/// the build, unless such rows are to be skipped.
pub(super) fn tried<T>(
    config: &PairsConfig,
    id: &str,
    tool: &'static str,
    result: Result<T, Error>,
) -> Result<Result<T, String>, PairsError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Unscored(reason)) => Ok(Err(reason)),
        Err(e) if config.skip_failures => Ok(Err(format!("the {tool} failed: {e}"))),
        Err(source) => Err(PairsError::Tool {
            id: id.to_owned(),
            tool,
            source: Box::new(source),
        }),
    }
}
