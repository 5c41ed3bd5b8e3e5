//! What a kind of verifier is to the recipe.

use crate::{Error, Verifier};

/// Options of one kind of verifier: what `[[reward.functions]]` holds besides name and weight.
pub trait Kind {
    /// Checks the options and makes the verifier.
    ///
    /// # Errors
    /// An option outside its range, a process that does not start.
    fn build(&self) -> Result<Box<dyn Verifier>, Error>;

    /// Whether it looks at this column of a row, beside the answer.
    fn reads(&self, _column: &str) -> bool {
        false
    }
}
