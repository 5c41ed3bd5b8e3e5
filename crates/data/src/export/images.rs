//! Pictures beside a data file.

use std::fs;
use std::path::Path;

use crate::{Error, Media};

/// Writes an image under `images/`; returns its path from `dir`.
pub(super) fn write_image(image: &Media, dir: &Path, stem: &str) -> Result<String, Error> {
    let bytes = image.outgoing()?;
    let name = format!("images/{stem}.{}", ending(&bytes));
    let path = dir.join(&name);
    fs::write(&path, &bytes).map_err(disk(&path))?;
    Ok(name)
}

pub(crate) fn ending(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        _ => "png",
    }
}

/// An error of the disk, with its file.
pub(super) fn disk(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |e| Error::file(format!("cannot be written: {e}")).in_file(&path)
}
