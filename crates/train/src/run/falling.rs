//! Whether preference training drives the chosen answers down together with the rejected ones.

use serde::{Deserialize, Serialize};

/// Steps whose mean is compared with that of the steps before them: batches of pairs are noisy.
const BLOCK: usize = 5;

/// Blocks in a row that show it before it is spoken of.
const PATIENCE: usize = 3;

/// Rewards of chosen answers and margins over the steps so far. Part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Falling {
    steps: usize,
    /// Sums over the block that goes on: reward of the chosen answers, margin.
    sums: [f64; 2],
    /// Means of the block before.
    last: Option<[f64; 2]>,
    /// Blocks in a row in which the one fell below 0 and the other grew.
    blocks: usize,
}

impl Falling {
    /// Takes a step into account; what there is to say.
    pub(crate) fn step(&mut self, chosen: f64, margin: f64) -> Option<String> {
        self.steps += 1;
        self.sums = [self.sums[0] + chosen, self.sums[1] + margin];
        if self.steps < BLOCK {
            return None;
        }
        let now = self.sums.map(|sum| sum / BLOCK as f64);
        let last = self.last.replace(now).unwrap_or_default();
        (self.steps, self.sums) = (0, [0.0; 2]);
        let falls = now[0] < last[0] && now[0] < 0.0 && now[1] > last[1];
        self.blocks = if falls { self.blocks + 1 } else { 0 };
        (self.blocks >= PATIENCE).then(|| {
            format!(
                "the chosen answers become less likely while the margin grows (rewards/chosen {:.3}, rewards/margins \
                 {:.3} over the last {BLOCK} steps): what is learned is to avoid both\n  help: an anchor holds them \
                 (anchor_weight of adavip and mdpo, rpo_alpha of dpo); a lower learning rate or a larger beta slows it",
                now[0], now[1]
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(steps: usize, of: impl Fn(f64) -> (f64, f64)) -> Option<usize> {
        let mut falling = Falling::default();
        (0..steps).find(|&step| {
            let (chosen, margin) = of(step as f64);
            falling.step(chosen, margin).is_some()
        })
    }

    #[test]
    fn chosen_answers_that_fall_while_the_margin_grows_are_spoken_of() {
        assert_eq!(said(50, |step| (-0.1 * step, 0.2 * step)), Some(14));
        assert_eq!(said(50, |step| (0.1 * step, 0.2 * step)), None);
        assert_eq!(said(50, |step| (-0.1 * step, 0.2)), None);
        // Up and down around 0.
        let waves = |step: f64| (-0.1 * ((step / 5.0).floor() % 2.0), step);
        assert_eq!(said(50, waves), None);
    }
}
