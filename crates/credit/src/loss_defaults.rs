//! What the authors of a method trained it with.

use crate::LossAggMode;

/// What the authors of a method set in the loss, where that is not this crate's default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossDefaults {
    /// Aggregation that goes with the method.
    pub loss_agg_mode: Option<LossAggMode>,
    /// Dual clip that goes with the method.
    pub clip_ratio_c: Option<f64>,
}
