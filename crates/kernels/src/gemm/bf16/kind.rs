//! Which instructions this processor has.

use std::sync::LazyLock;

use super::{amx, avx512};

/// The instructions that multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tiles of AMX.
    Amx,
    /// `VDPBF16PS` on vectors.
    Avx512,
}

impl Kind {
    /// All that this processor has and the system lets us use, the fastest first. Asks the system at
    /// the first call.
    pub(super) fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<Kind>> = LazyLock::new(|| {
            // Miri has none of these instructions, and cannot be asked for them.
            if cfg!(miri) {
                return Vec::new();
            }
            let amx = amx::is_available().then_some(Kind::Amx);
            let avx512 = avx512::is_available().then_some(Kind::Avx512);
            amx.into_iter().chain(avx512).collect()
        });
        &ALL
    }
}

/// Whether this machine multiplies bfloat16.
pub(crate) fn is_available() -> bool {
    !Kind::all().is_empty()
}
