//! Labelled frames: rows `2k` and `2k + 1` are the two sides of a pair, cut at the same time.

use image::RgbImage;
use percept_frames::{FrameRow, pseudo_score, question};

use super::clip::{Side, better_frame, clip};
use super::config::CrawlersConfig;
use super::words::response;
use crate::Error;
use crate::tasks::random::Random;

/// Stream of random numbers.
const ROWS: u64 = 13;
/// Share of pairs that are cut while something is wrong with one of the clips: at any time, most frames would be clean.
const WHILE_WRONG: f32 = 0.7;

/// A row and its picture.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What is known of it; `images` names the file in which [`export_frames`](super::export_frames) puts the picture.
    pub row: FrameRow,
    /// The picture.
    pub image: RgbImage,
}

/// Row `index`, with reasoning and a score drawn by [`pseudo_score`] as its response.
pub fn frame(config: &CrawlersConfig, index: usize) -> Result<Frame, Error> {
    let pair = index / 2;
    let a = clip(config, pair, Side::A)?;
    let b = clip(config, pair, Side::B)?;
    let mut random = Random::new(&[ROWS, config.seed, pair as u64]);
    let wrong: Vec<(f64, f64)> = [&a, &b]
        .into_iter()
        .flat_map(|side| side.story.0.iter().map(|event| event.visible()))
        .collect();
    let (from, to) = match random.unit() < WHILE_WRONG && !wrong.is_empty() {
        true => wrong[random.below(wrong.len())],
        false => (0.0, config.duration_s),
    };
    // A frame of the clip, so that the same picture is found in the clip's file.
    let time = from + (to - from) * f64::from(random.unit());
    let number = (time * config.fps).round().max(0.0) as usize;
    let time_s = number.min(config.frames() - 1) as f64 / config.fps;
    let preference = better_frame(a.labels(time_s).len(), b.labels(time_s).len());
    let (side, shown) = match index % 2 {
        0 => (Side::A, a),
        _ => (Side::B, b),
    };
    let labels = shown.labels(time_s);
    let mut random = Random::new(&[ROWS, config.seed, pair as u64, side as u64]);
    let score = pseudo_score(labels.len(), f64::from(random.unit()));
    let name = format!("{pair:06}-{}", side.name());
    let row = FrameRow {
        images: vec![format!("images/{name}.png")],
        prompt: question(&shown.prompt()),
        response: Some(response(&labels, shown.thing(), score)),
        boxes: shown.boxes(time_s),
        labels,
        pair_id: format!("crawlers-{}-{pair:06}", config.seed),
        side: side.name().to_owned(),
        preference,
        time_s,
        video: format!("videos/{name}.gif"),
    };
    Ok(Frame {
        row,
        image: shown.image(time_s),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_frames::{Preference, read_judgement};

    #[test]
    fn rows_of_a_pair_fit_each_other_and_responses_say_the_labels() {
        let config = CrawlersConfig::default();
        let (mut clean, mut ties, mut labelled) = (0, 0, [0usize; 8]);
        for pair in 0..500 {
            let [a, b] = [2 * pair, 2 * pair + 1].map(|i| frame(&config, i).unwrap().row);
            assert_eq!((&a.pair_id, a.time_s), (&b.pair_id, b.time_s));
            assert_eq!(a.preference, b.preference);
            assert_eq!([a.side.as_str(), b.side.as_str()], ["A", "B"]);
            let better = a.labels.len().cmp(&b.labels.len());
            assert_eq!(a.preference == Preference::A, better.is_lt());
            assert_eq!(a.preference == Preference::Tie, better.is_eq());
            ties += usize::from(better.is_eq());
            for row in [a, b] {
                let (_, judgement) = read_judgement(row.response.as_ref().unwrap()).unwrap();
                assert_eq!(judgement.labels, row.labels);
                clean += usize::from(row.labels.is_empty());
                for label in row.labels {
                    labelled[label as usize] += 1;
                }
            }
        }
        // Neither class is rare, and every fault is seen often.
        assert!((350..650).contains(&clean), "{clean} of 1000 are clean");
        assert!((100..300).contains(&ties), "{ties} of 500 are ties");
        assert!(labelled.iter().all(|&count| count > 40), "{labelled:?}");
    }
}
