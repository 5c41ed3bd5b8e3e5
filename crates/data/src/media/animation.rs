//! Animated GIFs: frames are counted from the block structure, pixels are made late.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder, RgbImage};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::media::gif_blocks::outline;
use crate::media::limits::{MAX_PIXELS, check_size, guarded, limits};
use crate::media::rgb::on_white;

/// All frames together may have this many pixels; they are decoded at once.
const MAX_ANIMATION_PIXELS: u64 = 4 * MAX_PIXELS;

/// An animation may have this many frames (half an hour at 30 frames a second): each costs memory, however small.
const MAX_FRAMES: usize = 54_000;

/// One animation, decoded on the first use of one of its frames.
#[derive(Debug)]
pub(crate) struct Animation {
    encoded: Arc<[u8]>,
    size: (u32, u32),
    frames: usize,
    /// Of all frames together; 0 where the file does not say.
    centiseconds: u64,
    /// SHA-256 that has seen `encoded`, which all frames share.
    hasher: OnceLock<Sha256>,
    decoded: OnceLock<Result<Vec<RgbImage>, Error>>,
}

impl Animation {
    /// An animated GIF, not decoded yet.
    ///
    /// # Errors
    /// When the bytes are not a GIF, or it is truncated, empty or too large.
    pub(crate) fn open(encoded: Arc<[u8]>) -> Result<Self, Error> {
        let outline = outline(&encoded).ok_or_else(|| {
            Error::media("GIF is corrupt or truncated")
                .help("export the animation again, or store the video as a folder of frames")
        })?;
        check_size(outline.size)?;
        if outline.frames == 0 {
            return Err(Error::media("GIF has no frames"));
        }
        if let Some((number, [left, top, width, height])) = outline.outside {
            return Err(
                Error::media(format!("GIF frame {number} reaches outside the picture"))
                    .found(format!("{width}×{height} at {left}, {top}"))
                    .expected(format!("inside {}×{}", outline.size.0, outline.size.1))
                    .help("export the animation again, or store the video as a folder of frames"),
            );
        }
        if outline.frames > MAX_FRAMES {
            return Err(Error::media("animation has too many frames")
                .found(outline.frames)
                .expected(format!("at most {MAX_FRAMES}"))
                .help("store the video as a folder of frames"));
        }
        let pixels = u64::from(outline.size.0) * u64::from(outline.size.1) * outline.frames as u64;
        if pixels > MAX_ANIMATION_PIXELS {
            return Err(Error::media("animation is too large")
                .found(format!("{pixels} pixels in {} frames", outline.frames))
                .expected(format!("at most {MAX_ANIMATION_PIXELS} pixels"))
                .help("store the video as a folder of frames"));
        }
        Ok(Self {
            encoded,
            size: outline.size,
            frames: outline.frames,
            centiseconds: outline.centiseconds,
            hasher: OnceLock::new(),
            decoded: OnceLock::new(),
        })
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Frames per second by the mean delay of the frames; `None` where no frame has one.
    pub(crate) fn fps(&self) -> Option<f32> {
        match self.centiseconds {
            0 => None,
            total => Some(self.frames as f32 * 100.0 / total as f32),
        }
    }

    /// SHA-256 of the file and a frame's number. The file is read once, or it would be read as often as it has frames.
    pub(crate) fn hash(&self, index: usize) -> [u8; 32] {
        let file = self.hasher.get_or_init(|| {
            let mut hasher = Sha256::new();
            hasher.update(&self.encoded);
            hasher
        });
        let mut frame = file.clone();
        frame.update(index.to_le_bytes());
        frame.finalize().into()
    }

    pub(crate) fn dimensions(&self) -> (u32, u32) {
        self.size
    }

    pub(crate) fn frame(&self, index: usize) -> Result<RgbImage, Error> {
        let decoded = self.decoded.get_or_init(|| self.decode_all());
        let frames = decoded.as_ref().map_err(Error::clone)?;
        match frames.get(index) {
            Some(frame) => Ok(frame.clone()),
            None => Err(Error::media(
                "animation has fewer frames than its blocks say",
            )),
        }
    }

    fn decode_all(&self) -> Result<Vec<RgbImage>, Error> {
        guarded(|| {
            let broken =
                |e: image::ImageError| Error::media("GIF is corrupt or truncated").found(e);
            let mut decoder = GifDecoder::new(Cursor::new(&self.encoded[..])).map_err(broken)?;
            decoder.set_limits(limits()).map_err(broken)?;
            let frames = decoder.into_frames().take(self.frames);
            frames
                .map(|frame| {
                    let rgba = frame.map_err(broken)?.into_buffer();
                    Ok(on_white(&rgba))
                })
                .collect()
        })
    }
}
