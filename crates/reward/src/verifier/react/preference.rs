//! `react_preference`: the scores that a response gives to frame A and another to frame B, beside which of the two people
//! find better.
//!
//! `R(o_i^A, o_i^B) = log P(outcome | s_i^A − s_i^B)` under Bradley–Terry with ties, θ = 5, given to both: the i-th response to A
//! is paired with the i-th to B. Source: arXiv 2601.04033 (REACT). What the paper leaves open is an option, with our
//! reading as its default: where a response cannot be read, both get the lowest value that the outcome can have with
//! scores from 1 to 5.

use percept_frames::Preference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bradley_terry::{log_probability, worst};
use super::row::{self, Side};
use crate::{Answer, Error, Extracted, GroupVerifier, Kind, Verdict, Verifier};
use crate::{rows_that_share, shared_value};

/// Scores go from 1 to 5: the largest difference.
const WIDEST: f64 = 4.0;

/// How likely the scores of two frames make the row's `preference`, the i-th responses to the two frames together.
///
/// Two rows with the same `pair_id`, `side` A and B, are judged together and drawn in one step. The responses end in
/// `<answer>{"labels": […], "score": 3.42}</answer>` (REACT).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReactPreference {
    /// The column that the two frames of a pair share.
    pub group_by: String,
    /// How easily scores are a tie (θ): with 5, a strict outcome is likelier than not from a difference of 1.6 on.
    pub theta: f64,
    /// Reward where one of the two responses, or both, cannot be read. Default: the lowest that the outcome can get with
    /// scores from 1 to 5 (with θ = 5 −5.61, for a tie −2.52); 0 with `binary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unparsable: Option<f64>,
    /// 1 where the scores make the right outcome and 0 elsewhere, in place of the log-probability (the paper's ablation).
    pub binary: bool,
    /// With `binary`: scores that differ by less than this are a tie. Default: 0.5, as VideoScore counts ties.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tie_margin: Option<f64>,
}

impl Default for ReactPreference {
    fn default() -> Self {
        Self {
            group_by: "pair_id".into(),
            theta: 5.0,
            unparsable: None,
            binary: false,
            tie_margin: None,
        }
    }
}

/// Where a response stands: its group, and its place in it.
type Place = (usize, usize);

impl ReactPreference {
    /// The reward of two responses whose scores differ by `delta`; none where one cannot be read.
    fn reward(&self, outcome: Preference, delta: Option<f64>) -> f64 {
        match delta {
            None => self.unparsable.unwrap_or(match self.binary {
                true => 0.0,
                false => worst(outcome, WIDEST, self.theta),
            }),
            Some(delta) if self.binary => f64::from(u8::from(self.made(delta) == outcome)),
            Some(delta) => log_probability(outcome, delta, self.theta),
        }
    }

    /// The outcome that a difference of scores makes.
    fn made(&self, delta: f64) -> Preference {
        if delta.abs() < self.tie_margin.unwrap_or(0.5) {
            Preference::Tie
        } else if delta > 0.0 {
            Preference::A
        } else {
            Preference::B
        }
    }

    /// Judges the responses to the rows of one pair; `verdicts` gets them at the places of their answers.
    fn pair(&self, groups: &[&[Answer<'_>]], bundle: &[usize], verdicts: &mut [Vec<Verdict>]) {
        match self.places(groups, bundle) {
            Err(reason) => {
                for &group in bundle {
                    verdicts[group].fill(Verdict::Ungraded(reason.clone()));
                }
            }
            Ok((outcome, a, b)) => {
                let score = |(group, index): Place| {
                    row::judgement(&groups[group][index]).map(|judgement| judgement.score)
                };
                for (a, b) in a.into_iter().zip(b) {
                    let delta = score(a).zip(score(b)).map(|(a, b)| a - b);
                    let verdict = Verdict::Score(self.reward(outcome, delta));
                    verdicts[a.0][a.1] = verdict.clone();
                    verdicts[b.0][b.1] = verdict;
                }
            }
        }
    }

    /// The outcome of a pair, and where the responses to A and to B stand.
    fn places(
        &self,
        groups: &[&[Answer<'_>]],
        bundle: &[usize],
    ) -> Result<(Preference, Vec<Place>, Vec<Place>), String> {
        let mut outcome = None;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for &group in bundle {
            let Some(first) = groups[group].first() else {
                continue;
            };
            self.check_row(first.meta)?;
            let own = row::preference(first.meta)?;
            if outcome.replace(own).is_some_and(|other| other != own) {
                return Err(self.contradiction(first.meta));
            }
            let places = (0..groups[group].len()).map(|index| (group, index));
            match row::side(first.meta)? {
                Side::A => a.extend(places),
                Side::B => b.extend(places),
            }
        }
        let missing = match (a.is_empty(), b.is_empty()) {
            (true, _) => "A",
            (_, true) => "B",
            (false, false) => "",
        };
        match outcome.filter(|_| missing.is_empty()) {
            Some(outcome) => Ok((outcome, a, b)),
            None => Err(format!(
                "frame {missing} of the pair is not among the prompts that are judged with it"
            )),
        }
    }

    fn contradiction(&self, row: &Map<String, Value>) -> String {
        format!(
            "the two rows of {} {} have different values of `{}`",
            self.group_by,
            shared_value(row, &self.group_by).unwrap_or_default(),
            row::PREFERENCE
        )
    }
}

impl Verifier for ReactPreference {
    fn name(&self) -> &str {
        "react_preference"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        let alone: Vec<&[Answer<'_>]> = batch.chunks(1).collect();
        self.verify_groups(&alone).concat()
    }

    fn groups(&self) -> Option<&dyn GroupVerifier> {
        Some(self)
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        row::shown(answer)
    }

    fn needs_ground_truth(&self) -> bool {
        false
    }

    fn check_row(&self, row: &Map<String, Value>) -> Result<(), String> {
        if shared_value(row, &self.group_by).is_none() {
            return Err(format!(
                "no column `{}`, expected the name of the pair that the frame belongs to",
                self.group_by
            ));
        }
        row::side(row)?;
        row::preference(row).map(drop)
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

impl GroupVerifier for ReactPreference {
    fn verify_groups(&self, groups: &[&[Answer<'_>]]) -> Vec<Vec<Verdict>> {
        let alone = "there is no response to the other frame that it could be paired with";
        let unpaired = |group: &&[Answer<'_>]| vec![Verdict::Ungraded(alone.into()); group.len()];
        let mut verdicts: Vec<Vec<Verdict>> = groups.iter().map(unpaired).collect();
        let empty = Map::new();
        let rows = groups
            .iter()
            .map(|group| group.first().map_or(&empty, |a| a.meta));
        for bundle in rows_that_share(&self.group_by, rows) {
            self.pair(groups, &bundle, &mut verdicts);
        }
        verdicts
    }

    fn group_by(&self) -> Option<&str> {
        Some(&self.group_by)
    }

    fn check_rows(&self, rows: &[&Map<String, Value>]) -> Result<(), String> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        rows.iter().try_for_each(|row| self.check_row(row))?;
        let sides: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.get(row::SIDE).and_then(Value::as_str))
            .collect();
        let whole = matches!(sides.as_slice(), ["A", "B"] | ["B", "A"]);
        if !whole {
            return Err(format!(
                "{} {} has {} row{} (side {}), expected two: side A and side B",
                self.group_by,
                shared_value(first, &self.group_by).unwrap_or_default(),
                rows.len(),
                if rows.len() == 1 { "" } else { "s" },
                sides.join(", "),
            ));
        }
        let outcomes = rows.iter().map(|row| row::preference(row));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        match outcomes.windows(2).all(|two| two[0] == two[1]) {
            true => Ok(()),
            false => Err(self.contradiction(first)),
        }
    }
}

impl Kind for ReactPreference {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if self.group_by.is_empty() {
            return Err(Error::option("group_by", "\"\"", "the name of a column"));
        }
        if !(self.theta.is_finite() && self.theta > 1.0) {
            return Err(Error::option(
                "theta",
                self.theta,
                "more than 1: at 1 there are no ties",
            ));
        }
        if let Some(value) = self.unparsable.filter(|value| !value.is_finite()) {
            return Err(Error::option("unparsable", value, "a finite number"));
        }
        match self.tie_margin {
            Some(margin) if !self.binary => {
                let expected = "to be left out: it does nothing without binary = true";
                Err(Error::option("tie_margin", margin, expected))
            }
            Some(margin) if !(margin.is_finite() && margin >= 0.0) => {
                Err(Error::option("tie_margin", margin, "0 or more"))
            }
            _ => Ok(Box::new(self.clone())),
        }
    }

    fn reads(&self, column: &str) -> bool {
        column == self.group_by || [row::PREFERENCE, row::SIDE].contains(&column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(pair: &str, side: &str, preference: &str) -> Map<String, Value> {
        let row = json!({"pair_id": pair, "side": side, "preference": preference});
        row.as_object().cloned().unwrap()
    }

    fn said(score: f64) -> String {
        format!("<think>I look.</think><answer>{{\"labels\":[],\"score\":{score}}}</answer>")
    }

    fn judge(
        verifier: &ReactPreference,
        rows: &[(Map<String, Value>, Vec<String>)],
    ) -> Vec<Vec<Verdict>> {
        let answers: Vec<Vec<Answer<'_>>> = rows
            .iter()
            .map(|(meta, texts)| {
                texts
                    .iter()
                    .map(|text| Answer {
                        completion: text,
                        meta,
                        ..Answer::default()
                    })
                    .collect()
            })
            .collect();
        let groups: Vec<&[Answer<'_>]> = answers.iter().map(Vec::as_slice).collect();
        verifier.verify_groups(&groups)
    }

    #[test]
    fn the_ith_responses_to_two_frames_get_one_reward() {
        let plain = ReactPreference::default();
        let rows = [
            (frame("p", "B", "A"), vec![said(1.0), said(4.0), "?".into()]),
            (
                frame("q", "A", "same"),
                vec![said(3.0), said(3.0), "?".into()],
            ),
            (frame("p", "A", "A"), vec![said(5.0), said(2.5), said(5.0)]),
            (
                frame("q", "B", "same"),
                vec![said(3.0), said(1.0), said(2.0)],
            ),
        ];
        let found = judge(&plain, &rows);
        assert_eq!(found[0], found[2]);
        assert_eq!(found[1], found[3]);
        let close = |verdict: &Verdict, expected: f64| {
            let score = verdict.score().unwrap();
            assert!((score - expected).abs() < 5e-4, "{score} {expected}");
        };
        close(&found[0][0], -0.0876);
        close(&found[0][1], log_probability(Preference::A, -1.5, 5.0));
        close(&found[0][2], -5.613);
        close(&found[1][0], -0.4055);
        close(&found[1][2], -2.523);
    }

    #[test]
    fn without_its_partner_a_response_is_not_scored() {
        let plain = ReactPreference::default();
        let rows = [
            (frame("p", "A", "A"), vec![said(5.0)]),
            (frame("q", "A", "B"), vec![said(5.0), said(5.0)]),
            (frame("q", "B", "B"), vec![said(5.0)]),
            (Map::new(), vec![said(5.0)]),
        ];
        let found = judge(&plain, &rows);
        assert!(found[0][0].reason().unwrap().contains("frame B"));
        assert!(found[1][0].score().is_some() && found[2][0].score().is_some());
        assert!(found[1][1].reason().unwrap().contains("the other frame"));
        assert!(found[3][0].reason().unwrap().contains("pair_id"));
    }

    #[test]
    fn the_ablation_is_right_or_wrong() {
        let binary = ReactPreference {
            binary: true,
            ..ReactPreference::default()
        };
        for (outcome, delta, expected) in [
            (Preference::A, Some(0.6), 1.0),
            (Preference::A, Some(0.4), 0.0),
            (Preference::B, Some(-0.5), 1.0),
            (Preference::Tie, Some(0.4), 1.0),
            (Preference::Tie, Some(-0.6), 0.0),
            (Preference::A, None, 0.0),
        ] {
            assert_eq!(
                binary.reward(outcome, delta),
                expected,
                "{outcome:?} {delta:?}"
            );
        }
    }

    #[test]
    fn a_pair_that_is_not_whole_is_refused_by_name() {
        let plain = ReactPreference::default();
        let (a, b) = (frame("p7", "A", "A"), frame("p7", "B", "A"));
        assert_eq!(plain.check_rows(&[&b, &a]), Ok(()));
        let other = frame("p7", "B", "same");
        for (rows, words) in [
            (vec![&a], ["p7 has 1 row (side A)", "side A and side B"]),
            (vec![&a, &b, &b], ["p7 has 3 rows", "expected two"]),
            (vec![&a, &a], ["side A, A", "expected two"]),
            (vec![&a, &other], ["p7", "different values of `preference`"]),
        ] {
            let error = plain.check_rows(&rows).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        }
        let left = frame("p7", "left", "A");
        assert!(plain.check_row(&left).unwrap_err().contains("side: found"));
        let better = frame("p7", "A", "better");
        assert!(
            plain
                .check_row(&better)
                .unwrap_err()
                .contains("A, B or same")
        );
    }

    #[test]
    fn options_outside_their_range_are_refused() {
        let options = |text: &str| serde_json::from_str::<ReactPreference>(text).unwrap();
        for (text, word) in [
            (r#"{"theta": 1.0}"#, "theta"),
            (r#"{"tie_margin": 0.5}"#, "binary = true"),
            (r#"{"binary": true, "tie_margin": -1.0}"#, "tie_margin"),
            (r#"{"group_by": ""}"#, "group_by"),
        ] {
            let error = options(text).build().err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
