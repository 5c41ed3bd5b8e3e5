//! The trait behind which every data set stands, built in or read from files.

use crate::{Error, Sample};

/// Random access to samples. `get` is pure: the same index gives the same sample, from any thread.
pub trait Dataset: Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Row `i`, `0 ≤ i < len`. Media inside are not decoded yet.
    ///
    /// # Errors
    /// When the row cannot be read or `i` is out of range; the error names file, row and field.
    fn get(&self, i: usize) -> Result<Sample, Error>;

    /// Name for reports: the file, or `digit-sum`.
    fn name(&self) -> &str;

    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
