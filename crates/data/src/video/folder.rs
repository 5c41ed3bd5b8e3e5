//! A folder of pictures as a clip.

use std::path::{Path, PathBuf};

use crate::video::info::ClipInfo;
use crate::video::source::{Sink, Source};
use crate::video::turn::Turn;
use crate::{Error, Media};

/// Endings of files that are frames.
const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];

/// A folder may have this many frames: nine and a half hours at 30 a second.
const MAX_FRAMES: usize = 1 << 20;

/// The pictures of a folder in the order of their names, numbers in them counted as numbers.
#[derive(Debug)]
pub(super) struct Folder {
    files: Vec<PathBuf>,
    fps: f64,
}

impl Folder {
    pub(super) fn open(path: &Path, fps: f64) -> Result<(Self, ClipInfo), Error> {
        if !(fps.is_finite() && fps > 0.0) {
            return Err(Error::media("frame rate of a folder must be above 0").found(fps));
        }
        let unread = |e| Error::media(format!("folder of frames cannot be read: {e}"));
        let mut files = Vec::new();
        for entry in path.read_dir().map_err(unread)? {
            let file = entry.map_err(unread)?.path();
            let ending = file.extension().and_then(|e| e.to_str());
            let ending = ending.map(str::to_ascii_lowercase).unwrap_or_default();
            let hidden = file
                .file_name()
                .is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
            if ENDINGS.contains(&ending.as_str()) && !hidden && file.is_file() {
                files.push(file);
            }
            if files.len() > MAX_FRAMES {
                return Err(Error::media("folder has too many frames")
                    .expected(format!("at most {MAX_FRAMES}")));
            }
        }
        files.sort_by_cached_key(|file| natural_order(file));
        let Some(first) = files.first() else {
            return Err(Error::media("folder has no frames")
                .expected(format!("files ending in {}", ENDINGS.join(", "))));
        };
        let size = Media::from_path(first).dimensions()?;
        let folder = Self { files, fps };
        let info = ClipInfo {
            duration_s: folder.files.len() as f64 / fps,
            codec: "images".into(),
            frame_times: (0..folder.files.len()).map(|at| folder.time(at)).collect(),
            ..ClipInfo::turned(size, (1, 1), Turn::default())
        };
        Ok((folder, info))
    }

    fn time(&self, at: usize) -> f64 {
        at as f64 / self.fps
    }
}

impl Source for Folder {
    fn decode(&self, wanted: &[usize], sink: &mut Sink<'_>) -> Result<(), Error> {
        for &at in wanted {
            let picture = Media::from_path(&self.files[at]).decode()?;
            if !sink(at, self.time(at), picture) {
                break;
            }
        }
        Ok(())
    }
}

/// A piece of a name: numbers by their length and digits, other text as it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(usize, String),
    Text(String),
}

/// `frame2` before `frame10`.
fn natural_order(file: &Path) -> (Vec<Piece>, PathBuf) {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut pieces = Vec::new();
    let mut rest = &name[..];
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let text = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(digits.max(text));
        pieces.push(match digits {
            0 => Piece::Text(piece.to_owned()),
            _ => {
                let number = piece.trim_start_matches('0');
                Piece::Number(number.len(), number.to_owned())
            }
        });
        rest = behind;
    }
    (pieces, file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_people_count() {
        let mut names = ["f10.png", "f2.png", "f1.png", "f002b.png", "a.png", "3.png"];
        names.sort_by_key(|name| natural_order(Path::new(name)));
        let counted = ["3.png", "a.png", "f1.png", "f2.png", "f002b.png", "f10.png"];
        assert_eq!(names, counted);
    }
}
