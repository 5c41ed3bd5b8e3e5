//! What can be wrong with a layout, with options of sparse attention, or with this machine.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Spans that do not cover their axis.
    #[error("attention layout, span {span}: {message}")]
    Layout {
        /// Index of the span.
        span: usize,
        /// What is wrong with it.
        message: String,
    },
    /// An option of sparse attention that is out of its range.
    #[error("attention {name:?}: {option} is {found}, expected {expected}")]
    Sparse {
        /// The attention.
        name: &'static str,
        /// Its option.
        option: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// bfloat16 that this machine does not multiply.
    #[error(
        "this machine does not multiply bfloat16: it needs a processor with AVX-512 BF16 (AMD from Zen 4) or AMX (Intel from 2023, with Linux 5.16)\n  help: use float32"
    )]
    Bf16,
}
