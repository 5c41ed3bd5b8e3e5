//! Drawing one token from one row of logits.
//!
//! The random number of a token is a hash of (seed, prompt, sample, position) and not a draw from
//! a shared stream, so a response does not depend on what else is in the batch or on when its
//! slot was free.

use percept_kernels::decode::Mass;

use crate::SamplingParams;

/// A token and its log-probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// The token id.
    pub token: u32,
    /// Its log-probability under `softmax(logits / temperature)`, before penalties, min-p, top-k and top-p and with
    /// banned tokens included (vLLM's `raw_logprobs`, with the temperature): the distribution that the trainer's loss is about. At temperature
    /// 0 the temperature of this distribution is 1. Where a second model was mixed in, it is that
    /// of the mixture.
    pub log_prob: f32,
}

/// Draws a token from `logits` (`[vocabulary]`) with the uniform number `u`; `banned` ids are
/// never drawn. Ties of the greedy choice go to the lower id. Non-finite logits are never drawn
/// unless nothing else is left.
pub fn draw(logits: &[f32], params: &SamplingParams, banned: &[u32], u: f64) -> Draw {
    let masses = Mass::of(logits, params.scale());
    draw_from(logits, &masses, params, banned, u)
}

/// As [`draw`], with the parts of the soft-max at [`SamplingParams::scale`], which
/// [`Decoder::step_masses`](percept_model::Decoder::step_masses) makes beside the logits. The bits are the same.
pub fn draw_from(
    logits: &[f32],
    masses: &[Mass],
    params: &SamplingParams,
    banned: &[u32],
    u: f64,
) -> Draw {
    let temperature = params.scale();
    let softmax = Softmax::new(logits, masses, temperature);
    let token = if params.temperature <= 0.0 {
        argmax(logits, banned)
    } else if params.draws_any() {
        softmax.draw(banned, u)
    } else {
        draw_truncated(logits, params, banned, u)
    };
    let log_prob = softmax.log_prob(token);
    Draw { token, log_prob }
}

/// As [`draw_from`], from a row that penalties have changed; the log-probability is that of the row before.
pub(crate) fn draw_penalised(
    logits: &[f32],
    masses: Option<&[Mass]>,
    penalised: &[f32],
    params: &SamplingParams,
    banned: &[u32],
    u: f64,
) -> Draw {
    let token = draw(penalised, params, banned, u).token;
    let own;
    let masses = match masses {
        Some(masses) => masses,
        None => {
            own = Mass::of(logits, params.scale());
            &own
        }
    };
    let log_prob = Softmax::new(logits, masses, params.scale()).log_prob(token);
    Draw { token, log_prob }
}

/// The `count` likeliest tokens under `softmax(logits / temperature)` with their log-probabilities, the likeliest first,
/// equal ones by their ids.
pub(crate) fn likeliest(logits: &[f32], temperature: f32, count: usize) -> Vec<(u32, f32)> {
    let masses = Mass::of(logits, temperature);
    let softmax = Softmax::new(logits, &masses, temperature);
    let order = |a: &u32, b: &u32| {
        let [x, y] = [a, b].map(|id| logits[*id as usize]);
        y.total_cmp(&x).then(a.cmp(b))
    };
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if count < ids.len() {
        ids.select_nth_unstable_by(count, order);
        ids.truncate(count);
    }
    ids.sort_unstable_by(order);
    let of = |id| (id, softmax.log_prob(id));
    ids.into_iter().map(of).collect()
}

fn argmax(logits: &[f32], banned: &[u32]) -> u32 {
    let mut best: Option<(u32, f32)> = None;
    for (id, &logit) in (0u32..).zip(logits) {
        if best.is_none_or(|(_, value)| logit > value) && !banned.contains(&id) {
            best = Some((id, logit));
        }
    }
    best.map_or(0, |(id, _)| id)
}

/// A row of logits with its masses.
struct Softmax<'a> {
    logits: &'a [f32],
    masses: &'a [Mass],
    temperature: f32,
    /// The largest logit.
    max: f32,
    /// Sum of `exp((l − max) / temperature)` over all logits.
    total: f64,
}

impl<'a> Softmax<'a> {
    fn new(logits: &'a [f32], masses: &'a [Mass], temperature: f32) -> Self {
        let most = masses.iter().map(|mass| mass.most);
        let mut softmax = Self {
            logits,
            masses,
            temperature,
            max: most.fold(f32::NEG_INFINITY, f32::max),
            total: 0.0,
        };
        softmax.total = masses.iter().map(|mass| softmax.part(mass)).sum();
        softmax
    }

    /// Mass of a part, in the unit of the total.
    fn part(&self, mass: &Mass) -> f64 {
        match mass.sum == 0.0 {
            true => 0.0,
            false => f64::from(mass.sum) * self.exp(mass.most),
        }
    }

    fn exp(&self, logit: f32) -> f64 {
        (f64::from(logit - self.max) / f64::from(self.temperature)).exp()
    }

    fn log_prob(&self, token: u32) -> f32 {
        let temperature = f64::from(self.temperature);
        let log_z = f64::from(self.max) / temperature + self.total.ln();
        (f64::from(self.logits[token as usize]) / temperature - log_z) as f32
    }

    fn token(&self, id: u32) -> f64 {
        self.exp(self.logits[id as usize])
    }

    /// Inverse transform sampling over the whole vocabulary, in order of token id.
    fn draw(&self, banned: &[u32], u: f64) -> u32 {
        let removed: f64 = banned.iter().map(|&id| self.token(id)).sum();
        let mut left = u * (self.total - removed);
        let allowed = |id: &u32| self.token(*id) > 0.0 && !banned.contains(id);
        for (part, mass) in self.masses.iter().enumerate() {
            let first = (part * Mass::PART) as u32;
            let ids = first..(self.logits.len() as u32).min(first + Mass::PART as u32);
            let inside = banned.iter().filter(|id| ids.contains(id));
            let sum = self.part(mass) - inside.map(|&id| self.token(id)).sum::<f64>();
            // Parts in which the draw does not end are passed over.
            if left >= sum {
                left -= sum;
                continue;
            }
            for id in ids.filter(allowed) {
                left -= self.token(id);
                if left < 0.0 {
                    return id;
                }
            }
        }
        // Rounding left nothing over: the last token that can be drawn.
        let last = (0..self.logits.len() as u32).rev().find(allowed);
        last.unwrap_or_else(|| argmax(self.logits, banned))
    }
}

/// Inverse transform sampling over the tokens that min-p, top-k and top-p leave, likeliest first.
fn draw_truncated(logits: &[f32], params: &SamplingParams, banned: &[u32], u: f64) -> u32 {
    let mut order: Vec<u32> = (0..logits.len() as u32)
        .filter(|id| !banned.contains(id))
        .collect();
    let by_logit = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then_with(|| a.cmp(b))
    };
    if params.top_k > 0 && params.top_k < order.len() {
        order.select_nth_unstable_by(params.top_k - 1, by_logit);
        order.truncate(params.top_k);
    }
    order.sort_unstable_by(by_logit);
    let Some(&first) = order.first() else {
        return argmax(logits, banned);
    };
    let max = logits[first as usize];
    let mut mass: Vec<f64> = order
        .iter()
        .map(|&id| f64::from(((logits[id as usize] - max) / params.temperature).exp()))
        .collect();
    if params.min_p > 0.0 {
        // The likeliest token's mass is 1; it always stays.
        mass.truncate(
            mass.partition_point(|mass| *mass >= f64::from(params.min_p))
                .max(1),
        );
    }
    let total: f64 = mass.iter().sum();
    let mut kept = 0.0;
    let mut count = 0;
    while count < mass.len() && (count == 0 || kept < f64::from(params.top_p) * total) {
        kept += mass[count];
        count += 1;
    }
    let mut left = u * kept;
    for (&id, &p) in order.iter().zip(&mass).take(count) {
        left -= p;
        if left < 0.0 {
            return id;
        }
    }
    order[count - 1]
}

#[cfg(test)]
mod tests {
    use percept_base::random::uniform;

    use super::*;

    const LOGITS: [f32; 5] = [0.0, 1.0, 2.0, -1.0, 2.0];

    fn shares(params: &SamplingParams, banned: &[u32]) -> [f64; 5] {
        let n = 20_000;
        let mut counts = [0.0; 5];
        for i in 0..n {
            let u = uniform(params.seed, 3, 1, i);
            counts[draw(&LOGITS, params, banned, u).token as usize] += 1.0 / n as f64;
        }
        counts
    }

    #[test]
    fn draws_follow_the_softmax_and_report_its_logarithm() {
        let params = SamplingParams {
            temperature: 0.7,
            ..Default::default()
        };
        let z: f64 = LOGITS.iter().map(|l| f64::from(l / 0.7).exp()).sum();
        let shares = shares(&params, &[]);
        for (id, &logit) in LOGITS.iter().enumerate() {
            let p = f64::from(logit / 0.7).exp() / z;
            assert!(
                (shares[id] - p).abs() < 0.015,
                "{id}: {} for {p}",
                shares[id]
            );
        }
        let d = draw(&LOGITS, &params, &[], 0.5);
        let p = f64::from(LOGITS[d.token as usize] / 0.7).exp() / z;
        assert!((f64::from(d.log_prob) - p.ln()).abs() < 1e-6);
    }

    #[test]
    fn banned_tokens_never_appear() {
        for params in [
            SamplingParams::default(),
            SamplingParams {
                top_p: 0.9,
                ..Default::default()
            },
            SamplingParams {
                temperature: 0.0,
                ..Default::default()
            },
        ] {
            let shares = shares(&params, &[2, 0]);
            assert_eq!(shares[2] + shares[0], 0.0);
        }
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let params = SamplingParams {
            temperature: 0.0,
            ..Default::default()
        };
        assert_eq!(draw(&LOGITS, &params, &[], 0.9).token, 2);
    }

    #[test]
    fn top_k_one_is_greedy_and_a_small_nucleus_keeps_the_likeliest() {
        let k = SamplingParams {
            top_k: 1,
            ..Default::default()
        };
        assert!((shares(&k, &[])[2] - 1.0).abs() < 1e-9);
        let p = SamplingParams {
            top_p: 0.3,
            ..Default::default()
        };
        assert!((shares(&p, &[])[2] - 1.0).abs() < 1e-9);
        let two = shares(
            &SamplingParams {
                top_p: 0.6,
                ..Default::default()
            },
            &[],
        );
        assert!((two[2] - 0.5).abs() < 0.02 && (two[4] - 0.5).abs() < 0.02);
    }

    /// D8
    #[test]
    fn min_p_keeps_what_has_its_share_of_the_likeliest() {
        // Against the likeliest two (logit 2): logit 1 has e^-1 = 0.368, 0 has 0.135, -1 has 0.0498.
        for (min_p, kept) in [
            (0.04, vec![0, 1, 2, 3, 4]),
            (0.06, vec![0, 1, 2, 4]),
            (0.2, vec![1, 2, 4]),
            (0.5, vec![2, 4]),
            (1.0, vec![2, 4]),
        ] {
            let params = SamplingParams {
                min_p,
                ..Default::default()
            };
            let shares = shares(&params, &[]);
            let z: f64 = kept.iter().map(|&id| f64::from(LOGITS[id]).exp()).sum();
            for (id, share) in shares.iter().enumerate() {
                let p = match kept.contains(&id) {
                    true => f64::from(LOGITS[id]).exp() / z,
                    false => 0.0,
                };
                assert!((share - p).abs() < 0.015, "{min_p}, {id}: {share} for {p}");
            }
        }
    }

    /// D8
    #[test]
    fn impossible_options_are_refused_by_name() {
        let default = SamplingParams::default;
        for (params, field) in [
            (
                SamplingParams {
                    min_p: 1.5,
                    ..default()
                },
                "min_p",
            ),
            (
                SamplingParams {
                    min_p: f32::NAN,
                    ..default()
                },
                "min_p",
            ),
            (
                SamplingParams {
                    repetition_penalty: 0.0,
                    ..default()
                },
                "repetition_penalty",
            ),
            (
                SamplingParams {
                    repetition_penalty: f32::INFINITY,
                    ..default()
                },
                "repetition_penalty",
            ),
            (
                SamplingParams {
                    presence_penalty: 3.0,
                    ..default()
                },
                "presence_penalty",
            ),
            (
                SamplingParams {
                    frequency_penalty: -2.5,
                    ..default()
                },
                "frequency_penalty",
            ),
        ] {
            let error = params.check().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
