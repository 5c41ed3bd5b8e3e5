//! Clips, in rounds: all frames of a round of all clips are asked at once.

use std::sync::Mutex;

use percept_base::{lock, map_jobs};
use percept_chat::ChatModel;
use percept_data::Media;
use percept_frames::sampling::Timeline;

use crate::Error;
use crate::footage::Footage;
use crate::frames::{FrameTask, judge_frames};
use crate::options::Options;
use crate::record::{ClipRecord, FrameRecord};

/// A clip that is to be judged.
#[derive(Debug)]
pub struct Clip {
    /// Its name, for messages and records.
    pub name: String,
    /// What it was made from.
    pub prompt: String,
    /// Where its frames come from.
    pub footage: Footage,
}

/// A clip on its way.
struct Judging {
    timeline: Timeline,
    frames: Vec<FrameRecord>,
}

/// Judges clips together; the results are in their order. What is wrong with one clip is its own result.
pub fn judge(
    model: &dyn ChatModel,
    clips: Vec<Clip>,
    options: &Options,
) -> Vec<Result<ClipRecord, Error>> {
    let mut judged: Vec<Result<Judging, Error>> = clips.iter().map(begin).collect();
    let clips: Vec<Mutex<Clip>> = clips.into_iter().map(Mutex::new).collect();
    for round in [1, 2] {
        let times: Vec<Vec<f64>> = judged
            .iter_mut()
            .zip(&clips)
            .map(|(judging, clip)| plan(judging, &lock(clip), round, options))
            .collect();
        let pictures = look(&clips, &times, &mut judged);
        ask(model, &clips, &times, pictures, round, &mut judged, options);
    }
    let finish = |(judging, clip): (Result<Judging, Error>, Mutex<Clip>)| {
        let clip = clip.into_inner().unwrap_or_else(|e| e.into_inner());
        let Judging { timeline, frames } = judging?;
        let duration_s = timeline.duration_s();
        Ok(ClipRecord::of(clip.name, clip.prompt, duration_s, frames))
    };
    judged.into_iter().zip(clips).map(finish).collect()
}

fn begin(clip: &Clip) -> Result<Judging, Error> {
    let timeline = clip.footage.timeline(&clip.name)?;
    Ok(Judging {
        timeline,
        frames: Vec::new(),
    })
}

/// The times of this round; none for a clip that failed.
fn plan(
    judging: &mut Result<Judging, Error>,
    clip: &Clip,
    round: u8,
    options: &Options,
) -> Vec<f64> {
    let Ok(so_far) = judging else {
        return Vec::new();
    };
    let times = match (clip.footage.chosen(), round) {
        // Frames that somebody chose are all judged.
        (Some(times), 1) => within(clip, times.to_vec(), options.max_frames),
        (Some(_), _) => Ok(Vec::new()),
        (None, 1) => options
            .sampling
            .first(&clip.name, &so_far.timeline, options.max_frames),
        (None, _) => {
            let (times, scores): (Vec<f64>, Vec<Option<f64>>) =
                so_far.frames.iter().map(|f| (f.time_s, f.score)).unzip();
            let sampling = &options.sampling;
            sampling.second(&clip.name, &so_far.timeline, &times, &scores)
        }
    };
    times.unwrap_or_else(|error| {
        *judging = Err(error);
        Vec::new()
    })
}

fn within(clip: &Clip, times: Vec<f64>, limit: usize) -> Result<Vec<f64>, Error> {
    match times.len() > limit {
        true => Err(Error::TooManyFrames {
            clip: clip.name.clone(),
            frames: times.len(),
            limit,
        }),
        false => Ok(times),
    }
}

/// Decodes the frames, clips side by side.
fn look(
    clips: &[Mutex<Clip>],
    times: &[Vec<f64>],
    judged: &mut [Result<Judging, Error>],
) -> Vec<Vec<Media>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = map_jobs(clips.len(), threads, |at| match times[at].is_empty() {
        true => Ok(Vec::new()),
        false => lock(&clips[at]).footage.frames_at(&times[at]),
    });
    let keep = |(found, judging): (Result<Vec<Media>, Error>, &mut Result<Judging, Error>)| {
        found.unwrap_or_else(|error| {
            *judging = Err(error);
            Vec::new()
        })
    };
    found.into_iter().zip(judged).map(keep).collect()
}

/// Asks about all frames of the round.
fn ask(
    model: &dyn ChatModel,
    clips: &[Mutex<Clip>],
    times: &[Vec<f64>],
    pictures: Vec<Vec<Media>>,
    round: u8,
    judged: &mut [Result<Judging, Error>],
    options: &Options,
) {
    let (mut tasks, mut places) = (Vec::new(), Vec::new());
    for (at, pictures) in pictures.into_iter().enumerate() {
        let clip = lock(&clips[at]);
        let question = options.question.text(&clip.prompt);
        for (image, &time_s) in pictures.into_iter().zip(&times[at]) {
            tasks.push(FrameTask {
                id: format!("{} at {time_s:.3} s", clip.name),
                question: question.clone(),
                image,
            });
            places.push((at, time_s));
        }
    }
    if tasks.is_empty() {
        return;
    }
    let answers = judge_frames(model, tasks, options);
    for ((at, time_s), answer) in places.into_iter().zip(answers) {
        match (answer, &mut judged[at]) {
            (Ok(frame), Ok(judging)) => judging.frames.push(FrameRecord {
                time_s,
                round,
                ..frame
            }),
            // The first thing that is wrong with a clip is told.
            (Err(error), judging @ Ok(_)) => *judging = Err(error),
            (_, Err(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use percept_chat::{ChatRequest, Recorded};
    use percept_frames::sampling::DynamicSampling;
    use percept_frames::{Distortion, Judgement, write_judgement};

    use super::*;
    use crate::options::Sampling;

    /// Frames whose red is their number; 10 a second.
    fn clip(name: &str, count: u8) -> Clip {
        let frame = |at| Media::from_image(RgbImage::from_pixel(8, 8, Rgb([at, 0, 0])));
        let frames = (0..count).map(frame).collect();
        Clip {
            name: name.into(),
            prompt: "a dog".into(),
            footage: Footage::frames(frames, 10.0).unwrap(),
        }
    }

    /// Frames 20 to 24 are broken, 30 cannot be talked about.
    fn answer(request: &ChatRequest) -> String {
        let red = request.images[0].decode().unwrap().get_pixel(0, 0).0[0];
        let judgement = match red {
            20..25 => Judgement {
                labels: vec![Distortion::ExtraLimbs],
                score: 2.0,
            },
            30 => return "I cannot say.".into(),
            _ => Judgement {
                labels: vec![],
                score: 4.5,
            },
        };
        write_judgement(&format!("frame {red}"), &judgement)
    }

    #[test]
    fn both_rounds_are_asked_and_no_frame_twice() {
        let model = Recorded::answering("eyes", answer);
        let options = Options::default();
        let found = judge(&model, vec![clip("a", 80), clip("b", 40)], &options);
        let [a, b] = &found[..] else { panic!() };
        let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
        assert_eq!((a.frames.len(), b.frames.len()), (16, 8));
        assert!(a.frames.iter().any(|f| f.round == 2));
        for pair in a.frames.windows(2) {
            assert!(pair[0].time_s < pair[1].time_s);
        }
        for frame in &a.frames {
            // What was said belongs to the frame of that time.
            let red = (frame.time_s * 10.0).round() as u8;
            if frame.score.is_some() {
                assert_eq!(frame.reasoning, format!("frame {red}"));
            }
        }
        assert!(a.labels.contains_key(&Distortion::ExtraLimbs) && a.score.unwrap() < 4.5);
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_kept_and_counted() {
        let model = Recorded::answering("eyes", |_: &ChatRequest| "I cannot say.".into());
        let found = judge(&model, vec![clip("a", 20)], &Options::default());
        let record = found[0].as_ref().unwrap();
        assert_eq!(
            (record.score, record.judged, record.unreadable),
            (None, 0, 4)
        );
        assert_eq!(record.frames[0].response.as_deref(), Some("I cannot say."));
    }

    #[test]
    fn one_broken_clip_takes_no_other_with_it() {
        let broken = Media::from_bytes(b"no picture".to_vec());
        let clips = vec![
            clip("a", 20),
            Clip {
                footage: Footage::frames(vec![broken], 1.0).unwrap(),
                ..clip("b", 1)
            },
        ];
        // A model that looks at what it is sent.
        let model = Recorded::answering("eyes", answer);
        let looked = judge(&model, clips, &Options::default());
        assert!(looked[0].is_ok());
        assert!(matches!(looked[1], Err(Error::Data(_))), "{:?}", looked[1]);
    }

    #[test]
    fn a_clip_that_is_too_long_is_refused_and_uniform_sampling_has_one_round() {
        let model = Recorded::answering("eyes", answer);
        let options = Options {
            max_frames: 10,
            ..Options::default()
        };
        let found = judge(&model, vec![clip("a", 80)], &options);
        let error = found[0].as_ref().unwrap_err().to_string();
        assert!(
            error.contains("16 frames") && error.contains("at most 10"),
            "{error}"
        );
        let options = Options {
            sampling: Sampling::Uniform { fps: 2.0 },
            ..Options::default()
        };
        let found = judge(&model, vec![clip("a", 80)], &options);
        let record = found[0].as_ref().unwrap();
        assert_eq!(record.frames.len(), 16);
        assert!(record.frames.iter().all(|f| f.round == 1));
        let Sampling::Dynamic(DynamicSampling { fps, .. }) = Options::default().sampling else {
            panic!()
        };
        assert_eq!(fps, 2.0);
    }
}
