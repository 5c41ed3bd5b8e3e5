//! What goes wrong in a clip, and when.

use percept_frames::Distortion;

use super::config::CrawlersConfig;
use crate::tasks::random::Random;

/// How much of a fault must be there for a frame to have its label.
pub const VISIBLE: f64 = 0.3;
/// Most events of a clip.
const EVENTS: usize = 4;
/// Seconds of a brief event at full strength.
const BRIEF: (f32, f32) = (0.05, 0.2);
/// Seconds of a long one.
const LONG: (f32, f32) = (1.0, 3.5);

/// A fault for a part of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Event {
    pub(super) label: Distortion,
    /// At full strength from here, in seconds,
    pub(super) start_s: f64,
    /// to here.
    pub(super) end_s: f64,
    /// Before and after it grows and fades.
    onset_s: f64,
    /// At most; 1 is the largest fault that there is.
    strength: f64,
}

impl Event {
    /// How much of the fault is there.
    fn severity(&self, time_s: f64) -> f64 {
        let outside = (self.start_s - time_s).max(time_s - self.end_s).max(0.0);
        if outside == 0.0 {
            return self.strength;
        }
        self.strength * (1.0 - outside / self.onset_s.max(1e-9)).max(0.0)
    }

    /// From when to when a frame has the label.
    pub(super) fn visible(&self) -> (f64, f64) {
        let ramp = self.onset_s * (1.0 - VISIBLE / self.strength);
        (self.start_s - ramp, self.end_s + ramp)
    }
}

/// The events of a clip.
#[derive(Debug, Clone)]
pub(super) struct Story(pub(super) Vec<Event>);

impl Story {
    /// Zero to three events, each number as likely; half of them brief.
    pub(super) fn new(config: &CrawlersConfig, random: &mut Random) -> Self {
        let length = config.duration_s as f32;
        let event = |random: &mut Random| {
            let label = Distortion::ALL[random.below(Distortion::ALL.len())];
            let (low, high) = if random.below(2) == 0 { BRIEF } else { LONG };
            let lasts = random.range(low, high).min(length);
            let start = random.range(0.0, length - lasts);
            Event {
                label,
                start_s: f64::from(start),
                end_s: f64::from(start + lasts),
                onset_s: config.onset_s,
                // Visible at its peak, whatever the difficulty.
                strength: f64::from(random.range(1.0 - 0.5 * config.difficulty, 1.0)),
            }
        };
        let count = random.below(EVENTS);
        Self((0..count).map(|_| event(random)).collect())
    }

    /// How much of a fault is there.
    pub(super) fn severity(&self, label: Distortion, time_s: f64) -> f64 {
        let of_label = self.0.iter().filter(|event| event.label == label);
        of_label
            .map(|event| event.severity(time_s))
            .fold(0.0, f64::max)
    }

    /// The labels of the frame at this time.
    pub(super) fn labels(&self, time_s: f64) -> Vec<Distortion> {
        let seen = |label: &Distortion| self.severity(*label, time_s) >= VISIBLE;
        Distortion::ALL.into_iter().filter(seen).collect()
    }
}
