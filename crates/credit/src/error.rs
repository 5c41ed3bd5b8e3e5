//! What can be wrong with a batch or a recipe.

/// Why credit could not be assigned or a loss could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Row offsets that do not cut a token axis.
    #[error(
        "offsets[{index}] is {value}: row offsets must start at 0 and never decrease (cu_seqlens)"
    )]
    Offsets {
        /// Position in the list of offsets.
        index: usize,
        /// The value found there.
        value: usize,
    },
    /// A slice that does not fit the batch.
    #[error("`{field}` has {found} entries, but the batch has {expected} {axis}")]
    Length {
        /// Name of the slice.
        field: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
        /// `tokens` or `rows`.
        axis: &'static str,
    },
    /// A signal that the recipe asks for and the caller did not give.
    #[error("`{needed_by}` needs the signal `{field}`, which this batch does not carry")]
    Missing {
        /// Name of the signal.
        field: &'static str,
        /// The option that needs it.
        needed_by: &'static str,
    },
    /// A token weight that is listed twice.
    #[error("token_weight lists `{name}` twice")]
    Twice {
        /// Its name.
        name: &'static str,
    },
    /// One number that two parts of the recipe say differently.
    #[error(
        "`{first}` is {first_value} and `{second}` is {second_value}, but they are one number in the method's code: leave one of them out"
    )]
    Differ {
        /// Name of one option.
        first: &'static str,
        /// Its value.
        first_value: f64,
        /// Name of the other option.
        second: &'static str,
        /// Its value.
        second_value: f64,
    },
    /// Two options that exclude each other.
    #[error("`{first}` does not go with `{second}`: {why}")]
    Apart {
        /// Name of one.
        first: &'static str,
        /// Name of the other.
        second: &'static str,
        /// The reason, and what to try.
        why: &'static str,
    },
    /// A reward that is not a number.
    #[error(
        "rewards[{row}] is {value}: a reward must be finite; pass None for a response that could not be graded"
    )]
    Reward {
        /// Row of the reward.
        row: usize,
        /// The value found there.
        value: f64,
    },
    /// An option outside its range.
    #[error("`{field}` is {value}: {expected}")]
    Config {
        /// Name of the option.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed, and what to try.
        expected: &'static str,
    },
}

/// Refuses an `eps` that is not finite and above 0.
pub(crate) fn require_eps(eps: f64) -> Result<(), Error> {
    require(
        eps.is_finite() && eps > 0.0,
        "advantage.eps",
        eps,
        "it must be a positive number",
    )
}

/// Refuses an option that fails `ok`.
pub(crate) fn require(
    ok: bool,
    field: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    Err(Error::Config {
        field,
        value,
        expected,
    })
}
