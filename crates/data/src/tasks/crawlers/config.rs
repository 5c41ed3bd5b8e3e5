//! What `crawlers` draws.

use std::fmt::Display;

use crate::Error;

/// The knobs of the world; the defaults are those of the documentation, `docs/crawlers.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct CrawlersConfig {
    /// Other seeds give other clips.
    pub seed: u64,
    /// From 0 (creatures stand in one place and faults are large) to 1 (places, sizes and colours differ, and faults may be
    /// small).
    pub difficulty: f32,
    /// Pixels for each unit of the world, whose frames are 112 × 56 units.
    pub scale: u32,
    /// Length of a clip in seconds.
    pub duration_s: f64,
    /// Frames a second.
    pub fps: f64,
    /// Seconds in which a fault grows, and in which it fades.
    pub onset_s: f64,
}

impl Default for CrawlersConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            difficulty: 0.2,
            scale: 1,
            duration_s: 6.0,
            fps: 10.0,
            onset_s: 0.2,
        }
    }
}

impl CrawlersConfig {
    /// Fails on a configuration that cannot be drawn; the message names the field.
    pub fn check(&self) -> Result<(), Error> {
        let require = |holds: bool, field: &str, found: &dyn Display, expected: &str| {
            if holds {
                return Ok(());
            }
            Err(Error::config("crawlers cannot be drawn")
                .field(format!("crawlers.{field}"))
                .found(found)
                .expected(expected))
        };
        let share = (0.0..=1.0).contains(&self.difficulty);
        require(share, "difficulty", &self.difficulty, "0 to 1")?;
        let scale = (1..=16).contains(&self.scale);
        require(scale, "scale", &self.scale, "1 to 16 pixels")?;
        let duration = (1.0..=600.0).contains(&self.duration_s);
        require(duration, "duration_s", &self.duration_s, "1 to 600 seconds")?;
        // GIF counts hundredths of a second.
        let fps = (1.0..=50.0).contains(&self.fps) && (100.0 / self.fps).fract() == 0.0;
        require(
            fps,
            "fps",
            &self.fps,
            "1, 2, 4, 5, 10, 20, 25 or 50 frames a second",
        )?;
        let onset = (0.0..=1.0).contains(&self.onset_s);
        require(onset, "onset_s", &self.onset_s, "0 to 1 second")
    }

    /// Frames of a clip.
    pub fn frames(&self) -> usize {
        (self.duration_s * self.fps).round().max(1.0) as usize
    }
}
