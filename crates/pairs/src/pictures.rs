//! Pictures of rows, and pictures as files.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use percept_base::files::write_atomic;
use percept_base::hex;
use percept_data::{Dataset, Media};
use percept_steps::{Folder, file_sha256, sha256};
use percept_vision::tools::Shown;

use crate::{CandidateFile, PairsError, PictureRecord, SourceRow};

/// A picture as PNG.
pub(crate) fn png(image: &RgbImage) -> Result<Vec<u8>, PairsError> {
    let mut bytes = Cursor::new(Vec::new());
    let written = image.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(|source| {
        let what = "encoding".into();
        percept_vision::Error::Picture { what, source }
    })?;
    Ok(bytes.into_inner())
}

/// Writes a picture that was made; `file` is relative to the output folder.
pub(crate) fn write(
    folder: &Folder,
    file: String,
    tag: &str,
    image: &RgbImage,
) -> Result<CandidateFile, PairsError> {
    let bytes = png(image)?;
    write_atomic(&folder.out.join(&file), &bytes)?;
    Ok(CandidateFile {
        tag: tag.to_owned(),
        sha256: sha256(&bytes),
        file,
    })
}

/// Whether a file is as it was written.
pub(crate) fn is_whole(folder: &Folder, made: &CandidateFile) -> bool {
    file_sha256(&folder.out.join(&made.file)).is_ok_and(|sha256| sha256 == made.sha256)
}

/// Picture `number` of a row.
///
/// # Errors
/// A row or picture that cannot be read any more, or is another one.
pub(crate) fn media(
    data: &dyn Dataset,
    row: &SourceRow,
    number: usize,
) -> Result<Media, PairsError> {
    let changed = || PairsError::Changed { id: row.id.clone() };
    let sample = data.get(row.at)?;
    let media = sample.images.into_iter().nth(number).ok_or_else(changed)?;
    let record = row.pictures.get(number).ok_or_else(changed)?;
    match hex(&media.hash()?) == record.sha256 {
        true => Ok(media),
        false => Err(changed()),
    }
}

/// A picture with the names by which tools may know it.
pub(crate) fn shown<'a>(image: &'a RgbImage, record: &'a PictureRecord) -> Shown<'a> {
    Shown {
        image,
        file: record.file.as_deref(),
        image_id: record.image_id,
    }
}
