//! Animated GIF and WebP files, a frame at a time: however long they are, one picture is in memory.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, Frames, ImageDecoder};

use crate::Error;
use crate::media::encoded::read_file;
use crate::media::gif_blocks::outline;
use crate::media::limits::{check_size, guarded, limits};
use crate::media::rgb::on_white;
use crate::video::info::ClipInfo;
use crate::video::source::{Sink, Source};
use crate::video::turn::Turn;
use crate::video::webp_chunks;

/// A GIF or WebP file.
#[derive(Debug)]
pub(super) struct Animated {
    encoded: Arc<[u8]>,
    kind: Kind,
    /// When each frame begins.
    times: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gif,
    Webp,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }
}

/// Frames that ask for less than 20 ms are shown for 100 ms, by browsers and by ffmpeg.
fn gif_delay(centiseconds: u16) -> f64 {
    let centiseconds = if centiseconds < 2 { 10 } else { centiseconds };
    f64::from(centiseconds) / 100.0
}

impl Animated {
    pub(super) fn open(path: &Path) -> Result<(Self, ClipInfo), Error> {
        let encoded = read_file(path)?;
        let kind = match encoded.starts_with(b"GIF") {
            true => Kind::Gif,
            false => Kind::Webp,
        };
        let corrupt = || {
            Error::media(format!("{} is corrupt or truncated", kind.name()))
                .help("export the animation again, or store the video as a folder of frames")
        };
        let (size, delays): (_, Vec<f64>) = match kind {
            Kind::Gif => {
                let outline = outline(&encoded).ok_or_else(corrupt)?;
                outline.check_frames()?;
                let delays = outline.delays.iter().copied().map(gif_delay);
                (outline.size, delays.collect())
            }
            Kind::Webp => {
                let chunks = webp_chunks::read(&encoded).ok_or_else(corrupt)?;
                (chunks.size, chunks.delays_s)
            }
        };
        check_size(size)?;
        if delays.is_empty() {
            return Err(Error::media(format!("{} has no frames", kind.name())));
        }
        let mut times = Vec::with_capacity(delays.len());
        let mut clock = 0.0;
        for delay in &delays {
            times.push(clock);
            // Sums of hundredths, without the errors of thousands of additions.
            clock = ((clock + delay) * 1e3).round() / 1e3;
        }
        let info = ClipInfo {
            duration_s: clock,
            codec: kind.name().into(),
            frame_times: times.clone(),
            ..ClipInfo::turned(size, (1, 1), Turn::default())
        };
        let source = Self {
            encoded,
            kind,
            times,
        };
        Ok((source, info))
    }

    fn open_frames(&self) -> image::ImageResult<Frames<'_>> {
        let bytes = Cursor::new(&self.encoded[..]);
        match self.kind {
            Kind::Gif => {
                let mut decoder = GifDecoder::new(bytes)?;
                decoder.set_limits(limits())?;
                Ok(decoder.into_frames())
            }
            Kind::Webp => {
                let mut decoder = WebPDecoder::new(bytes)?;
                decoder.set_limits(limits())?;
                Ok(decoder.into_frames())
            }
        }
    }
}

impl Source for Animated {
    fn decode(&self, wanted: &[usize], sink: &mut Sink<'_>) -> Result<(), Error> {
        let Some(&last) = wanted.last() else {
            return Ok(());
        };
        let damaged = |at: usize, error: &dyn std::fmt::Display| {
            let time = self.times.get(at).copied().unwrap_or(0.0);
            Error::media(format!("{} is damaged at {time:.3} s", self.kind.name()))
                .found(error)
                .help("export the animation again; frames before that time can be read")
        };
        guarded(|| {
            let mut frames = self.open_frames().map_err(|e| damaged(0, &e))?;
            for at in 0..=last {
                let frame = match frames.next() {
                    Some(frame) => frame.map_err(|e| damaged(at, &e))?,
                    None => return Err(damaged(at, &"the end of the file")),
                };
                if wanted.binary_search(&at).is_err() {
                    continue;
                }
                let picture = on_white(&frame.into_buffer());
                if !sink(at, self.times[at], picture) {
                    break;
                }
            }
            Ok(())
        })
    }
}
