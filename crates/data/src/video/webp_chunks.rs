//! The chunks of a WebP file: size, and how long each frame is shown.

/// What the chunks say.
pub(super) struct WebpChunks {
    pub(super) size: (u32, u32),
    /// One for each frame; 0 for the picture of a file without animation.
    pub(super) delays_s: Vec<f64>,
}

/// Frames without a duration are shown for 100 ms, as browsers show them.
const NO_DURATION_MS: u32 = 100;

fn u24(bytes: &[u8], at: usize) -> Option<u32> {
    let low = bytes.get(at..at + 3)?;
    Some(u32::from_le_bytes([low[0], low[1], low[2], 0]))
}

/// Walks a WebP's chunks; none when it is cut off.
pub(super) fn read(bytes: &[u8]) -> Option<WebpChunks> {
    let header = bytes.get(..12)?;
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    // The length is padded to an even number; files that break off are known by it.
    let body = bytes.get(12..length.checked_add(8)?)?;
    let mut size = None;
    let mut delays_s = Vec::new();
    let mut animated = false;
    let mut at = 0;
    while let Some(head) = body.get(at..at + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let start = at + 8;
        let chunk = body.get(start..start.checked_add(length)?)?;
        match &head[..4] {
            b"VP8X" => {
                animated = chunk.first()? & 2 != 0;
                size = Some((u24(chunk, 4)? + 1, u24(chunk, 7)? + 1));
            }
            b"ANMF" => {
                let duration = match u24(chunk, 12)? {
                    0 => NO_DURATION_MS,
                    milliseconds => milliseconds,
                };
                delays_s.push(f64::from(duration) / 1e3);
            }
            b"VP8 " if size.is_none() => {
                let sides = chunk.get(6..10)?;
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                size = Some((side(sides[0], sides[1]), side(sides[2], sides[3])));
            }
            b"VP8L" if size.is_none() => {
                let bits = u32::from_le_bytes(chunk.get(1..5)?.try_into().ok()?);
                size = Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1));
            }
            _ => {}
        }
        at = start + length + length % 2;
    }
    if !animated && delays_s.is_empty() {
        delays_s.push(0.0);
    }
    Some(WebpChunks {
        size: size?,
        delays_s,
    })
}
