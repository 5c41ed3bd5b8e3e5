//! Where the frames of a clip come from.

use std::path::{Path, PathBuf};

use percept_data::{Clip, Media};
use percept_frames::sampling::Timeline;
use tempfile::TempPath;

use crate::Error;

/// Endings of pictures in a folder of frames.
const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];

/// Where the frames of a clip come from.
#[derive(Debug)]
pub enum Footage {
    /// Pictures of frames, at a constant rate.
    Frames {
        /// In order of time.
        images: Vec<Media>,
        /// When each is shown, in seconds.
        times: Vec<f64>,
        /// How long all of them are.
        duration_s: f64,
        /// Whether somebody chose these frames: then all are judged.
        chosen: bool,
    },
    /// A video, decoded where frames are asked for.
    Video {
        /// The video.
        clip: Clip,
        /// Its file, where it is removed when the clip has been judged.
        sent: Option<TempPath>,
    },
}

impl Footage {
    /// A clip of which these are all frames, `fps` a second.
    ///
    /// # Errors
    /// No frame, or a rate that is none.
    pub fn frames(images: Vec<Media>, fps: f64) -> Result<Self, Error> {
        if !(fps.is_finite() && fps > 0.0) {
            return Err(Error::Clip {
                what: "frames per second".into(),
                found: fps.to_string(),
                expected: "a number above 0",
            });
        }
        if images.is_empty() {
            return Err(Error::Clip {
                what: "frames".into(),
                found: "none".into(),
                expected: "at least one picture",
            });
        }
        let times = (0..images.len()).map(|at| at as f64 / fps).collect();
        Ok(Self::Frames {
            duration_s: images.len() as f64 / fps,
            images,
            times,
            chosen: false,
        })
    }

    /// Frames that somebody chose of a clip: all are judged, in one round.
    ///
    /// # Errors
    /// Those of [`Footage::frames`].
    pub fn chosen_frames(images: Vec<Media>, fps: f64) -> Result<Self, Error> {
        let mut footage = Self::frames(images, fps)?;
        if let Self::Frames { chosen, .. } = &mut footage {
            *chosen = true;
        }
        Ok(footage)
    }

    /// A video file or a folder of frames.
    ///
    /// # Errors
    /// Those of [`Footage::folder`] and of [`Clip::open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::folder(path, f64::from(percept_data::DEFAULT_FPS));
        }
        Ok(Self::Video {
            clip: Clip::open(path)?,
            sent: None,
        })
    }

    /// A video in a file that is removed when it has been judged.
    pub(crate) fn sent(file: TempPath) -> Result<Self, Error> {
        Ok(Self::Video {
            clip: Clip::open(&file)?,
            sent: Some(file),
        })
    }

    /// The pictures of a folder, by name, numbers in names counting as numbers.
    ///
    /// # Errors
    /// A folder that cannot be read or has no pictures; those of [`Footage::frames`].
    pub fn folder(path: &Path, fps: f64) -> Result<Self, Error> {
        let failed = |source| Error::File {
            what: path.display().to_string(),
            source,
        };
        let mut files: Vec<PathBuf> = std::fs::read_dir(path)
            .map_err(failed)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()
            .map_err(failed)?;
        files.retain(|file| {
            let ending = file.extension().and_then(|e| e.to_str());
            ending.is_some_and(|e| PICTURES.contains(&e.to_lowercase().as_str()))
        });
        if files.is_empty() {
            return Err(Error::Clip {
                what: path.display().to_string(),
                found: "a folder without pictures".into(),
                expected: "frames as PNG, JPEG, WebP, BMP or TIFF, in the order of their names",
            });
        }
        files.sort_by_cached_key(|file| numbered(&file.to_string_lossy()));
        Self::frames(files.iter().map(Media::from_path).collect(), fps)
    }

    /// When frames are shown.
    pub(crate) fn timeline(&self, clip: &str) -> Result<Timeline, Error> {
        let (times, duration_s) = match self {
            Self::Frames {
                times, duration_s, ..
            } => (times, *duration_s),
            // Its end on the clock of its times, of which the first may be above 0.
            Self::Video { clip, .. } => (&clip.info().frame_times, clip.info().end_s()),
        };
        Timeline::new(times.clone(), duration_s).map_err(|source| Error::Sampling {
            clip: clip.to_owned(),
            source,
        })
    }

    /// The times of the frames, where all of them are to be judged.
    pub(crate) fn chosen(&self) -> Option<&[f64]> {
        match self {
            Self::Frames {
                times,
                chosen: true,
                ..
            } => Some(times),
            Self::Frames { .. } | Self::Video { .. } => None,
        }
    }

    /// The frames that are shown at these times.
    pub(crate) fn frames_at(&mut self, at: &[f64]) -> Result<Vec<Media>, Error> {
        let (images, times) = match self {
            Self::Frames { images, times, .. } => (images, times),
            Self::Video { clip, .. } => {
                let frames = clip.frames_at(at)?;
                let images = frames.into_iter().map(|f| Media::from_image(f.image));
                return Ok(images.collect());
            }
        };
        let shown = |time: &f64| {
            let after = times.partition_point(|t| *t <= time + 1e-9);
            let image = &images[after.saturating_sub(1)];
            // A picture that is damaged is found here and not in the middle of a batch.
            Ok(Media::from_image(image.decode()?))
        };
        at.iter().map(shown).collect()
    }
}

/// A name with its numbers as numbers: frame 10 stands behind frame 9.
fn numbered(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (before, after) = rest.split_at(text);
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((before.to_owned(), number.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_folder_is_a_clip_in_the_order_of_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for at in [10u8, 9, 1] {
            let picture = RgbImage::from_pixel(2, 2, Rgb([at, 0, 0]));
            picture
                .save(folder.path().join(format!("f{at}.png")))
                .unwrap();
        }
        std::fs::write(folder.path().join("notes.txt"), "no frame").unwrap();
        let mut clip = Footage::folder(folder.path(), 2.0).unwrap();
        assert_eq!(clip.timeline("c").unwrap().duration_s(), 1.5);
        let red = |media: &Media| media.decode().unwrap().get_pixel(0, 0).0[0];
        let frames = clip.frames_at(&[0.0, 0.6, 1.0, 9.0]).unwrap();
        assert_eq!(frames.iter().map(red).collect::<Vec<u8>>(), [1, 9, 10, 10]);
    }

    #[test]
    fn what_is_no_clip_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Footage::folder(folder.path(), 2.0).unwrap_err();
        assert!(error.to_string().contains("without pictures"), "{error}");
        let missing = Footage::folder(&folder.path().join("none"), 2.0).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
        let still = Media::from_image(RgbImage::new(1, 1));
        assert!(Footage::frames(vec![still], 0.0).is_err());
        assert!(Footage::frames(vec![], 1.0).is_err());
    }
}
