//! Rules that choose which tokens are replaced.

use percept_sampler::{Draft, Gate};

use super::response::Response;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Signed Δ of the draft: lowest first where the base drafts, highest first where the tuned
    /// model does; either way the tokens that the other model would rather not say.
    Direction,
    /// |Δ| of the draft, largest first.
    Magnitude,
    /// KL(tuned ‖ base), largest first.
    Kl,
    /// Entropy of the drafting model, largest first.
    Entropy,
    /// Chance.
    Random,
}

impl Rule {
    /// All rules, in the order in which they are shown.
    pub const ALL: [Rule; 5] = [
        Rule::Direction,
        Rule::Magnitude,
        Rule::Kl,
        Rule::Entropy,
        Rule::Random,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Direction => "Δ log p",
            Rule::Magnitude => "|Δ log p|",
            Rule::Kl => "KL",
            Rule::Entropy => "entropy",
            Rule::Random => "random",
        }
    }

    /// What the rule looks at in each token of responses that `draft` sampled.
    pub fn values(self, draft: Draft, responses: &[Response]) -> Vec<f64> {
        let all = |list: fn(&Response) -> &Vec<f32>| -> Vec<f64> {
            let tokens = responses.iter().flat_map(list);
            tokens.map(|value| f64::from(*value)).collect()
        };
        match self {
            Rule::Direction => all(|r| &r.trace.drafted_delta),
            Rule::Magnitude => {
                let mut deltas = all(|r| &r.trace.drafted_delta);
                deltas.iter_mut().for_each(|delta| *delta = delta.abs());
                deltas
            }
            Rule::Kl => all(|r| &r.trace.kl),
            Rule::Entropy if draft == Draft::Base => all(|r| &r.trace.entropy_base),
            Rule::Entropy => all(|r| &r.trace.entropy_tuned),
            Rule::Random => Vec::new(),
        }
    }

    /// The gate that fires on `share` of the tokens of `drafts`, plain responses of `draft`.
    pub fn gate(self, draft: Draft, drafts: &[Response], share: f64) -> Gate {
        let mut values = self.values(draft, drafts);
        let lowest_first = self == Rule::Direction && draft == Draft::Base;
        values.sort_unstable_by(|a, b| match lowest_first {
            true => a.total_cmp(b),
            false => b.total_cmp(a),
        });
        let count = (share * values.len() as f64).round() as usize;
        let never = if lowest_first {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
        let threshold = match count {
            0 => never,
            count => values[count - 1],
        };
        match self {
            Rule::Direction if lowest_first => Gate::LogProb(threshold),
            Rule::Direction => Gate::Raised(threshold),
            Rule::Magnitude => Gate::Abs(threshold),
            Rule::Kl => Gate::Kl(threshold),
            Rule::Entropy => Gate::Entropy(threshold),
            Rule::Random => Gate::Random(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direction::response::tests::response;

    #[test]
    fn thresholds_are_quantiles_in_the_order_of_firing() {
        let tokens: Vec<(&str, f64)> = (0..10).map(|i| ("t", f64::from(i) - 5.0)).collect();
        let drafts = [response("q", &tokens)];
        let gate = |rule: Rule, draft, share| rule.gate(draft, &drafts, share);
        assert_eq!(gate(Rule::Direction, Draft::Base, 0.2), Gate::LogProb(-4.0));
        assert_eq!(gate(Rule::Direction, Draft::Tuned, 0.2), Gate::Raised(3.0));
        assert_eq!(gate(Rule::Magnitude, Draft::Base, 0.1), Gate::Abs(5.0));
        assert_eq!(gate(Rule::Random, Draft::Base, 0.3), Gate::Random(0.3));
        assert_eq!(
            gate(Rule::Direction, Draft::Base, 0.0),
            Gate::LogProb(f64::NEG_INFINITY)
        );
        assert_eq!(gate(Rule::Kl, Draft::Base, 0.0), Gate::Kl(f64::INFINITY));
    }
}
