//! The pictures of an evaluation's questions, kept beside its records so that answers can be looked
//! at with what was asked about.

use std::collections::BTreeMap;
use std::path::Path;

use percept_base::hex;
use percept_data::{Dataset, Media, media_type};

use crate::Error;
use crate::thumbnail::small_jpeg;

/// Rows whose pictures are kept: nobody looks at more, and a data set is not copied.
const MAX_ROWS: usize = 2_000;

/// A larger file is kept as a smaller JPEG.
const MAX_BYTES: usize = 64 << 10;

/// Longer side of that JPEG, in pixels.
const SIDE: u32 = 640;

/// Keeps the pictures of the first `limit` rows (0: all, at most 2,000) in `folder`/pictures, each
/// once, named by its content. Returns the names, relative to `folder`, by row.
///
/// # Errors
/// A row that cannot be read, or a disk that refuses.
pub fn keep_pictures(
    dataset: &dyn Dataset,
    limit: usize,
    folder: &Path,
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let rows = match limit {
        0 => dataset.len(),
        limit => limit.min(dataset.len()),
    };
    let mut names = BTreeMap::new();
    for row in 0..rows.min(MAX_ROWS) {
        let sample = dataset.get(row)?;
        // A picture outside the data's folder is shown to nobody else: it is left out.
        let kept = sample
            .images
            .iter()
            .filter(|image| image.may_leave().is_ok())
            .map(|image| keep(image, folder))
            .collect::<Result<Vec<String>, Error>>()?;
        if !kept.is_empty() {
            names.insert(sample.id, kept);
        }
    }
    Ok(names)
}

fn keep(image: &Media, folder: &Path) -> Result<String, Error> {
    let hash = image.hash()?;
    let stem = hex(&hash[..8]);
    for extension in ["png", "jpg", "gif", "webp", "bmp"] {
        let name = format!("pictures/{stem}.{extension}");
        if folder.join(&name).is_file() {
            return Ok(name);
        }
    }
    let encoded = image.encoded()?;
    let (bytes, extension) = match extension(&encoded) {
        Some(extension) if encoded.len() <= MAX_BYTES => (encoded.to_vec(), extension),
        _ => {
            let jpeg = small_jpeg(&image.decode()?, SIDE).map_err(|e| Error::Row {
                place: format!("picture {stem}"),
                found: e.to_string(),
                expected: "a picture that can be written as JPEG",
            })?;
            (jpeg, "jpg")
        }
    };
    let name = format!("pictures/{stem}.{extension}");
    let path = folder.join(&name);
    percept_base::files::write_atomic(&path, &bytes).map_err(|e| Error::File {
        source: std::io::Error::other(e.to_string()),
        path,
    })?;
    Ok(name)
}

/// Of the formats that browsers show.
fn extension(bytes: &[u8]) -> Option<&'static str> {
    match media_type(bytes)? {
        "image/png" => Some("png"),
        "image/jpeg" => Some("jpg"),
        "image/gif" => Some("gif"),
        "image/webp" => Some("webp"),
        "image/bmp" => Some("bmp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_data::digit_sum::{DigitSum, DigitSumConfig};

    #[test]
    fn a_picture_is_kept_once_and_named_by_what_it_shows() {
        let folder = tempfile::tempdir().unwrap();
        let task = DigitSum::new(DigitSumConfig {
            len: 4,
            ..DigitSumConfig::default()
        })
        .unwrap();
        let names = keep_pictures(&task, 3, folder.path()).unwrap();
        assert_eq!(names.len(), 3);
        assert_eq!(keep_pictures(&task, 3, folder.path()).unwrap(), names);
        let files = std::fs::read_dir(folder.path().join("pictures")).unwrap();
        assert_eq!(files.count(), 3);
        let first = task.get(0).unwrap();
        let shown = Media::from_path(folder.path().join(&names[&first.id][0]));
        assert_eq!(shown.decode().unwrap(), first.images[0].decode().unwrap());
    }
}
