//! Animated GIFs as videos: frames are counted from the block structure, pixels are made late.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder, RgbImage};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::media::decode::{check_size, guarded, limits, on_white};
use crate::media::encoded::{DEFAULT_FPS, MAX_PIXELS, Media, Video};

/// All frames together may have this many pixels; they are decoded at once.
const MAX_CLIP_PIXELS: u64 = 4 * MAX_PIXELS;

/// An animation may have this many frames (half an hour at 30 frames a second): each costs memory, however small.
const MAX_FRAMES: usize = 54_000;

/// One animation, decoded on the first use of one of its frames.
#[derive(Debug)]
pub(crate) struct Clip {
    encoded: Arc<[u8]>,
    size: (u32, u32),
    frames: usize,
    /// SHA-256 that has seen `encoded`, which all frames share.
    hasher: OnceLock<Sha256>,
    decoded: OnceLock<Result<Vec<RgbImage>, Error>>,
}

/// Whether the bytes begin as a GIF does.
pub(crate) fn is_gif(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")
}

impl Video {
    /// An animated GIF as a video; its mean frame delay gives the rate.
    ///
    /// # Errors
    /// When the bytes are not a GIF, or it is truncated, empty or too large.
    pub fn from_gif(encoded: impl Into<Arc<[u8]>>) -> Result<Self, Error> {
        let encoded = encoded.into();
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
        if pixels > MAX_CLIP_PIXELS {
            return Err(Error::media("animation is too large")
                .found(format!("{pixels} pixels in {} frames", outline.frames))
                .expected(format!("at most {MAX_CLIP_PIXELS} pixels"))
                .help("store the video as a folder of frames"));
        }
        let clip = Arc::new(Clip {
            encoded,
            size: outline.size,
            frames: outline.frames,
            hasher: OnceLock::new(),
            decoded: OnceLock::new(),
        });
        let frames = (0..outline.frames)
            .map(|i| Media::from_clip(clip.clone(), i))
            .collect();
        let fps = match outline.centiseconds {
            0 => DEFAULT_FPS,
            total => outline.frames as f32 * 100.0 / total as f32,
        };
        Ok(Self { frames, fps })
    }
}

impl Clip {
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

struct Outline {
    size: (u32, u32),
    frames: usize,
    /// The first frame that does not lie inside the picture: its number and left, top, width, height. A decoder makes room
    /// for the frame, whatever the picture's size.
    outside: Option<(usize, [u32; 4])>,
    centiseconds: u64,
}

/// Walks a GIF's blocks without decompressing anything; `None` when they break off.
fn outline(bytes: &[u8]) -> Option<Outline> {
    if !is_gif(bytes) {
        return None;
    }
    let u16_at = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let table = |flags: u8| {
        if flags & 0x80 == 0 {
            0
        } else {
            3 << ((flags & 7) + 1)
        }
    };
    let mut outline = Outline {
        size: (u16_at(6)?.into(), u16_at(8)?.into()),
        frames: 0,
        outside: None,
        centiseconds: 0,
    };
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x3B => return Some(outline),
            0x21 => {
                if *bytes.get(at + 1)? == 0xF9 {
                    outline.centiseconds += u64::from(u16_at(at + 4)?);
                }
                at = skip_blocks(bytes, at + 2)?;
            }
            0x2C => {
                outline.frames += 1;
                let side = |place: usize| Some(u32::from(u16_at(at + place)?));
                let frame = [side(1)?, side(3)?, side(5)?, side(7)?];
                let [left, top, width, height] = frame;
                if left + width > outline.size.0 || top + height > outline.size.1 {
                    outline.outside.get_or_insert((outline.frames, frame));
                }
                at = skip_blocks(bytes, at + 11 + table(*bytes.get(at + 9)?))?;
            }
            _ => return None,
        }
    }
}

/// Skips a chain of length-prefixed blocks; returns the position behind its terminator.
pub(crate) fn skip_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            length => at += 1 + length,
        }
    }
}
