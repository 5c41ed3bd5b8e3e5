//! A draw from two models.

use super::extrapolate::{Draft, Extrapolate};
use super::models::Contrast;
use super::trace::Trace;
use crate::SamplingParams;
use crate::sampling::{Draw, Scratch, TokenPlace, draw};

/// Streams of random numbers beside that of the draft: second draws and random gates.
const SECOND_DRAW: u64 = 0x2545_f491_4f6c_dd1d;
const RANDOM_GATE: u64 = 0x9fb2_1c65_1e98_df25;

/// One token from two rows of logits. Without a gate, or one that cannot change anything, the
/// draw is bit for bit that of `π_tuned`.
pub(crate) fn draw_pair(
    models: &Contrast<'_>,
    params: &SamplingParams,
    extrapolate: Option<&Extrapolate>,
    banned: &[u32],
    place: TokenPlace,
    scratch: &mut Scratch,
    trace: Option<&mut Trace>,
) -> Draw {
    let u = place.uniform(params.seed);
    let draft = extrapolate.map_or(Draft::Tuned, |e| e.draft);
    let first = draw(models.row(draft).0, params, banned, u);
    let mut drawn = first;
    let mut fired = false;
    if let Some(extra) = extrapolate.filter(|e| !e.is_plain()) {
        let chance = place.uniform(params.seed ^ RANDOM_GATE);
        fired = models.fires(extra.gate, draft, first.token, chance);
        if fired {
            let u = match extra.gate.sees_draft() {
                true => place.uniform(params.seed ^ SECOND_DRAW),
                // One draw from the distribution that the gate chose: the same number serves.
                false => u,
            };
            models.mix(extra, scratch);
            drawn = draw(&scratch.mixed, params, banned, u);
        }
    }
    if let Some(trace) = trace {
        let token = drawn.token;
        let put = |list: &mut Vec<f32>, value: f64| list.push(value as f32);
        put(
            &mut trace.log_prob_tuned,
            models.log_prob(Draft::Tuned, token),
        );
        put(
            &mut trace.log_prob_base,
            models.log_prob(Draft::Base, token),
        );
        put(&mut trace.entropy_tuned, models.entropy(Draft::Tuned));
        put(&mut trace.entropy_base, models.entropy(Draft::Base));
        put(&mut trace.kl, models.kl());
        put(&mut trace.drafted_delta, models.delta(first.token));
        trace.fired.push(fired);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gate;

    const TUNED: [f32; 4] = [2.0, 1.0, 0.0, -1.0];
    const BASE: [f32; 4] = [0.0, 2.0, 1.0, -1.0];

    fn softmax(row: &[f64]) -> Vec<f64> {
        let z: f64 = row.iter().map(|l| l.exp()).sum();
        row.iter().map(|l| l.exp() / z).collect()
    }

    fn place(position: usize) -> TokenPlace {
        TokenPlace {
            stream: 1,
            sample: 2,
            position,
        }
    }

    /// A draw with default parameters.
    fn drawn(models: &Contrast<'_>, extra: &Extrapolate, position: usize) -> Draw {
        let (params, mut scratch) = (SamplingParams::default(), Scratch::default());
        draw_pair(
            models,
            &params,
            Some(extra),
            &[],
            place(position),
            &mut scratch,
            None,
        )
    }

    fn shares(extra: Extrapolate) -> [f64; 4] {
        let models = Contrast::new(&TUNED, &BASE);
        let n = 40_000;
        let mut counts = [0.0; 4];
        for i in 0..n {
            let drawn = drawn(&models, &extra, i);
            counts[drawn.token as usize] += 1.0 / n as f64;
        }
        counts
    }

    fn close(found: &[f64], expected: &[f64]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 0.012, "{found:?} for {expected:?}");
        }
    }

    fn rows() -> (Vec<f64>, Vec<f64>) {
        let wide = |row: [f32; 4]| softmax(&row.map(f64::from));
        (wide(TUNED), wide(BASE))
    }

    #[test]
    fn numbers_are_those_of_the_definitions() {
        let models = Contrast::new(&TUNED, &BASE);
        let (p, q) = rows();
        let kl: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        let entropy: f64 = q.iter().map(|q| -q * q.ln()).sum();
        assert!((models.kl() - kl).abs() < 1e-6);
        assert!((models.entropy(Draft::Base) - entropy).abs() < 1e-6);
        for token in 0..4 {
            let delta = (p[token] / q[token]).ln();
            assert!((models.delta(token as u32) - delta).abs() < 1e-6);
        }
    }

    #[test]
    fn everywhere_is_the_extrapolated_distribution() {
        for draft in [Draft::Tuned, Draft::Base] {
            let found = shares(Extrapolate {
                gamma: 0.5,
                draft,
                ..Default::default()
            });
            let mixed: Vec<f64> = TUNED
                .iter()
                .zip(BASE)
                .map(|(&t, b)| 1.5 * f64::from(t) - 0.5 * f64::from(b))
                .collect();
            close(&found, &softmax(&mixed));
        }
    }

    #[test]
    fn a_gate_that_looks_at_the_draft_replaces_only_what_it_fires_on() {
        // Δ ≤ −0.5 holds for tokens 1 and 2: they are drafted from the base and drawn again.
        let found = shares(Extrapolate {
            gamma: 0.0,
            gate: Gate::LogProb(-0.5),
            draft: Draft::Base,
            candidates: 0,
        });
        let (p, q) = rows();
        let again = q[1] + q[2];
        let expected: Vec<f64> = (0..4)
            .map(|t| {
                let kept = if t == 1 || t == 2 { 0.0 } else { q[t] };
                kept + again * p[t]
            })
            .collect();
        close(&found, &expected);
    }

    #[test]
    fn a_random_gate_mixes_by_its_probability() {
        let found = shares(Extrapolate {
            gamma: 0.0,
            gate: Gate::Random(0.25),
            draft: Draft::Base,
            candidates: 0,
        });
        let (p, q) = rows();
        let expected: Vec<f64> = p.iter().zip(&q).map(|(p, q)| 0.25 * p + 0.75 * q).collect();
        close(&found, &expected);
    }

    #[test]
    fn gates_that_never_fire_change_no_bit() {
        let models = Contrast::new(&TUNED, &BASE);
        let plain = SamplingParams::default();
        for gate in [
            Gate::LogProb(f64::NEG_INFINITY),
            Gate::Raised(f64::INFINITY),
            Gate::Abs(f64::INFINITY),
            Gate::Entropy(1e9),
            Gate::Kl(1e9),
            Gate::Random(0.0),
        ] {
            for (draft, row) in [(Draft::Tuned, &TUNED), (Draft::Base, &BASE)] {
                let extra = Extrapolate {
                    gamma: 0.7,
                    gate,
                    draft,
                    candidates: 2,
                };
                for i in 0..200 {
                    let pair = drawn(&models, &extra, i);
                    assert_eq!(pair, draw(row, &plain, &[], place(i).uniform(0)));
                }
            }
        }
    }

    #[test]
    fn gamma_0_is_the_tuned_model_and_minus_1_the_base_bit_for_bit() {
        let models = Contrast::new(&TUNED, &BASE);
        let plain = SamplingParams::default();
        for draft in [Draft::Tuned, Draft::Base] {
            for (gamma, row) in [(0.0, &TUNED), (-1.0, &BASE)] {
                let extra = Extrapolate {
                    gamma,
                    draft,
                    gate: Gate::Always,
                    candidates: 0,
                };
                for i in 0..200 {
                    let pair = drawn(&models, &extra, i);
                    assert_eq!(pair, draw(row, &plain, &[], place(i).uniform(0)));
                }
            }
        }
    }

    #[test]
    fn only_candidates_are_drawn() {
        let found = shares(Extrapolate {
            gamma: 1.0,
            draft: Draft::Base,
            candidates: 2,
            ..Default::default()
        });
        // The base's two likeliest are 1 and 2; mixed logits there are 0 and −1.
        close(&found[1..3], &softmax(&[0.0, -1.0]));
        assert_eq!(found[0] + found[3], 0.0);
    }

    #[test]
    fn rows_of_different_width_end_where_the_narrower_one_does() {
        let wide = [2.0, 1.0, 0.0, -1.0, 9.0];
        let models = Contrast::new(&wide, &BASE);
        let same = Contrast::new(&TUNED, &BASE);
        assert_eq!(models.kl(), same.kl());
        let extra = Extrapolate::default();
        for i in 0..100 {
            let drawn = drawn(&models, &extra, i);
            assert!(drawn.token < 4);
        }
    }
}
