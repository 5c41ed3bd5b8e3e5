//! What `ffprobe` says of a file: its video stream, and when each frame is shown.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::program::{Programs, answer, complaint, input};
use crate::Error;
use crate::media::limits::check_size;
use crate::video::info::ClipInfo;
use crate::video::turn::Turn;

/// A video may have this many frames: nine and a half hours at 30 a second.
const MAX_FRAMES: usize = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Probe {
    streams: Vec<Stream>,
    packets: Vec<Packet>,
    frames: Vec<FrameLine>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stream {
    codec_name: String,
    width: u32,
    height: u32,
    sample_aspect_ratio: String,
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    /// Degrees, counter-clockwise.
    rotation: Option<f64>,
    displaymatrix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Packet {
    pts_time: Option<String>,
    duration_time: Option<String>,
    flags: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FrameLine {
    best_effort_timestamp_time: Option<String>,
    #[serde(alias = "pkt_duration_time")]
    duration_time: Option<String>,
}

/// What a stream is and how its pictures are stored.
pub(super) struct Probed {
    pub(super) info: ClipInfo,
    pub(super) size: (u32, u32),
    pub(super) turn: Turn,
}

pub(super) fn probe(programs: &Programs, path: &Path) -> Result<Probed, Error> {
    let said = ask(programs, path, "packet=pts_time,duration_time,flags")?;
    let Some(stream) = said.streams.into_iter().next() else {
        return Err(Error::media("file has no pictures: it has no video stream"));
    };
    let size = (stream.width, stream.height);
    check_size(size)?;
    // A packet that is decoded and not shown is marked D.
    let shown = said
        .packets
        .iter()
        .filter(|packet| !packet.flags.contains('D'));
    let mut times: Option<Vec<_>> = shown
        .map(|packet| time(&packet.pts_time).map(|t| (t, time(&packet.duration_time))))
        .collect();
    if times.is_none() {
        // AVI and raw streams have no times of showing: those that the decoder makes up hold.
        let said = ask(
            programs,
            path,
            "frame=best_effort_timestamp_time,duration_time,pkt_duration_time",
        )?;
        // A last frame without one follows the frame before it.
        let mut next = None;
        let all = said.frames.iter().map(|frame| {
            let begins = time(&frame.best_effort_timestamp_time).or(next)?;
            let lasts = time(&frame.duration_time);
            next = lasts.map(|lasts| begins + lasts);
            Some((begins, lasts))
        });
        times = all.collect();
    }
    let Some(mut times) = times else {
        return Err(Error::media("video has frames without a time")
            .help("write it anew, for example: ffmpeg -i FILE -c copy OUT.mkv"));
    };
    if times.is_empty() {
        return Err(Error::media("video has no frames"));
    }
    if times.len() > MAX_FRAMES {
        return Err(Error::media("video has too many frames")
            .found(times.len())
            .expected(format!("at most {MAX_FRAMES}"))
            .help("cut it into shorter clips"));
    }
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    times.dedup_by_key(|(begins, _)| *begins);
    let turn = turn(&stream.side_data_list);
    let first = times[0].0;
    let (last, lasts) = times[times.len() - 1];
    let info = ClipInfo {
        duration_s: last - first + lasts.unwrap_or_else(|| spacing(&times)),
        codec: stream.codec_name,
        frame_times: times.iter().map(|(begins, _)| *begins).collect(),
        decoder: "ffmpeg",
        ..ClipInfo::turned(size, aspect(&stream.sample_aspect_ratio), turn)
    };
    Ok(Probed { info, size, turn })
}

/// The mean distance of the frames, for a last one that does not say how long it lasts.
fn spacing(times: &[(f64, Option<f64>)]) -> f64 {
    match times.len() {
        0 | 1 => 0.0,
        count => (times[count - 1].0 - times[0].0) / (count - 1) as f64,
    }
}

fn ask(programs: &Programs, path: &Path, entries: &str) -> Result<Probe, Error> {
    let stream = "stream=codec_name,width,height,sample_aspect_ratio:stream_side_data=rotation,displaymatrix";
    let mut command = Command::new(&programs.ffprobe);
    command
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-of",
            "json=compact=1",
        ])
        .args(["-show_entries", &format!("{stream}:{entries}")])
        .args(input(path));
    let said = answer(&mut command)?;
    let read = serde_json::from_slice::<Probe>(&said.out);
    match read {
        Ok(probe) if said.well || !probe.streams.is_empty() => Ok(probe),
        _ => Err(Error::media("ffprobe cannot read the file")
            .found(complaint(&said.errors))
            .help("is it a video, and whole?")),
    }
}

fn time(text: &Option<String>) -> Option<f64> {
    text.as_deref()?
        .parse()
        .ok()
        .filter(|t: &f64| t.is_finite())
}

fn aspect(text: &str) -> (u32, u32) {
    let sides = text.split_once(':');
    let sides = sides.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    sides.filter(|&(a, b)| a > 0 && b > 0).unwrap_or((1, 1))
}

fn turn(side_data: &[SideData]) -> Turn {
    let matrix = side_data
        .iter()
        .filter_map(|data| data.displaymatrix.as_deref())
        .find_map(matrix);
    if let Some(matrix) = matrix {
        return Turn::from_matrix(matrix);
    }
    let rotation = side_data.iter().find_map(|data| data.rotation);
    let quarters = (-rotation.unwrap_or(0.0) / 90.0).round().rem_euclid(4.0);
    Turn {
        quarters: quarters as u8,
        mirrored: false,
    }
}

/// Nine numbers, three to a line behind `00000000:`.
fn matrix(text: &str) -> Option<[i32; 9]> {
    let numbers = text
        .split_whitespace()
        .filter(|word| !word.ends_with(':'))
        .map(|word| word.parse().ok());
    let numbers: Vec<i32> = numbers.collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_matrix_is_read_as_ffprobe_prints_it() {
        let text = "\n00000000:            0       65536           0\n00000001:       -65536           0           0\n\
                    00000002:            0           0  1073741824\n";
        let data = SideData {
            rotation: Some(-90.0),
            displaymatrix: Some(text.into()),
        };
        let alone = SideData {
            rotation: Some(-90.0),
            displaymatrix: None,
        };
        let quarter = Turn {
            quarters: 1,
            mirrored: false,
        };
        assert_eq!(turn(&[data]), quarter);
        assert_eq!(turn(&[alone]), quarter);
    }
}
