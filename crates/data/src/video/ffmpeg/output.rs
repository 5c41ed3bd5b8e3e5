//! What a decoding `ffmpeg` writes: pictures on its output, and when each is shown on its error output.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use image::RgbImage;
use percept_base::Family;

use crate::Error;

/// A decoder that gives no picture for so long hangs; seeking in a long file without an index takes seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Pictures that are read and not taken yet.
const AHEAD: usize = 2;

/// Lines of complaints that are kept.
const LINES: usize = 20;

/// A running decoder, killed when dropped.
pub(super) struct Output {
    family: Family,
    pictures: Receiver<Vec<u8>>,
    times: Receiver<f64>,
    complaints: Receiver<String>,
    size: (u32, u32),
}

/// What comes next.
pub(super) enum Next {
    /// A picture and when it is shown.
    Picture(f64, RgbImage),
    /// The end: why it came early, where it did.
    End(Option<String>),
}

impl Output {
    /// Starts the program, which writes pictures of this size.
    pub(super) fn start(command: &mut Command, size: (u32, u32)) -> Result<Self, Error> {
        let mut family = Family::spawn(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .map_err(|e| Error::media(format!("ffmpeg cannot be started: {e}")))?;
        let (picture_sender, pictures) = sync_channel(AHEAD);
        let (time_sender, times) = channel();
        let (complaint_sender, complaints) = channel();
        let bytes = 3 * size.0 as usize * size.1 as usize;
        if let Some(mut out) = family.child().stdout.take() {
            thread::spawn(move || {
                loop {
                    let mut picture = vec![0; bytes];
                    let whole = out.read_exact(&mut picture).is_ok();
                    if !whole || picture_sender.send(picture).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(errors) = family.child().stderr.take() {
            thread::spawn(move || {
                let mut kept = 0;
                for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line);
                    if let Some(time) = shown_at(&line) {
                        // Nobody takes times any more when the pictures are enough.
                        let _ = time_sender.send(time);
                    } else if let Some((_, text)) = complaint(&line).filter(|_| kept < LINES) {
                        kept += 1;
                        let _ = complaint_sender.send(text.trim().to_owned());
                    }
                }
            });
        }
        Ok(Self {
            family,
            pictures,
            times,
            complaints,
            size,
        })
    }

    /// Waits for the next picture.
    pub(super) fn picture(&mut self) -> Result<Next, Error> {
        let pixels = match self.pictures.recv_timeout(DEADLINE) {
            Ok(pixels) => pixels,
            Err(RecvTimeoutError::Timeout) => {
                self.family.kill();
                let seconds = DEADLINE.as_secs();
                return Err(Error::media(format!(
                    "ffmpeg gave no frame for {seconds} s"
                )));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.family.wait(DEADLINE);
                let complaint = self.complaints.iter().last();
                return Ok(Next::End(match (complaint, status) {
                    (Some(complaint), _) => Some(complaint),
                    (None, Some(status)) if status.success() => None,
                    (None, _) => Some("ffmpeg ended without a message".into()),
                }));
            }
        };
        // The line stands before the picture, and may still be in the pipe.
        let time = self
            .times
            .recv_timeout(DEADLINE)
            .map_err(|_| Error::media("ffmpeg gave a frame without a time"))?;
        let picture = RgbImage::from_raw(self.size.0, self.size.1, pixels)
            .ok_or_else(|| Error::media("ffmpeg gave a part of a frame"))?;
        Ok(Next::Picture(time, picture))
    }
}

/// The time in a line of the filter `showinfo`.
fn shown_at(line: &str) -> Option<f64> {
    let (head, rest) = line.split_once(" pts_time:")?;
    if !head.contains("showinfo") || !head.contains(" n:") {
        return None;
    }
    rest.split_whitespace().next()?.parse().ok()
}

/// An error or warning that says what is wrong with the file.
fn complaint(line: &str) -> Option<(&str, &str)> {
    ["[error]", "[fatal]", "[panic]"]
        .iter()
        .find_map(|mark| line.split_once(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_showinfo_give_times_and_no_others_do() {
        let line = "[Parsed_showinfo_0 @ 0x55d] [info] n:  12 pts:   1024 pts_time:0.08    duration:    512 fmt:yuv420p";
        assert_eq!(shown_at(line), Some(0.08));
        assert_eq!(shown_at("[info] a file called pts_time:3"), None);
        let error = "[h264 @ 0x55] [error] non-existing PPS 0 referenced";
        assert_eq!(
            complaint(error).unwrap().1.trim(),
            "non-existing PPS 0 referenced"
        );
    }
}
