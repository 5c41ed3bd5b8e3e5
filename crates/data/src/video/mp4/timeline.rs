//! When each sample is shown: composition times, cut and moved by the edit list, as ffmpeg does it.
//!
//! An edit shows the samples of a stretch of the track, one behind the other; a sample whose time lies outside of all edits
//! is decoded and not shown. An edit without a start shows nothing for its time. Where an edit begins inside a frame, that
//! frame is not shown, and the first that is takes its place: a film begins at 0, or after the nothing that comes first.

use super::movie::Track;

/// A frame: when it is shown, and which sample it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shown {
    /// In seconds.
    pub(super) time_s: f64,
    pub(super) sample: usize,
}

/// The frames of a track in order of time, and the seconds from the first to the end of the last.
pub(super) fn frames(track: &Track) -> (Vec<Shown>, f64) {
    let mut ticks: Vec<(i64, usize)> = match track.edits.iter().any(|e| e.start.is_some()) {
        true => edited(track),
        false => {
            let shown = track.samples.iter().enumerate();
            shown.map(|(at, sample)| (sample.shown, at)).collect()
        }
    };
    ticks.sort_unstable();
    // Two pictures at one time: the later in the order of decoding would hide the first; no file that players take has that.
    ticks.dedup_by_key(|(tick, _)| *tick);
    let scale = f64::from(track.timescale);
    let frames = ticks.iter().map(|&(tick, sample)| Shown {
        time_s: tick as f64 / scale,
        sample,
    });
    let duration_s = match (ticks.first(), ticks.last()) {
        (Some(first), Some(last)) => {
            let end = last.0.saturating_add(track.samples[last.1].duration.into());
            end.saturating_sub(first.0) as f64 / scale
        }
        _ => 0.0,
    };
    (frames.collect(), duration_s)
}

fn edited(track: &Track) -> Vec<(i64, usize)> {
    let mut frames = Vec::new();
    let mut offset: i64 = 0;
    let mut nothing_first = None;
    for edit in &track.edits {
        let length = rescaled(edit.duration, track.timescale, track.movie_timescale);
        if let Some(start) = edit.start {
            nothing_first.get_or_insert(offset);
            // Fragmented files write 0: to the end.
            let end = match length {
                0 => i64::MAX,
                length => start.saturating_add(length),
            };
            for (at, sample) in track.samples.iter().enumerate() {
                if (start..end).contains(&sample.shown) {
                    frames.push((offset.saturating_add(sample.shown - start), at));
                }
            }
        }
        offset = offset.saturating_add(length);
        // A film that shows itself a thousand times is a bomb.
        if frames.len() > 4 * super::samples::MAX_SAMPLES {
            break;
        }
    }
    let first = frames.iter().map(|(tick, _)| *tick).min().unwrap_or(0);
    let late = first.saturating_sub(nothing_first.unwrap_or(0)).max(0);
    frames.iter_mut().for_each(|(tick, _)| *tick -= late);
    frames
}

/// Ticks of the movie as ticks of the track, rounded to the nearest.
fn rescaled(duration: u64, to: u32, from: u32) -> i64 {
    let product = u128::from(duration) * u128::from(to) + u128::from(from / 2);
    i64::try_from(product / u128::from(from)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::movie::Edit;
    use super::super::samples::Sample;
    use super::*;

    /// Four pictures of 10 ticks, decoded as 0 3 1 2 and shown from 20 on; 100 ticks a second, the movie has 1 000.
    fn track(edits: Vec<Edit>) -> Track {
        let sample = |shown| Sample {
            offset: 0,
            size: 1,
            shown,
            duration: 10,
            sync: shown == 20,
        };
        Track {
            id: 1,
            timescale: 100,
            movie_timescale: 1_000,
            turn: Default::default(),
            coding: Default::default(),
            edits,
            samples: [20, 50, 30, 40].map(sample).to_vec(),
            defaults: Default::default(),
        }
    }

    fn shown(edits: Vec<Edit>) -> (Vec<(f64, usize)>, f64) {
        let (frames, duration) = frames(&track(edits));
        let frames = frames.iter().map(|f| (f.time_s, f.sample)).collect();
        (frames, duration)
    }

    #[test]
    fn without_edits_times_are_those_of_composition() {
        let all = vec![(0.2, 0), (0.3, 2), (0.4, 3), (0.5, 1)];
        assert_eq!(shown(vec![]), (all, 0.4));
    }

    #[test]
    fn an_edit_cuts_and_moves() {
        let edit = |duration, start| Edit { duration, start };
        let moved = vec![(0.0, 0), (0.1, 2), (0.2, 3), (0.3, 1)];
        assert_eq!(shown(vec![edit(400, Some(20))]).0, moved);
        // From 0.1 s on, for 0.2 s.
        let cut = vec![(0.0, 2), (0.1, 3)];
        assert_eq!(shown(vec![edit(200, Some(30))]), (cut, 0.2));
        // Half a second of nothing first.
        let late = vec![(0.5, 2), (0.6, 3)];
        assert_eq!(shown(vec![edit(500, None), edit(200, Some(30))]).0, late);
        // From the middle of a frame on: the next one begins at 0.
        let inside = vec![(0.0, 3), (0.1, 1)];
        assert_eq!(shown(vec![edit(250, Some(35))]).0, inside);
        // The same stretch twice.
        let twice = vec![(0.0, 2), (0.1, 2)];
        assert_eq!(shown(vec![edit(100, Some(30)); 2]).0, twice);
    }
}
