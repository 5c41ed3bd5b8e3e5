//! The block structure of a GIF, read without decompressing anything.

/// Whether the bytes begin as a GIF does.
fn is_gif(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")
}

/// What the blocks of a GIF say.
pub(super) struct Outline {
    pub(super) size: (u32, u32),
    pub(super) frames: usize,
    /// The first frame that does not lie inside the picture: its number and left, top, width, height. A decoder makes room
    /// for the frame, whatever the picture's size.
    pub(super) outside: Option<(usize, [u32; 4])>,
    /// Of all frames together.
    pub(super) centiseconds: u64,
}

/// Walks a GIF's blocks without decompressing anything; `None` when they break off.
pub(super) fn outline(bytes: &[u8]) -> Option<Outline> {
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
