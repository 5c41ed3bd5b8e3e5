//! What the built-in decoder takes.

use super::sps::Sps;

/// Macroblocks of a picture of level 5.2, the largest that OpenH264 knows.
#[cfg(feature = "h264")]
const MAX_MACROBLOCKS: u64 = 36_864;

/// Why the built-in decoder takes no such stream; none when it does.
#[cfg(feature = "h264")]
pub(crate) fn refusal(sps: &Sps) -> Option<String> {
    let Sps {
        luma_bits,
        chroma_bits,
        profile,
        ..
    } = sps;
    if *luma_bits != 8 || *chroma_bits != 8 {
        return Some(format!("H.264 with {luma_bits} bits a sample"));
    }
    if sps.chroma_format != 1 {
        let name = ["4:0:0", "4:2:0", "4:2:2", "4:4:4"].get(sps.chroma_format as usize);
        return Some(format!("H.264 in {}", name.unwrap_or(&"an unknown format")));
    }
    if !sps.progressive {
        return Some("H.264 in fields (interlaced)".into());
    }
    if ![66, 77, 100].contains(profile) {
        return Some(format!("H.264 of profile {profile}"));
    }
    if sps.macroblocks > MAX_MACROBLOCKS {
        let (width, height) = sps.size;
        return Some(format!("H.264 of {width}×{height}"));
    }
    None
}

/// Why the built-in decoder takes no such stream: there is none.
#[cfg(not(feature = "h264"))]
pub(crate) fn refusal(_: &Sps) -> Option<String> {
    Some("H.264 (this percept was built without feature h264)".into())
}
