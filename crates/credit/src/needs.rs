//! Which signals a part of an algorithm reads.

/// Signals beyond groups, rewards and masks that a configuration reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needs {
    /// [`crate::Signals::old_log_prob`] before the update.
    pub old_log_prob: bool,
    /// [`crate::Signals::entropy`] before the update.
    pub entropy: bool,
    /// [`crate::Signals::nucleus_entropy`] of this nucleus.
    pub nucleus_entropy: Option<f64>,
    /// [`crate::Signals::log_prob_no_image`].
    pub no_image: bool,
    /// [`crate::Signals::visual_entropy`].
    pub visual_entropy: bool,
    /// Rows that are experts' trajectories: without any, a part of the configuration does nothing.
    pub experts: bool,
}
