//! Videos in the forms in which rows have them: files with the names of `qwen_vl_utils` for what is shown of them, and lists
//! of frames.

use std::path::Path;

use crate::convention::media::{MediaReader, is_nothing};
use crate::formats::row::Value;
use crate::{DEFAULT_FPS, Error, Media, Video, VideoSampling};

/// Fields beside a video that say what is shown of it, or how fast its frames run.
pub(crate) const VIDEO_FIELDS: [&str; 7] = [
    "fps",
    "sample_fps",
    "nframes",
    "min_frames",
    "max_frames",
    "video_start",
    "video_end",
];

impl MediaReader<'_> {
    /// All videos of a column.
    pub(super) fn videos(&self, name: &str, value: Value) -> Result<Vec<Video>, Error> {
        let Value::List(items) = value else {
            return match value {
                nothing if is_nothing(&nothing) => Ok(Vec::new()),
                one => Ok(vec![self.video(name, one, &[])?]),
            };
        };
        items
            .into_iter()
            .enumerate()
            .filter(|(_, item)| !is_nothing(item))
            .map(|(index, item)| self.video(&format!("{name}[{index}]"), item, &[]))
            .collect()
    }

    /// A list of frames, a file or its bytes, or a struct of one of these and [`VIDEO_FIELDS`]; `beside` are the fields of
    /// the content part in which the video stands.
    pub(super) fn video(
        &self,
        field: &str,
        value: Value,
        beside: &[(String, Value)],
    ) -> Result<Video, Error> {
        match value {
            Value::List(frames) => {
                let frames = self.images(field, Value::List(frames))?;
                let sampling = read_fields(field, beside)?;
                let others = [
                    ("nframes", sampling.choice.nframes),
                    ("min_frames", sampling.choice.min_frames),
                    ("max_frames", sampling.choice.max_frames),
                    ("video_start", sampling.choice.video_start),
                    ("video_end", sampling.choice.video_end),
                ];
                if let Some((name, _)) = others.iter().find(|(_, value)| value.is_some()) {
                    return Err(Error::row("a list of frames is shown as it is")
                        .field(format!("{field}.{name}"))
                        .help("leave the field out, or name a video file"));
                }
                let fps = sampling.sample_fps.or(sampling.choice.fps);
                Ok(Video {
                    frames,
                    fps: fps.map_or(DEFAULT_FPS, |fps| fps as f32),
                })
            }
            Value::Struct(fields) => {
                let keys = ["frames", "video", "path", "bytes"];
                let content = keys.iter().find_map(|key| {
                    fields
                        .iter()
                        .find(|(name, value)| name == key && !is_nothing(value))
                });
                let Some((_, content)) = content.cloned() else {
                    return Err(Error::row("not a video")
                        .field(field)
                        .found(Value::Struct(fields).describe())
                        .expected("{\"video\": \"clip.mp4\"} or {\"frames\": […], \"fps\": 2.0}"));
                };
                // What stands nearer to the file counts.
                let all: Vec<(String, Value)> =
                    fields.into_iter().chain(beside.iter().cloned()).collect();
                self.video(field, content, &all)
            }
            Value::Text(text) if text.starts_with("http://") || text.starts_with("https://") => {
                Err(Error::row("video is a web address")
                    .field(field)
                    .found(text)
                    .expected("a file")
                    .help("download the videos first; percept reads no network"))
            }
            Value::Text(text) => {
                let path = self.resolve(Path::new(text.strip_prefix("file://").unwrap_or(&text)));
                let sampling = read_fields(field, beside)?.of_file(field)?;
                let mut video =
                    Video::open(&path, &sampling).map_err(|e| e.file_into_what().field(field))?;
                let named = Media::from_path(&path).within(self.folders).named;
                let frames = video.frames.drain(..);
                let frames = frames.map(|f| {
                    f.read_from(named.clone())
                        .placed(self.file, self.row, field)
                });
                video.frames = frames.collect();
                Ok(video)
            }
            Value::Bytes(bytes) => {
                let sampling = read_fields(field, beside)?.of_file(field)?;
                let mut video = Video::from_bytes(&bytes, &sampling).map_err(|e| e.field(field))?;
                let frames = video.frames.drain(..);
                let frames = frames.map(|f| f.placed(self.file, self.row, field));
                video.frames = frames.collect();
                Ok(video)
            }
            other => Err(Error::row("not a video")
                .field(field)
                .found(other.describe())
                .expected("a file, its bytes, or a list of frames")),
        }
    }
}

/// What stands beside a video.
struct Fields {
    choice: VideoSampling,
    /// The rate of a list of frames.
    sample_fps: Option<f64>,
}

impl Fields {
    fn of_file(self, field: &str) -> Result<VideoSampling, Error> {
        match self.sample_fps {
            None => Ok(self.choice),
            Some(_) => Err(Error::row("sample_fps is the rate of a list of frames")
                .field(format!("{field}.sample_fps"))
                .help("for a video file, fps says how many frames a second are shown")),
        }
    }
}

fn read_fields(field: &str, fields: &[(String, Value)]) -> Result<Fields, Error> {
    let number = |name: &str, allowed: fn(f64) -> bool, expected: &str| {
        let mut found = fields.iter().filter(|(_, value)| !value.is_null());
        let Some((_, value)) = found.find(|(found, _)| found == name) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_f64().filter(|n| n.is_finite() && allowed(*n)),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Error::row(format!("{name} is no usable number"))
                .field(format!("{field}.{name}"))
                .found(value.describe())
                .expected(expected)),
        }
    };
    let rate = |name| number(name, |rate| rate > 0.0, "a number above 0");
    let count = |name| number(name, |count| count >= 1.0, "a number of at least 1");
    let seconds = |name| number(name, |seconds| seconds >= 0.0, "seconds, at least 0");
    Ok(Fields {
        choice: VideoSampling {
            fps: rate("fps")?,
            nframes: count("nframes")?,
            min_frames: count("min_frames")?,
            max_frames: count("max_frames")?,
            video_start: seconds("video_start")?,
            video_end: seconds("video_end")?,
        },
        sample_fps: rate("sample_fps")?,
    })
}
