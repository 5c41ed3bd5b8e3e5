//! The index of a file (`moov`): its video track, turned and cut as its header and edit list say.

use super::boxes::Boxes;
use super::samples::{self, Sample};
use crate::Error;
use crate::video::bytes::Bytes;
use crate::video::colour::{Colour, Matrix};
use crate::video::turn::Turn;

/// The coding of a track: the type of its sample entry, and what H.264 keeps in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Coding {
    /// `avc1`, `hvc1`, `vp09`, …
    pub(super) name: [u8; 4],
    /// The body of `avcC`.
    pub(super) avc: Option<Vec<u8>>,
    /// Of `pasp`.
    pub(super) pixel_aspect: Option<(u32, u32)>,
    /// Of `colr`.
    pub(super) colour: Option<Colour>,
    /// Whether samples are coded in more than one way.
    pub(super) several: bool,
}

/// A piece of an edit list: from where in the track, for how long; `start` is none where nothing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// In the movie's ticks.
    pub(super) duration: u64,
    /// In the track's ticks.
    pub(super) start: Option<i64>,
}

/// What samples of fragments have where those do not say (`trex`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// The first video track of a file.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) id: u32,
    /// Ticks of the track in a second.
    pub(super) timescale: u32,
    /// Ticks of the movie in a second.
    pub(super) movie_timescale: u32,
    pub(super) turn: Turn,
    pub(super) coding: Coding,
    pub(super) edits: Vec<Edit>,
    pub(super) samples: Vec<Sample>,
    pub(super) defaults: Defaults,
}

impl Track {
    /// The first video track of a `moov` box.
    pub(super) fn first(moov: &[u8]) -> Result<Self, Error> {
        let movie_timescale = Boxes::first(moov, b"mvhd").and_then(timescale);
        let mut others = Vec::new();
        for (kind, trak) in Boxes::new(moov) {
            if &kind != b"trak" {
                continue;
            }
            let mdia = Boxes::first(trak, b"mdia").unwrap_or_default();
            match Boxes::first(mdia, b"hdlr").and_then(|hdlr| hdlr.get(8..12)) {
                Some(b"vide") => {
                    let mut track = Self::read(trak, mdia, movie_timescale.unwrap_or(1))?;
                    if let Some(mvex) = Boxes::first(moov, b"mvex") {
                        track.defaults = defaults(mvex, track.id).unwrap_or_default();
                    }
                    return Ok(track);
                }
                Some(b"soun") => others.push("sound".to_owned()),
                Some(other) => others.push(String::from_utf8_lossy(other).into_owned()),
                None => {}
            }
        }
        let found = match others.is_empty() {
            true => "no tracks".to_owned(),
            false => format!("tracks of: {}", others.join(", ")),
        };
        Err(Error::media("file has no pictures: it has no video track").found(found))
    }

    fn read(trak: &[u8], mdia: &[u8], movie_timescale: u32) -> Result<Self, Error> {
        let damaged = |what: &str| {
            Error::media(format!("the index of the video is damaged: {what}"))
                .help("fetch or export the file again")
        };
        let (id, turn) = Boxes::first(trak, b"tkhd")
            .and_then(header)
            .ok_or_else(|| damaged("its track header (tkhd) ends too early"))?;
        let timescale = Boxes::first(mdia, b"mdhd")
            .and_then(timescale)
            .filter(|&ticks| ticks > 0)
            .ok_or_else(|| damaged("its media header (mdhd) has no ticks in a second"))?;
        let minf = Boxes::first(mdia, b"minf").unwrap_or_default();
        let stbl =
            Boxes::first(minf, b"stbl").ok_or_else(|| damaged("it has no sample table (stbl)"))?;
        let coding = Boxes::first(stbl, b"stsd")
            .and_then(coding)
            .ok_or_else(|| damaged("its sample description (stsd) ends too early"))?;
        let edits = Boxes::first(trak, b"edts").and_then(|edts| Boxes::first(edts, b"elst"));
        Ok(Self {
            id,
            timescale,
            movie_timescale: movie_timescale.max(1),
            turn,
            coding,
            edits: edits.map(edit_list).unwrap_or_default(),
            samples: samples::read(stbl)?,
            defaults: Defaults::default(),
        })
    }
}

/// Ticks in a second, of `mvhd` and `mdhd`.
fn timescale(body: &[u8]) -> Option<u32> {
    let mut bytes = Bytes::new(body);
    let version = bytes.u8()?;
    bytes.take(if version == 1 { 19 } else { 11 })?;
    bytes.u32()
}

/// Number of a track and how its pictures are turned, of `tkhd`.
fn header(body: &[u8]) -> Option<(u32, Turn)> {
    let mut bytes = Bytes::new(body);
    let version = bytes.u8()?;
    bytes.take(if version == 1 { 19 } else { 11 })?;
    let id = bytes.u32()?;
    bytes.take(if version == 1 { 12 } else { 8 })?;
    bytes.take(16)?;
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = bytes.i32()?;
    }
    Some((id, Turn::from_matrix(matrix)))
}

fn edit_list(body: &[u8]) -> Vec<Edit> {
    let mut bytes = Bytes::new(body);
    let mut read = || {
        let version = bytes.u8()?;
        bytes.take(3)?;
        let count = bytes.u32()?;
        let mut edits = Vec::new();
        for _ in 0..count.min(samples::MAX_SAMPLES as u32) {
            let (duration, start) = match version {
                1 => (bytes.u64()?, bytes.i64()?),
                _ => (bytes.u32()?.into(), bytes.i32()?.into()),
            };
            bytes.take(4)?; // rate
            let start = (start >= 0).then_some(start);
            edits.push(Edit { duration, start });
        }
        Some(edits)
    };
    read().unwrap_or_default()
}

/// The first sample entry of `stsd`.
fn coding(stsd: &[u8]) -> Option<Coding> {
    let mut bytes = Bytes::new(stsd);
    bytes.take(4)?;
    let count = bytes.u32()?;
    let (name, entry) = Boxes::new(bytes.rest()).next()?;
    let mut coding = Coding {
        name,
        several: count > 1,
        ..Coding::default()
    };
    // A visual sample entry has 78 bytes before its boxes.
    for (kind, body) in Boxes::new(entry.get(78..)?) {
        let mut bytes = Bytes::new(body);
        match &kind {
            b"avcC" => coding.avc = Some(body.to_vec()),
            b"pasp" => {
                let aspect = bytes.u32().zip(bytes.u32());
                coding.pixel_aspect = aspect.filter(|&(across, down)| across > 0 && down > 0);
            }
            b"colr" => coding.colour = colour(bytes),
            _ => {}
        }
    }
    Some(coding)
}

fn colour(mut bytes: Bytes<'_>) -> Option<Colour> {
    let kind: [u8; 4] = bytes.array()?;
    if &kind != b"nclx" && &kind != b"nclc" {
        return None;
    }
    bytes.take(4)?; // primaries, transfer
    let matrix = Matrix::from_code(bytes.u16()?.into()).unwrap_or_default();
    let full_range = &kind == b"nclx" && bytes.u8()? & 0x80 != 0;
    Some(Colour { matrix, full_range })
}

fn defaults(mvex: &[u8], track: u32) -> Option<Defaults> {
    let read = |body| {
        let mut bytes = Bytes::new(body);
        bytes.take(4)?;
        let id = bytes.u32()?;
        bytes.take(4)?;
        let defaults = Defaults {
            duration: bytes.u32()?,
            size: bytes.u32()?,
            flags: bytes.u32()?,
        };
        (id == track).then_some(defaults)
    };
    Boxes::new(mvex)
        .filter(|(kind, _)| kind == b"trex")
        .find_map(|(_, body)| read(body))
}
