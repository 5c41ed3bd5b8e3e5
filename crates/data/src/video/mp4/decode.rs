//! Frames of a film: groups of pictures that have wanted ones, from the start of the first to the last that is wanted.

use std::fs::File;

use super::boxes::unread;
use super::film::Film;
use crate::Error;
use crate::video::colour::ToRgb;
use crate::video::h264::decoder::{H264Decoder, Picture};
use crate::video::source::{Sink, Source};

impl Source for Film {
    fn decode(&self, wanted: &[usize], sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut file = File::open(&self.path).map_err(unread)?;
        let mut run = Run {
            film: self,
            colour: ToRgb::new(self.colour),
            sample: Vec::new(),
            coded: Vec::new(),
        };
        let mut rest = wanted;
        while let Some(&first) = rest.first() {
            let mut last = self.place(first);
            // As far as the decoder gives them one after the other, without a group between that nobody wants.
            let following = rest[1..].iter().take_while(|&&frame| {
                let place = self.place(frame);
                let next = place.position > last.position && place.group <= last.group + 1;
                last = place;
                next
            });
            let length = 1 + following.count();
            let (now, later) = rest.split_at(length);
            if !run.stretch(&mut file, now, sink)? {
                return Ok(());
            }
            rest = later;
        }
        Ok(())
    }
}

/// Where a frame is among what a decoder gives.
#[derive(Debug, Clone, Copy)]
struct Place {
    group: usize,
    /// Counted over the whole film: the groups one after the other, each in the order of its times.
    position: usize,
}

impl Film {
    fn place(&self, frame: usize) -> Place {
        let sample = self.shown[frame].sample;
        let group = self.groups.of(sample);
        Place {
            group,
            position: self.groups.samples(group).start + self.groups.rank(sample),
        }
    }
}

struct Run<'a> {
    film: &'a Film,
    colour: ToRgb,
    sample: Vec<u8>,
    coded: Vec<u8>,
}

impl Run<'_> {
    /// Hands over these frames, which lie in neighbouring groups; says whether more are wanted.
    ///
    /// The decoder is flushed once, at the end, and then given up: each flush keeps pictures of its pool for ever, and the
    /// next group would fail for want of them.
    fn stretch(
        &mut self,
        file: &mut File,
        wanted: &[usize],
        sink: &mut Sink<'_>,
    ) -> Result<bool, Error> {
        let groups = &self.film.groups;
        let (first, last) = (wanted[0], wanted[wanted.len() - 1]);
        let start = groups.samples(self.film.place(first).group).start;
        let end = groups.samples(self.film.place(last).group).end;
        let mut decoder = H264Decoder::new().map_err(Error::media)?;
        let mut out = Out {
            film: self.film,
            colour: &self.colour,
            wanted,
            position: start,
        };
        let mut broken = None;
        for at in start..end {
            self.coded.clear();
            if groups.samples(groups.of(at)).start == at {
                self.coded.extend(&self.film.config.headers);
            }
            if let Err(error) = self.film.read(file, at, &mut self.sample) {
                broken = Some((at, error));
                break;
            }
            let annex = self.film.config.annex_b(&self.sample, &mut self.coded);
            let picture = match annex {
                Some(()) => decoder.push(&self.coded),
                None => Err("a NAL unit reaches behind its sample".into()),
            };
            match picture {
                Ok(Some(picture)) => {
                    if !out.take(&picture, sink)? {
                        return Ok(false);
                    }
                    if out.wanted.is_empty() {
                        return Ok(true);
                    }
                }
                Ok(None) => {}
                Err(message) => {
                    broken = Some((at, self.damaged(at, &message)));
                    break;
                }
            }
        }
        // Behind a break the decoder still gives what it took, without the pictures that were to be shown in between.
        let known = broken.as_ref().map_or(end, |(at, _)| {
            let group = groups.samples(groups.of(*at));
            let ranks = (*at..group.end).map(|at| groups.rank(at));
            group.start + ranks.min().unwrap_or(0)
        });
        match decoder.finish() {
            Ok(pictures) => {
                for picture in &pictures {
                    if out.position >= known || out.wanted.is_empty() {
                        break;
                    }
                    if !out.take(picture, sink)? {
                        return Ok(false);
                    }
                }
            }
            Err(message) if broken.is_none() => {
                broken = Some((start, self.damaged(start, &message)));
            }
            Err(_) => {}
        }
        let Some(&missing) = out.wanted.first() else {
            return Ok(true);
        };
        let time = self.film.shown[missing].time_s;
        Err(broken.map(|(_, error)| error).unwrap_or_else(|| {
            Error::media(format!(
                "video is damaged: the frame at {time:.3} s is missing"
            ))
            .found(format!("{} pictures", out.position - start))
            .expected(format!("{}", end - start))
            .help("fetch or export the file again; frames before that time can be read")
        }))
    }

    fn damaged(&self, sample: usize, message: &str) -> Error {
        let time = self.film.moment(sample);
        Error::media(format!("video is damaged at {time:.3} s"))
            .found(message)
            .help("fetch or export the file again; frames before that time can be read")
    }
}

/// Counts pictures as they leave the decoder, and hands over those that are wanted.
struct Out<'a> {
    film: &'a Film,
    colour: &'a ToRgb,
    /// What is still to come.
    wanted: &'a [usize],
    position: usize,
}

impl Out<'_> {
    /// Takes the next picture; says whether the sink wants more.
    fn take(&mut self, picture: &Picture<'_>, sink: &mut Sink<'_>) -> Result<bool, Error> {
        let position = self.position;
        self.position += 1;
        let Some((&frame, later)) = self.wanted.split_first() else {
            return Ok(true);
        };
        if self.film.place(frame).position > position {
            return Ok(true);
        }
        self.wanted = later;
        let time_s = self.film.shown[frame].time_s;
        let size = self.film.size;
        let picture = picture
            .rgb(self.colour)
            .filter(|picture| picture.dimensions() == size)
            .ok_or_else(|| {
                Error::media(format!("the picture changes its size at {time_s:.3} s"))
                    .expected(format!("{}×{}", size.0, size.1))
                    .help("encode the file again: ffmpeg -i FILE -c:v libx264 OUT.mp4")
            })?;
        Ok(sink(frame, time_s, self.film.turn.apply(picture)))
    }
}
