//! Frames that the program `ffmpeg` decodes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::output::{Next, Output};
use super::probe::probe;
use super::program::{Programs, input};
use crate::Error;
use crate::video::info::ClipInfo;
use crate::video::source::{Sink, Source};
use crate::video::turn::Turn;

/// Frames that one run of the program picks: its filter asks each of these times of every frame.
const PICKS: usize = 64;

/// A file, and the programs that read it.
#[derive(Debug)]
pub(in crate::video) struct Pipe {
    programs: Programs,
    path: PathBuf,
    /// As stored, before turning.
    size: (u32, u32),
    turn: Turn,
    times: Vec<f64>,
    /// How far a frame's time may be from the listed one; no two frames are as near.
    slack: f64,
}

impl Pipe {
    /// Asks `ffprobe` for the file; `reason` says what percept does not decode itself.
    pub(in crate::video) fn open(
        path: &Path,
        ffmpeg: Option<&Path>,
        reason: &str,
    ) -> Result<(Self, ClipInfo), Error> {
        let programs = Programs::find(ffmpeg, reason)?;
        // A relative path stays one for the program, and one that begins with `-` is none of its options.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let probed = probe(&programs, &path)?;
        let times = probed.info.frame_times.clone();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let pipe = Self {
            programs,
            path,
            size: probed.size,
            turn: probed.turn,
            slack: gaps.fold(0.002, f64::min) / 3.0,
            times,
        };
        Ok((pipe, probed.info))
    }

    fn command(&self, wanted: &[usize]) -> Command {
        let mut command = Command::new(&self.programs.ffmpeg);
        // Times stay those of the file, and turning is ours, as for every other file.
        command.args([
            "-nostdin",
            "-hide_banner",
            "-nostats",
            "-loglevel",
            "level+info",
            "-copyts",
        ]);
        command.arg("-noautorotate");
        let mut filter = String::new();
        if wanted.len() < self.times.len() {
            let first = self.times[wanted[0]];
            if wanted[0] > 0 {
                command.args(["-seek_timestamp", "1", "-noaccurate_seek", "-ss"]);
                command.arg(format!("{first:.6}"));
            }
            let picks = wanted.iter().map(|&at| {
                let time = self.times[at];
                format!(
                    "between(t,{:.6},{:.6})",
                    time - self.slack,
                    time + self.slack
                )
            });
            filter = format!("select='{}',", picks.collect::<Vec<_>>().join("+"));
        }
        let (width, height) = self.size;
        filter += &format!("showinfo=checksum=0,scale={width}:{height}");
        command
            .args(input(&self.path))
            .args(["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", &filter])
            .args([
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "-pix_fmt",
                "rgb24",
                "pipe:1",
            ]);
        command
    }

    /// Hands over these frames; says whether more are wanted.
    fn run(&self, wanted: &[usize], sink: &mut Sink<'_>) -> Result<bool, Error> {
        let mut output = Output::start(&mut self.command(wanted), self.size)?;
        let mut rest = wanted;
        while let Some((&frame, later)) = rest.split_first() {
            let time_s = self.times[frame];
            match output.picture()? {
                Next::Picture(time, _) if time < time_s - self.slack => {}
                Next::Picture(time, picture) if time <= time_s + self.slack => {
                    rest = later;
                    if !sink(frame, time_s, self.turn.apply(picture)) {
                        return Ok(false);
                    }
                }
                Next::Picture(..) => return Err(missing(time_s, None)),
                Next::End(complaint) => return Err(missing(time_s, complaint)),
            }
        }
        Ok(true)
    }
}

fn missing(time_s: f64, complaint: Option<String>) -> Error {
    let error = Error::media(format!(
        "the frame at {time_s:.3} s cannot be decoded by ffmpeg"
    ))
    .help("the file may be damaged; frames before that time can be read");
    match complaint {
        Some(complaint) => error.found(complaint),
        None => error,
    }
}

impl Source for Pipe {
    fn decode(&self, wanted: &[usize], sink: &mut Sink<'_>) -> Result<(), Error> {
        // Everything is one run; so is everything from some frame on, but for its filter.
        let size = match wanted.len() == self.times.len() {
            true => wanted.len(),
            false => PICKS,
        };
        for some in wanted.chunks(size.max(1)) {
            if !self.run(some, sink)? {
                break;
            }
        }
        Ok(())
    }
}
