//! Which threads a kernel may use.

/// Whether a function may use the rayon pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread alone: for callers that already run on every thread.
    One,
    /// The current rayon pool, where the work is large enough.
    Pool,
}
