//! At which times frames are cut.

/// At which times frames are cut from the two clips of a pair.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// So many, in the middle of equal parts of the shorter clip.
    Even(usize),
    /// These, in seconds.
    At(Vec<f64>),
}

impl Times {
    /// The times, in milliseconds, for clips of which the shorter one lasts so long.
    ///
    /// # Errors
    /// The first time that is beyond the end, in seconds.
    pub(super) fn of(&self, shorter_s: f64) -> Result<Vec<u64>, f64> {
        match self {
            Self::Even(count) => {
                let part = shorter_s / *count as f64;
                let mut times: Vec<u64> = (0..*count)
                    .map(|at| ((at as f64 + 0.5) * part * 1e3) as u64)
                    .collect();
                // A clip of one frame has one time.
                times.dedup();
                Ok(times)
            }
            Self::At(times) => {
                // A clip of one picture lasts no time and is shown at 0.
                let beyond = |time: &&f64| **time != 0.0 && !(0.0..shorter_s).contains(*time);
                match times.iter().find(beyond) {
                    Some(time) => Err(*time),
                    None => Ok(times
                        .iter()
                        .map(|time| (time * 1e3).round() as u64)
                        .collect()),
                }
            }
        }
    }

    /// For messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Even(count) => format!("{count} times in each"),
            Self::At(times) => {
                let times: Vec<String> = times.iter().map(f64::to_string).collect();
                format!("the times {} s", times.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_times_lie_inside_the_shorter_clip_and_given_ones_are_refused_beyond_its_end() {
        assert_eq!(Times::Even(4).of(2.0), Ok(vec![250, 750, 1250, 1750]));
        for duration in [0.001, 0.04, 1.0, 7.77] {
            for count in 1..9 {
                let times = Times::Even(count).of(duration).unwrap();
                assert!(times.iter().all(|t| (*t as f64) < duration * 1e3));
                assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
            }
        }
        assert_eq!(Times::At(vec![0.5, 2.0]).of(2.0), Err(2.0));
        assert_eq!(Times::At(vec![-0.1]).of(2.0), Err(-0.1));
        assert!(Times::At(vec![f64::NAN]).of(2.0).is_err());
        assert_eq!(Times::At(vec![0.0]).of(0.0), Times::Even(3).of(0.0));
    }
}
