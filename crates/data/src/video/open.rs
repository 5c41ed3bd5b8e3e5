//! Which decoder a clip gets, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::error::kind_of_file;
use crate::video::animated::Animated;
use crate::video::ffmpeg::pipe::Pipe;
use crate::video::folder::Folder;
use crate::video::frames::DEFAULT_FPS;
use crate::video::info::ClipInfo;
use crate::video::mp4::film::{Film, Opened};
use crate::video::source::Source;

/// How a clip is opened.
#[derive(Debug, Clone)]
pub struct ClipOptions {
    /// Frames per second of a folder of pictures. Default: [`DEFAULT_FPS`], as rows of frames without a rate have.
    pub folder_fps: f64,
    /// The program `ffmpeg`; `ffprobe` is looked for beside it. Default: the environment's `PERCEPT_FFMPEG`, else the
    /// first `ffmpeg` of `PATH`.
    pub ffmpeg: Option<PathBuf>,
    /// Leaves everything but GIF, WebP and folders to ffmpeg, also what percept could decode itself.
    pub prefer_ffmpeg: bool,
}

impl Default for ClipOptions {
    fn default() -> Self {
        Self {
            folder_fps: f64::from(DEFAULT_FPS),
            ffmpeg: None,
            prefer_ffmpeg: false,
        }
    }
}

type Found = (Arc<dyn Source>, ClipInfo);

pub(super) fn source(path: &Path, options: &ClipOptions) -> Result<Found, Error> {
    let unopened = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::media("video does not exist"),
        _ => Error::media(format!("video cannot be opened: {e}")),
    };
    let metadata = path.metadata().map_err(unopened)?;
    if metadata.is_dir() {
        let (source, info) = Folder::open(path, options.folder_fps)?;
        return Ok((Arc::new(source), info));
    }
    // Opening a named pipe would wait for somebody to write to it.
    if !metadata.is_file() {
        return Err(Error::media("video cannot be read: it is no regular file")
            .found(kind_of_file(metadata.file_type()))
            .expected("a file, or a folder of frames"));
    }
    if metadata.len() == 0 {
        return Err(Error::media("video file is empty").found("0 bytes"));
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut head))
        .map_err(unopened)?;
    let elsewhere = match Kind::of(&head) {
        Kind::Gif | Kind::Webp => {
            let (source, info) = Animated::open(path)?;
            return Ok((Arc::new(source), info));
        }
        Kind::Image(name) => {
            return Err(Error::media("file is an image, no video")
                .found(name)
                .expected("MP4, MOV, WebM, GIF, animated WebP or a folder of frames"));
        }
        Kind::Mp4 if options.prefer_ffmpeg => "MP4".to_owned(),
        Kind::Mp4 => match Film::open(path)? {
            Opened::Here(film, info) => return in_process(film, info),
            Opened::Elsewhere(reason) => reason,
        },
        Kind::Other(name) => name.to_owned(),
    };
    let (source, info) = Pipe::open(path, options.ffmpeg.as_deref(), &elsewhere)?;
    Ok((Arc::new(source), info))
}

#[cfg(feature = "h264")]
fn in_process(film: Arc<Film>, info: ClipInfo) -> Result<Found, Error> {
    Ok((film, info))
}

/// Without a decoder every film is opened elsewhere.
#[cfg(not(feature = "h264"))]
fn in_process(_: Arc<Film>, _: ClipInfo) -> Result<Found, Error> {
    Err(Error::media("percept was built without feature h264"))
}

/// What a file is, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Gif,
    Webp,
    Mp4,
    Image(&'static str),
    Other(&'static str),
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        match head {
            [b'G', b'I', b'F', b'8', ..] => Self::Gif,
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Self::Webp,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..] => Self::Other("AVI"),
            [0x89, b'P', b'N', b'G', ..] => Self::Image("PNG"),
            [0xFF, 0xD8, 0xFF, ..] => Self::Image("JPEG"),
            [b'B', b'M', ..] => Self::Image("BMP"),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Self::Image("TIFF"),
            [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Self::Other("AVIF"),
            _ if head
                .get(4..8)
                .is_some_and(|kind| MP4_STARTS.contains(&kind)) =>
            {
                Self::Mp4
            }
            [0x1A, 0x45, 0xDF, 0xA3, ..] => Self::Other("WebM or Matroska"),
            [b'F', b'L', b'V', ..] => Self::Other("FLV"),
            [b'O', b'g', b'g', b'S', ..] => Self::Other("Ogg"),
            [0x47, ..] => Self::Other("MPEG-TS"),
            _ => Self::Other("an unknown container"),
        }
    }
}

/// Boxes with which MP4 and MOV files begin.
const MP4_STARTS: [&[u8]; 8] = [
    b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot", b"styp",
];
