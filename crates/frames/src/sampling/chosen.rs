//! Frames that are chosen one after another, none of them twice.

use super::timeline::Timeline;

/// Which frames of a clip are taken, and how far every other one is from the nearest of them.
pub(super) struct Chosen<'a> {
    clip: &'a Timeline,
    /// Seconds to the nearest taken frame.
    distance: Vec<f64>,
    new: Vec<usize>,
    limit: usize,
}

impl<'a> Chosen<'a> {
    /// Nothing new yet; at most `limit` frames will be.
    pub(super) fn new(clip: &'a Timeline, taken: &[usize], limit: usize) -> Self {
        let mut chosen = Self {
            clip,
            distance: vec![f64::INFINITY; clip.times().len()],
            new: Vec::new(),
            limit,
        };
        for &frame in taken {
            chosen.measure(frame);
        }
        chosen
    }

    fn measure(&mut self, frame: usize) {
        let times = self.clip.times();
        // Distances grow away from a frame, so where another is nearer already, it stays nearer beyond.
        for side in [
            &mut (frame..times.len()) as &mut dyn Iterator<Item = usize>,
            &mut (0..frame).rev(),
        ] {
            for other in side {
                let distance = (times[other] - times[frame]).abs();
                if distance >= self.distance[other] {
                    break;
                }
                self.distance[other] = distance;
            }
        }
    }

    /// How many may be new.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn full(&self) -> bool {
        self.new.len() == self.limit
    }

    /// Takes the frame shown at this time, unless it is taken or the limit is reached.
    pub(super) fn take_at(&mut self, time_s: f64) {
        let frame = self.clip.shown(time_s);
        if !self.full() && self.distance[frame] > 0.0 {
            self.new.push(frame);
            self.measure(frame);
        }
    }

    /// Takes the frame that is farthest from all taken ones, again and again, until the limit or the clip's end is reached;
    /// gives all new frames' times in ascending order.
    pub(super) fn fill(mut self) -> Vec<f64> {
        while !self.full() {
            let farthest = (0..self.distance.len())
                .rev()
                .max_by(|&a, &b| self.distance[a].total_cmp(&self.distance[b]));
            match farthest {
                Some(frame) if self.distance[frame] > 0.0 => {
                    self.new.push(frame);
                    self.measure(frame);
                }
                _ => break,
            }
        }
        self.new.sort_unstable();
        let times = self.clip.times();
        self.new.iter().map(|&frame| times[frame]).collect()
    }
}
