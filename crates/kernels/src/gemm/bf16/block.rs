//! What a kernel computes at once.

use super::pack::{SIDE, Tile};

/// Rows and columns of sums that a kernel makes at once.
pub(super) const BLOCK: usize = 2 * SIDE;

/// At most 32 × 32 sums: `out = keep·out + scale·left·right`.
pub(super) struct Block<'a> {
    /// Two lines of tiles, of sixteen rows each.
    pub(super) left: &'a [Tile],
    /// Two lines of tiles, of sixteen columns each.
    pub(super) right: &'a [Tile],
    /// Those of the next columns; beyond the last ones nothing is there.
    pub(super) next: *const Tile,
    pub(super) out: *mut f32,
    pub(super) out_row: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) scale: f32,
    pub(super) keep: f32,
}
