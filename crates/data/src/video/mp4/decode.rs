//! Frames of a film: each group of pictures that has a wanted one, from its start to the last that is wanted.

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
            decoder: None,
            sample: Vec::new(),
            coded: Vec::new(),
        };
        let mut rest = wanted;
        while let Some(&first) = rest.first() {
            let (group, _) = self.place(first);
            // A later frame of the group comes later out of the decoder, except where an edit list goes back.
            let mut last = None;
            let length = rest
                .iter()
                .take_while(|&&frame| {
                    let (of, rank) = self.place(frame);
                    let goes_on = of == group && last.is_none_or(|last| rank > last);
                    last = Some(rank);
                    goes_on
                })
                .count();
            let (now, later) = rest.split_at(length);
            if !run.group(&mut file, group, now, sink)? {
                return Ok(());
            }
            rest = later;
        }
        Ok(())
    }
}

impl Film {
    /// The group of a frame, and which of its pictures it is.
    fn place(&self, frame: usize) -> (usize, usize) {
        let sample = self.shown[frame].sample;
        (self.groups.of(sample), self.groups.rank(sample))
    }
}

struct Run<'a> {
    film: &'a Film,
    colour: ToRgb,
    /// One that has given all that it took, for the next group.
    decoder: Option<H264Decoder>,
    sample: Vec<u8>,
    coded: Vec<u8>,
}

impl Run<'_> {
    /// Hands over these frames of a group; says whether more are wanted.
    fn group(
        &mut self,
        file: &mut File,
        group: usize,
        wanted: &[usize],
        sink: &mut Sink<'_>,
    ) -> Result<bool, Error> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => H264Decoder::new().map_err(|e| Error::media(format!("OpenH264: {e}")))?,
        };
        let mut out = Out {
            film: self.film,
            colour: &self.colour,
            wanted: wanted.iter(),
            next: None,
            rank: 0,
        };
        out.next = out.wanted.next().copied();
        let samples = self.film.groups.samples(group);
        let count = samples.len();
        let mut broken = None;
        for (nth, at) in samples.enumerate() {
            self.coded.clear();
            if nth == 0 {
                self.coded.extend(&self.film.config.headers);
            }
            let read = self.film.read(file, at, &mut self.sample);
            if let Err(error) = read {
                broken = Some((at, error));
                break;
            }
            let annex = self.film.config.annex_b(&self.sample, &mut self.coded);
            let picture = match annex {
                Some(()) => decoder.push(&self.coded),
                None => Err("a NAL unit reaches behind its sample".into()),
            };
            match picture {
                Ok(Some(picture)) => match out.take(&picture, sink)? {
                    Next::More => {}
                    Next::Done => return Ok(true),
                    Next::Stop => return Ok(false),
                },
                Ok(None) => {}
                Err(message) => {
                    broken = Some((at, self.damaged(at, &message)));
                    break;
                }
            }
        }
        // Behind a break the decoder still gives what it took, without the pictures that were to be shown in between.
        let known = broken.as_ref().map_or(count, |(at, _)| {
            let unread = *at..self.film.groups.samples(group).end;
            let ranks = unread.map(|at| self.film.groups.rank(at));
            ranks.min().unwrap_or(0)
        });
        match decoder.finish() {
            Ok(pictures) => {
                for picture in &pictures {
                    if out.rank >= known {
                        break;
                    }
                    match out.take(picture, sink)? {
                        Next::More => {}
                        Next::Done => break,
                        Next::Stop => return Ok(false),
                    }
                }
            }
            Err(message) if broken.is_none() => {
                let first = self.film.groups.samples(group).start;
                broken = Some((first, self.damaged(first, &message)));
            }
            Err(_) => {}
        }
        let Some(missing) = out.next else {
            self.decoder = (out.rank == count).then_some(decoder);
            return Ok(true);
        };
        let time = self.film.shown[missing].time_s;
        Err(broken.map(|(_, error)| error).unwrap_or_else(|| {
            Error::media(format!(
                "video is damaged: the frame at {time:.3} s is missing"
            ))
            .found(format!("{} pictures in its group", out.rank))
            .expected(format!("{count}"))
            .help("fetch or export the file again; frames before that time can be read")
        }))
    }

    fn damaged(&self, sample: usize, message: &str) -> Error {
        let time = self.film.moment(sample);
        Error::media(format!("video is damaged at {time:.3} s"))
            .found(message.lines().next().unwrap_or_default())
            .help("fetch or export the file again; frames before that time can be read")
    }
}

enum Next {
    More,
    /// All that are wanted of this group are there.
    Done,
    /// Nothing more is wanted at all.
    Stop,
}

/// Counts the pictures of a group as they leave the decoder, and hands over those that are wanted.
struct Out<'a> {
    film: &'a Film,
    colour: &'a ToRgb,
    wanted: std::slice::Iter<'a, usize>,
    next: Option<usize>,
    rank: usize,
}

impl Out<'_> {
    fn take(&mut self, picture: &Picture<'_>, sink: &mut Sink<'_>) -> Result<Next, Error> {
        let rank = self.rank;
        self.rank += 1;
        let Some(frame) = self.next else {
            return Ok(Next::Done);
        };
        if self.film.place(frame).1 > rank {
            return Ok(Next::More);
        }
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
        if !sink(frame, time_s, self.film.turn.apply(picture)) {
            return Ok(Next::Stop);
        }
        self.next = self.wanted.next().copied();
        Ok(match self.next {
            Some(_) => Next::More,
            None if self.rank == self.film.groups.samples(self.film.place(frame).0).len() => {
                Next::More
            }
            None => Next::Done,
        })
    }
}
