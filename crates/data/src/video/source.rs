//! Where the frames of a clip come from.

use std::path::Path;

use image::RgbImage;

use crate::Error;

/// Takes a frame: its number, when it is shown (in seconds) and its picture. Says whether more are wanted.
pub(crate) type Sink<'a> = dyn FnMut(usize, f64, RgbImage) -> bool + 'a;

/// Decodes frames of one clip. Each call reads the file anew, so that calls may run beside each other.
pub(crate) trait Source: std::fmt::Debug + Send + Sync {
    /// Hands the frames with these numbers (ascending, without repetition) to `sink`, in this order, each as it is shown:
    /// turned, in RGB.
    ///
    /// # Errors
    /// When a frame cannot be decoded; what was handed over before stays right.
    fn decode(&self, wanted: &[usize], sink: &mut Sink<'_>) -> Result<(), Error>;
}

/// An error of a clip, with its path.
pub(super) fn in_clip(path: &Path, error: Error) -> Error {
    match error.report().file {
        Some(_) => error,
        None => error.in_file(path),
    }
}
