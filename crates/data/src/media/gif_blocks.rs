//! The block structure of a GIF, read without decompressing anything.

use crate::Error;

/// An animation may have this many frames (half an hour at 30 frames a second): each costs memory, however small.
const MAX_FRAMES: usize = 54_000;

/// Whether the bytes begin as a GIF does.
fn is_gif(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")
}

/// What the blocks of a GIF say.
pub(crate) struct Outline {
    pub(crate) size: (u32, u32),
    /// The first frame that does not lie inside the picture: its number and left, top, width, height. A decoder makes room
    /// for the frame, whatever the picture's size.
    outside: Option<(usize, [u32; 4])>,
    /// How long each frame asks to be shown, in hundredths of a second.
    pub(crate) delays: Vec<u16>,
}

impl Outline {
    /// Refuses animations without frames, with too many, and with frames outside the picture.
    pub(crate) fn check_frames(&self) -> Result<(), Error> {
        if self.delays.is_empty() {
            return Err(Error::media("GIF has no frames"));
        }
        if let Some((number, [left, top, width, height])) = self.outside {
            return Err(
                Error::media(format!("GIF frame {number} reaches outside the picture"))
                    .found(format!("{width}×{height} at {left}, {top}"))
                    .expected(format!("inside {}×{}", self.size.0, self.size.1))
                    .help("export the animation again, or store the video as a folder of frames"),
            );
        }
        if self.delays.len() > MAX_FRAMES {
            return Err(Error::media("animation has too many frames")
                .found(self.delays.len())
                .expected(format!("at most {MAX_FRAMES}"))
                .help("store the video as a folder of frames"));
        }
        Ok(())
    }
}

/// Walks a GIF's blocks without decompressing anything; `None` when they break off.
pub(crate) fn outline(bytes: &[u8]) -> Option<Outline> {
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
        outside: None,
        delays: Vec::new(),
    };
    let mut at = 13 + table(*bytes.get(10)?);
    // Of the frame that follows.
    let mut delay = 0;
    loop {
        match *bytes.get(at)? {
            0x3B => return Some(outline),
            0x21 => {
                if *bytes.get(at + 1)? == 0xF9 {
                    delay = u16_at(at + 4)?;
                }
                at = skip_blocks(bytes, at + 2)?;
            }
            0x2C => {
                outline.delays.push(std::mem::take(&mut delay));
                let side = |place: usize| Some(u32::from(u16_at(at + place)?));
                let frame = [side(1)?, side(3)?, side(5)?, side(7)?];
                let [left, top, width, height] = frame;
                if left + width > outline.size.0 || top + height > outline.size.1 {
                    outline.outside.get_or_insert((outline.delays.len(), frame));
                }
                at = skip_blocks(bytes, at + 11 + table(*bytes.get(at + 9)?))?;
            }
            _ => return None,
        }
    }
}

/// Skips a chain of length-prefixed blocks; returns the position behind its terminator.
fn skip_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            length => at += 1 + length,
        }
    }
}

/// What Pillow shows of a GIF's screen around a first frame that is smaller: the first colour of the frame's
/// palette; nothing is painted where the frame has a transparent colour.
pub(super) fn background(bytes: &[u8]) -> Option<[u8; 3]> {
    let u16_at = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let table = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let screen = (u16_at(6)?, u16_at(8)?);
    let global = table(*bytes.get(10)?);
    let mut at = 13 + global;
    loop {
        match *bytes.get(at)? {
            0x21 => {
                if *bytes.get(at + 1)? == 0xF9 && *bytes.get(at + 3)? & 1 == 1 {
                    return None;
                }
                at = skip_blocks(bytes, at + 2)?;
            }
            0x2C => {
                let frame = (u16_at(at + 5)?, u16_at(at + 7)?);
                if frame == screen {
                    return None;
                }
                let local = table(*bytes.get(at + 9)?);
                let palette = match (local, global) {
                    (0, 0) => return Some([0; 3]),
                    (0, _) => 13,
                    _ => at + 10,
                };
                let colour = bytes.get(palette..palette + 3)?;
                return Some([colour[0], colour[1], colour[2]]);
            }
            _ => return None,
        }
    }
}
