//! What can go wrong before anything is judged.

/// A reward configuration that cannot work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No function at all.
    #[error(
        "reward.functions is empty: nothing would be judged\n  help: add [[reward.functions]] name = \"accuracy\""
    )]
    Empty,
    /// Two functions would have one name in metrics and records.
    #[error(
        "reward.functions: two functions are called `{0}`\n  help: give one of them a `label` of its own"
    )]
    Duplicate(String),
    /// `requires` names no function.
    #[error("reward.functions, {function}.requires: there is no other function `{required}`")]
    Requires {
        /// Label of the function.
        function: String,
        /// The label that it requires.
        required: String,
    },
    /// Two functions judge rows together that share different columns.
    #[error(
        "reward.functions, {function}.group_by: {column}, but {other} groups rows by another column\n  help: rows are drawn together by one column: give both functions the same"
    )]
    GroupBy {
        /// Label of the function.
        function: String,
        /// Its column.
        column: String,
        /// Label of the function before it.
        other: String,
    },
    /// An option outside its range.
    #[error("reward.functions, {function}.{option}: {found} (expected {expected})")]
    Option {
        /// Label of the function.
        function: String,
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A verifier process that does not start.
    #[error("reward.functions, {function}: cannot start `{command}`: {reason}\n  help: {help}")]
    Start {
        /// Label of the function.
        function: String,
        /// The command line.
        command: String,
        /// What happened, with the end of the process's standard error.
        reason: String,
        /// What the user can do.
        help: String,
    },
}

impl Error {
    /// An option outside its range; the set fills in the function's label.
    pub(crate) fn option(
        option: &'static str,
        found: impl ToString,
        expected: &'static str,
    ) -> Self {
        Self::Option {
            function: String::new(),
            option,
            found: found.to_string(),
            expected,
        }
    }

    /// Names the function that the error is about.
    pub(crate) fn of(mut self, label: &str) -> Self {
        match &mut self {
            Self::Option { function, .. } | Self::Start { function, .. } => {
                label.clone_into(function);
            }
            Self::Empty | Self::Duplicate(_) | Self::Requires { .. } | Self::GroupBy { .. } => {}
        }
        self
    }
}
