//! The policy loss of a micro-batch and its gradient.

use rayon::prelude::*;

use super::{LossConfig, Normaliser, Row, TokenLoss, correction, surrogate};
use crate::{Credit, Error, Signals, Stats};

/// Loss of a micro-batch, as its share of the mini-batch's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyLoss {
    /// The scalar to minimise.
    pub loss: f64,
    /// `[tokens]` `∂loss/∂log_prob`; 0 for tokens that are not trained.
    pub d_log_prob: Vec<f32>,
    /// `[tokens]` `∂loss/∂entropy`; 0 for tokens that are not trained.
    pub d_entropy: Vec<f32>,
    /// `[tokens]` `∂loss/∂ref_kl`; 0 for tokens that are not trained, and for all of them unless
    /// `kl_loss_type` is `full`.
    pub d_kl: Vec<f32>,
    /// Metrics that add up over the micro-batches of a mini-batch: `actor/pg_loss`, `actor/kl_loss`,
    /// `actor/expert_loss` (aggregated as the loss is), and means over trained tokens: `actor/pg_clipfrac`,
    /// `actor/pg_clipfrac_lower`, `actor/ppo_kl`, `actor/entropy`, `actor/tis_weight`,
    /// `actor/tis_capfrac`. Keys whose signal was not given are absent.
    pub metrics: Stats,
}

/// Computes the loss of a micro-batch and its gradient; `total` counts the mini-batch it belongs to.
///
/// Rows and groups of `signals` are not read, only tokens. A log-probability that is not a number
/// makes the loss NaN if its token is trained, and is not looked at otherwise.
///
/// Errors: slices of different lengths, options outside their range, and a signal that the options
/// need and the batch does not carry.
pub fn policy_loss(
    config: &LossConfig,
    signals: &Signals<'_>,
    credit: &Credit,
    total: &Normaliser,
) -> Result<PolicyLoss, Error> {
    let terms = Terms::new(config, signals, credit)?;
    let scale = config.agg_mode().scale(config.loss_scale_factor)?;
    let tokens = signals.offsets.tokens();
    let mut out = PolicyLoss {
        d_log_prob: vec![0.0; tokens],
        d_entropy: vec![0.0; tokens],
        d_kl: vec![0.0; tokens],
        ..PolicyLoss::default()
    };
    let mut blocks = Vec::with_capacity(signals.offsets.rows().div_ceil(ROWS));
    let mut slopes = [&mut out.d_log_prob, &mut out.d_entropy, &mut out.d_kl].map(|d| &mut d[..]);
    for first in (0..signals.offsets.rows()).step_by(ROWS) {
        let rows = first..signals.offsets.rows().min(first + ROWS);
        let start = signals.offsets.row(rows.start).start;
        let end = signals.offsets.row(rows.end - 1).end;
        let own = slopes.each_mut().map(|rest| {
            let (own, later) = std::mem::take(rest).split_at_mut(end - start);
            *rest = later;
            own
        });
        blocks.push(Block {
            rows,
            start,
            slopes: own,
        });
    }
    let parts: Vec<Sums> = blocks
        .into_par_iter()
        .map(|block| block.run(&terms, total, scale))
        .collect();
    let sums = parts.iter().fold(Sums::default(), Sums::with);
    out.loss =
        sums.pg_loss + config.kl_coef * sums.kl_loss - config.entropy_coeff * sums.entropy_loss;
    out.metrics = sums.metrics(&terms, total);
    Ok(out)
}

/// Rows per task; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 64;

/// Some rows and the part of the result that is theirs.
struct Block<'a> {
    rows: std::ops::Range<usize>,
    /// First token of the first row.
    start: usize,
    /// With respect to log-probability, entropy, divergence.
    slopes: [&'a mut [f32]; 3],
}

impl Block<'_> {
    fn run(mut self, terms: &Terms<'_>, total: &Normaliser, scale: f64) -> Sums {
        let (config, signals) = (terms.config, terms.signals);
        let mode = config.agg_mode();
        let mut sums = Sums::default();
        let mut losses = Vec::new();
        for index in self.rows {
            let range = signals.offsets.row(index);
            let row = terms.row(range.clone());
            let expert = signals.expert(index);
            let trained = row.trained().count();
            if trained == 0 {
                continue;
            }
            losses.clear();
            losses.resize(range.len(), TokenLoss::default());
            if !expert {
                config.policy_loss.method().row(&row, &mut losses);
            }
            let coefficient = mode.coefficient(trained, total, scale);
            for local in row.trained() {
                let token = range.start + local;
                let found = match expert {
                    true => terms.expert_token(token, coefficient, &mut sums),
                    false => terms.token(token, losses[local], coefficient, &mut sums),
                };
                for (slopes, found) in self.slopes.iter_mut().zip(found) {
                    slopes[token - self.start] = found as f32;
                }
            }
        }
        sums
    }
}

/// How far the policy is from the reference.
#[derive(Clone, Copy)]
enum Reference<'a> {
    /// Log-probabilities, for an estimate.
    LogProb(&'a [f32]),
    /// The divergences themselves.
    Divergence(&'a [f32]),
}

/// Checked inputs. A signal is `None` here when nothing reads it.
struct Terms<'a> {
    config: &'a LossConfig,
    signals: &'a Signals<'a>,
    credit: &'a Credit,
    reference: Option<Reference<'a>>,
    entropy: Option<&'a [f32]>,
    rollout: Option<(&'a [f32], f64)>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    // Aggregated as the loss is.
    pg_loss: f64,
    expert_loss: f64,
    kl_loss: f64,
    entropy_loss: f64,
    // Plain sums over trained tokens.
    expert_tokens: usize,
    clipped: f64,
    clipped_lower: f64,
    log_ratio: f64,
    entropy: f64,
    tis_weight: f64,
    tis_capped: f64,
}

impl<'a> Terms<'a> {
    fn new(
        config: &'a LossConfig,
        signals: &'a Signals<'a>,
        credit: &'a Credit,
    ) -> Result<Self, Error> {
        config.check()?;
        signals.check_log_probs()?;
        signals.per_token("credit.advantage", credit.advantage.len())?;
        signals.per_token("credit.mask", credit.mask.len())?;
        if let Some(rows) = signals.is_expert {
            signals.per_row("is_expert", rows.len())?;
        }
        let log_prob = config.needs_ref_log_prob().then_some("use_kl_loss");
        let log_prob = signals.wanted("ref_log_prob", signals.ref_log_prob, log_prob)?;
        let kl = config.needs_ref_kl().then_some("kl_loss_type");
        let kl = signals.wanted("ref_kl", signals.ref_kl, kl)?;
        let bonus = config.needs_entropy().then_some("entropy_coeff");
        // The entropy is a metric too, so it is read whenever it is there.
        let entropy = bonus.or(signals.entropy.map(|_| "actor/entropy"));
        let cap = config.tis_imp_ratio_cap;
        let rollout = signals.wanted(
            "rollout_log_prob",
            signals.rollout_log_prob,
            cap.map(|_| "tis_imp_ratio_cap"),
        )?;
        Ok(Self {
            config,
            signals,
            credit,
            reference: log_prob
                .map(Reference::LogProb)
                .or(kl.map(Reference::Divergence)),
            entropy: signals.wanted("entropy", signals.entropy, entropy)?,
            rollout: rollout.zip(cap),
        })
    }

    fn row(&self, range: std::ops::Range<usize>) -> Row<'a> {
        Row {
            log_prob: &self.signals.log_prob[range.clone()],
            old_log_prob: &self.signals.old_log_prob[range.clone()],
            advantage: &self.credit.advantage[range.clone()],
            mask: &self.credit.mask[range],
        }
    }

    /// Adds a token of an expert's trajectory, which has no ratio and no further terms.
    fn expert_token(&self, token: usize, coefficient: f64, sums: &mut Sums) -> [f64; 3] {
        let advantage = f64::from(self.credit.advantage[token]);
        let log_prob = f64::from(self.signals.log_prob[token]);
        let loss = self.config.expert.token(advantage, log_prob);
        sums.pg_loss += coefficient * loss.loss;
        sums.expert_loss += coefficient * loss.loss;
        sums.expert_tokens += 1;
        if let Some(entropy) = self.entropy {
            sums.entropy += f64::from(entropy[token]);
        }
        [coefficient * loss.d_log_prob, 0.0, 0.0]
    }

    /// Adds one trained token to `sums`; returns its derivatives (log-probability, entropy,
    /// divergence).
    fn token(
        &self,
        token: usize,
        policy: TokenLoss,
        coefficient: f64,
        sums: &mut Sums,
    ) -> [f64; 3] {
        let log_prob = f64::from(self.signals.log_prob[token]);
        let old_log_prob = self.signals.old_log_prob[token];
        let bound = surrogate::LOG_RATIO_BOUND;
        sums.clipped += f64::from(policy.clipped);
        sums.clipped_lower += f64::from(policy.clipped_lower);
        sums.log_ratio += (log_prob - f64::from(old_log_prob)).clamp(-bound, bound);

        let mut weight = 1.0;
        if let Some((rollout, cap)) = self.rollout {
            weight = correction::truncated_weight(old_log_prob, rollout[token], cap);
            sums.tis_weight += weight;
            sums.tis_capped += f64::from(weight >= cap);
        }
        sums.pg_loss += coefficient * weight * policy.loss;
        let mut d_log_prob = weight * policy.d_log_prob;

        let mut d_kl = 0.0;
        let (kind, kl_coef) = (self.config.kl_loss_type, self.config.kl_coef);
        match self.reference {
            None => {}
            Some(Reference::LogProb(reference)) => {
                let estimate = kind.estimate(log_prob, f64::from(reference[token]));
                let (kl, slope) = estimate.unwrap_or_default();
                sums.kl_loss += coefficient * kl;
                d_log_prob += kl_coef * slope;
            }
            Some(Reference::Divergence(kl)) => {
                sums.kl_loss += coefficient * f64::from(kl[token]);
                d_kl = kl_coef;
            }
        }
        if let Some(entropy) = self.entropy {
            let entropy = f64::from(entropy[token]);
            sums.entropy += entropy;
            sums.entropy_loss += coefficient * entropy;
        }
        [d_log_prob, -self.config.entropy_coeff, d_kl].map(|slope| coefficient * slope)
    }
}

impl Sums {
    fn with(self, other: &Self) -> Self {
        Self {
            pg_loss: self.pg_loss + other.pg_loss,
            expert_loss: self.expert_loss + other.expert_loss,
            kl_loss: self.kl_loss + other.kl_loss,
            entropy_loss: self.entropy_loss + other.entropy_loss,
            expert_tokens: self.expert_tokens + other.expert_tokens,
            clipped: self.clipped + other.clipped,
            clipped_lower: self.clipped_lower + other.clipped_lower,
            log_ratio: self.log_ratio + other.log_ratio,
            entropy: self.entropy + other.entropy,
            tis_weight: self.tis_weight + other.tis_weight,
            tis_capped: self.tis_capped + other.tis_capped,
        }
    }

    fn metrics(&self, terms: &Terms<'_>, total: &Normaliser) -> Stats {
        let tokens = total.tokens.max(1) as f64;
        let mut metrics = Stats::from([
            ("actor/pg_loss", self.pg_loss),
            ("actor/pg_clipfrac", self.clipped / tokens),
            ("actor/pg_clipfrac_lower", self.clipped_lower / tokens),
            ("actor/ppo_kl", -self.log_ratio / tokens),
        ]);
        if self.expert_tokens > 0 {
            metrics.insert("actor/expert_loss", self.expert_loss);
        }
        if terms.reference.is_some() {
            metrics.insert("actor/kl_loss", self.kl_loss);
        }
        if terms.entropy.is_some() {
            metrics.insert("actor/entropy", self.entropy / tokens);
        }
        if terms.rollout.is_some() {
            metrics.insert("actor/tis_weight", self.tis_weight / tokens);
            metrics.insert("actor/tis_capfrac", self.tis_capped / tokens);
        }
        metrics
    }
}
