//! What a picture may cost: sizes are checked before anything is decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::Limits;

use crate::Error;

/// Images with more pixels are refused from their header (64 Mpx = 8 192 × 8 192).
pub const MAX_PIXELS: u64 = 64 << 20;

/// Encoded files with more bytes are refused before they are read.
pub const MAX_ENCODED_BYTES: u64 = 512 << 20;

/// Decoders may hold this much: 16-bit RGBA at [`MAX_PIXELS`], twice.
const MAX_DECODER_BYTES: u64 = 16 * MAX_PIXELS;

pub(super) const HELP_SMALLER: &str =
    "scale the image down; the model sees at most data.max_pixels of it";

pub(super) const HELP_AGAIN: &str = "fetch or export the file again, or drop the row";

/// What a decoder may allocate.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    limits
}

/// Refuses images without pixels and images beyond [`MAX_PIXELS`].
pub(crate) fn check_size((width, height): (u32, u32)) -> Result<(), Error> {
    if width == 0 || height == 0 {
        return Err(Error::media("image has no pixels").found(format!("{width}×{height}")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::media("image is too large")
            .found(format!("{width}×{height}"))
            .expected(format!("at most {MAX_PIXELS} pixels"))
            .help(HELP_SMALLER));
    }
    Ok(())
}

/// Turns a panic of a third-party decoder on hostile bytes into an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::media("the decoder gave up on this file").help(HELP_AGAIN)))
}
