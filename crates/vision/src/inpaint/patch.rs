//! The size of a patch.

/// A patch reaches this far from its middle: 7 × 7 pixels, as in PatchMatch.
pub(super) const RADIUS: usize = 3;
/// Its side.
pub(super) const SIDE: usize = 2 * RADIUS + 1;
