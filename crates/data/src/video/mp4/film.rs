//! The frames of an MP4 file whose pictures percept decodes itself.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::boxes::{TopBox, read_body, top_boxes, unread};
use super::fragments;
use super::groups::Groups;
use super::movie::Track;
use super::samples::{MAX_SAMPLE_BYTES, Sample};
use super::timeline::{self, Shown};
use crate::Error;
use crate::media::limits::check_size;
use crate::video::colour::Colour;
use crate::video::h264::config::AvcConfig;
use crate::video::h264::limits::refusal;
use crate::video::info::ClipInfo;
use crate::video::turn::Turn;

/// An opened film.
pub(crate) enum Opened {
    /// percept decodes it.
    Here(Arc<Film>, ClipInfo),
    /// Something else must: what stands in the way.
    Elsewhere(String),
}

/// A film in H.264.
#[derive(Debug)]
pub(crate) struct Film {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    pub(super) config: AvcConfig,
    pub(super) samples: Vec<Sample>,
    pub(super) groups: Groups,
    /// In order of time.
    pub(super) shown: Vec<Shown>,
    pub(super) timescale: u32,
    pub(super) size: (u32, u32),
    pub(super) turn: Turn,
    pub(super) colour: Colour,
}

impl Film {
    /// Opens an MP4 or MOV file.
    ///
    /// # Errors
    /// When it has no index, no pictures, or a damaged index.
    pub(crate) fn open(path: &Path) -> Result<Opened, Error> {
        let mut file = File::open(path).map_err(unread)?;
        let length = file.metadata().map_err(unread)?.len();
        let (boxes, cut) = top_boxes(&mut file, length)?;
        let mut track = track(&mut file, &boxes, cut)?;
        // A sample without bytes repeats the picture before it, for ffmpeg too.
        track.samples.retain(|sample| sample.size > 0);
        if track.samples.is_empty() {
            let what = match cut {
                true => "video breaks off before its first frame",
                false => "video has no frames",
            };
            return Err(Error::media(what).found(format!("a file of {length} bytes")));
        }
        if track.coding.several {
            return Ok(Opened::Elsewhere("samples coded in several ways".into()));
        }
        let Some(avcc) = &track.coding.avc else {
            return Ok(Opened::Elsewhere(coding_name(track.coding.name)));
        };
        if !matches!(&track.coding.name, b"avc1" | b"avc3") {
            return Ok(Opened::Elsewhere(coding_name(track.coding.name)));
        }
        let Some(config) = AvcConfig::read(avcc) else {
            return Ok(Opened::Elsewhere("H.264 without a parameter set".into()));
        };
        check_size(config.sps.size)?;
        if let Some(reason) = refusal(&config.sps) {
            return Ok(Opened::Elsewhere(reason));
        }
        let mut is_idr = |sample: &Sample| {
            config
                .is_idr(sample.size.into(), |at, head| {
                    file.seek(SeekFrom::Start(sample.offset.checked_add(at)?))
                        .and_then(|_| file.read_exact(head))
                        .ok()
                })
                // What cannot be read may as well begin a group.
                .unwrap_or(true)
        };
        if !is_idr(&track.samples[0]) {
            return Ok(Opened::Elsewhere(
                "H.264 without an IDR picture first".into(),
            ));
        }
        let groups = Groups::new(&track.samples, is_idr);
        let (shown, duration_s) = timeline::frames(&track);
        if shown.is_empty() {
            return Err(Error::media(
                "video has no frames: its edit list shows none of them",
            ));
        }
        let film = Self {
            path: path.to_owned(),
            length,
            colour: config.sps.colour(track.coding.colour),
            size: config.sps.size,
            config,
            groups,
            samples: track.samples,
            shown,
            timescale: track.timescale,
            turn: track.turn,
        };
        film.check_order(track.edits.len())?;
        let aspect = track
            .coding
            .pixel_aspect
            .unwrap_or(film.config.sps.pixel_aspect);
        let info = ClipInfo {
            duration_s,
            codec: "h264".into(),
            frame_times: film.shown.iter().map(|frame| frame.time_s).collect(),
            decoder: "openh264",
            ..ClipInfo::turned(film.size, aspect, film.turn)
        };
        Ok(Opened::Here(Arc::new(film), info))
    }

    /// Refuses a film that jumps between its groups at every frame: each jump decodes a group.
    fn check_order(&self, edits: usize) -> Result<(), Error> {
        let groups = self.shown.iter().map(|frame| self.groups.of(frame.sample));
        let next = groups.clone().skip(1);
        let jumps = groups.zip(next).filter(|(one, next)| one != next).count();
        match jumps <= 2 * self.groups.count() + 4 * edits + 16 {
            true => Ok(()),
            false => Err(Error::media("video shows its frames in no order")
                .found(format!(
                    "{jumps} jumps between {} groups",
                    self.groups.count()
                ))
                .help("encode the file again: ffmpeg -i FILE -c:v libx264 OUT.mp4")),
        }
    }

    /// When a sample is shown by its own count, for messages about damage.
    #[cfg(feature = "h264")]
    pub(super) fn moment(&self, sample: usize) -> f64 {
        let shown = self.shown.iter().find(|frame| frame.sample == sample);
        let ticks = self.samples[sample].shown as f64;
        shown.map_or(ticks / f64::from(self.timescale), |frame| frame.time_s)
    }

    /// The bytes of a sample.
    #[cfg(feature = "h264")]
    pub(super) fn read(&self, file: &mut File, at: usize, into: &mut Vec<u8>) -> Result<(), Error> {
        let sample = &self.samples[at];
        let end = sample.offset.saturating_add(sample.size.into());
        if end > self.length {
            return Err(Error::media(format!(
                "video breaks off: the frame at {:.3} s lies behind the end of the file",
                self.moment(at)
            ))
            .found(format!("{} bytes", self.length))
            .expected(format!("{end} bytes"))
            .help("fetch the file again; frames before that time can be read"));
        }
        if sample.size > MAX_SAMPLE_BYTES {
            return Err(Error::media(format!(
                "video is damaged: the frame at {:.3} s is too large",
                self.moment(at)
            ))
            .found(format!("{} bytes", sample.size))
            .expected(format!("at most {MAX_SAMPLE_BYTES}")));
        }
        into.resize(sample.size as usize, 0);
        file.seek(SeekFrom::Start(sample.offset))
            .and_then(|_| file.read_exact(into))
            .map_err(unread)
    }
}

/// The video track, with the samples of fragments.
fn track(file: &mut File, boxes: &[TopBox], cut: bool) -> Result<Track, Error> {
    let Some(moov) = boxes.iter().find(|one| &one.kind == b"moov") else {
        let names: Vec<_> = boxes
            .iter()
            .take(8)
            .map(|one| String::from_utf8_lossy(&one.kind).into_owned())
            .collect();
        let what = match cut {
            true => "video has no index (moov): the file breaks off before it",
            false => "video has no index (moov): it was never finished",
        };
        return Err(Error::media(what)
            .found(format!("boxes {}", names.join(", ")))
            .help("fetch or record the file again; without the index no frame can be read"));
    };
    let mut track = Track::first(&read_body(file, moov)?)?;
    for one in boxes.iter().filter(|one| &one.kind == b"moof") {
        let moof = read_body(file, one)?;
        fragments::read(&moof, one.start, &mut track)?;
    }
    Ok(track)
}

fn coding_name(name: [u8; 4]) -> String {
    let text: String = name.iter().map(|&b| char::from(b)).collect();
    let known = match &name {
        b"hvc1" | b"hev1" => "HEVC",
        b"av01" => "AV1",
        b"vp08" => "VP8",
        b"vp09" => "VP9",
        b"mp4v" => "MPEG-4 part 2",
        b"encv" => "encrypted",
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" => "ProRes",
        b"jpeg" | b"mjpa" | b"mjpb" => "Motion JPEG",
        _ => return format!("codec {}", text.escape_default()),
    };
    format!("{known} ({})", text.escape_default())
}
