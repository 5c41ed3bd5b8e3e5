//! All reward functions of a recipe together.

use serde_json::{Map, Value};

use crate::{
    Answer, Error, Extracted, FunctionConfig, GroupVerifier, Reward, RewardConfig, Verdict,
    Verifier,
};

struct Function {
    label: String,
    weight: f64,
    /// Index of the function that must score above 0 for this one to count.
    requires: Option<usize>,
    verifier: Box<dyn Verifier>,
}

impl Function {
    /// The column whose value rows share that it judges together.
    fn group_by(&self) -> Option<&str> {
        self.verifier.groups()?.group_by()
    }

    /// Whether it judges rows together by another column than this one.
    fn other_column(&self, column: &str) -> bool {
        self.group_by().is_some_and(|own| own != column)
    }
}

/// The reward functions of a recipe, ready to judge.
///
/// ```
/// let config: percept_reward::RewardConfig = toml::from_str(r#"
///     [[functions]]
///     name = "accuracy"
///
///     [[functions]]
///     name = "format"
///     weight = 0.1
///     boxed = true
/// "#)?;
/// let set = percept_reward::RewardSet::build(&config)?;
/// assert_eq!(set.names(), ["accuracy", "format"]);
/// assert!(set.check_ground_truth(r"\frac{1}{").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RewardSet {
    functions: Vec<Function>,
}

impl RewardSet {
    /// Checks every option and starts what has to be started.
    ///
    /// # Errors
    /// No function, two of one name, an option outside its range, a process that does not start.
    pub fn build(config: &RewardConfig) -> Result<Self, Error> {
        if config.functions.is_empty() {
            return Err(Error::Empty);
        }
        let mut functions: Vec<Function> = Vec::with_capacity(config.functions.len());
        for function in &config.functions {
            let label = function.label();
            if functions.iter().any(|other| other.label == label) {
                return Err(Error::Duplicate(label.into()));
            }
            let requires = required(function, &config.functions)?;
            let built = build(function, requires).map_err(|error| error.of(label))?;
            if let Some(column) = built.group_by()
                && let Some(other) = functions.iter().find(|f| f.other_column(column))
            {
                return Err(Error::GroupBy {
                    function: label.into(),
                    column: column.into(),
                    other: other.label.clone(),
                });
            }
            functions.push(built);
        }
        Ok(Self { functions })
    }

    /// Judges a batch: one reward per answer, in their order, each answer by itself.
    pub fn judge(&self, answers: &[Answer<'_>]) -> Vec<Reward> {
        let alone: Vec<&[Answer<'_>]> = answers.chunks(1).collect();
        self.judge_groups(&alone).concat()
    }

    /// Judges the answers to several prompts, a group for each prompt: a function may compare them
    /// ([`Verifier::groups`]). One reward per answer of each group.
    pub fn judge_groups(&self, groups: &[&[Answer<'_>]]) -> Vec<Vec<Reward>> {
        let answers = groups.concat();
        let verdicts = self.functions.iter().map(|function| {
            let found = match function.verifier.groups() {
                None => verify(function.verifier.as_ref(), &answers),
                Some(verifier) => verify_groups(verifier, groups),
            };
            (function.label.as_str(), found.into_iter())
        });
        let mut verdicts: Vec<_> = verdicts.collect();
        let mut reward = |_: &Answer<'_>| {
            let parts = verdicts.iter_mut().map(|(label, found)| {
                let verdict = found.next().map_or_else(no_verdict, finite);
                ((*label).to_owned(), verdict)
            });
            let parts: Vec<(String, Verdict)> = parts.collect();
            Reward {
                total: self.total(&parts),
                parts,
            }
        };
        groups
            .iter()
            .map(|group| group.iter().map(&mut reward).collect())
            .collect()
    }

    fn total(&self, parts: &[(String, Verdict)]) -> Option<f64> {
        let mut total = 0.0;
        let mut left = self.functions.len();
        for (function, (_, verdict)) in self.functions.iter().zip(parts) {
            if function.weight == 0.0 {
                continue;
            }
            if verdict.abstains() {
                left -= 1;
                continue;
            }
            let counts = match function.requires {
                Some(required) => parts[required].1.score()? > 0.0,
                None => true,
            };
            if counts {
                total += function.weight * verdict.score()?;
            }
        }
        (left > 0).then_some(total)
    }

    /// What the functions' own code said besides verdicts since the last call, each text once, behind the function's
    /// label.
    pub fn messages(&self) -> Vec<String> {
        let of = |function: &Function| {
            let texts = function.verifier.messages().into_iter();
            let named = texts.map(|text| format!("{}: {text}", function.label));
            named.collect::<Vec<String>>()
        };
        self.functions.iter().flat_map(of).collect()
    }

    /// Labels of the functions, in the recipe's order.
    pub fn names(&self) -> Vec<&str> {
        self.functions
            .iter()
            .map(|function| function.label.as_str())
            .collect()
    }

    /// The column whose value those rows share that are judged together: they belong in one step. None where every row may
    /// stand alone.
    pub fn group_by(&self) -> Option<&str> {
        self.functions.iter().find_map(Function::group_by)
    }

    /// Whether some function with a weight compares with the row's ground truth.
    pub fn needs_ground_truth(&self) -> bool {
        self.weighed().any(|f| f.verifier.needs_ground_truth())
    }

    /// Whether a row has what the functions with a weight read in its other columns.
    ///
    /// # Errors
    /// The first function that misses something, and what.
    pub fn check_row(&self, row: &Map<String, Value>) -> Result<(), String> {
        let named = |function: &Function| {
            let found = function.verifier.check_row(row);
            found.map_err(|reason| format!("{}: {reason}", function.label))
        };
        self.weighed().try_for_each(named)
    }

    /// Whether these rows, all that share a value of [`RewardSet::group_by`], can be judged together.
    ///
    /// # Errors
    /// The first function that cannot, and why.
    pub fn check_rows(&self, rows: &[&Map<String, Value>]) -> Result<(), String> {
        let named = |function: &Function| {
            let Some(groups) = function.verifier.groups() else {
                return Ok(());
            };
            let found = groups.check_rows(rows);
            found.map_err(|reason| format!("{}: {reason}", function.label))
        };
        self.weighed().try_for_each(named)
    }

    /// The functions that count in the total.
    fn weighed(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|f| f.weight != 0.0)
    }

    /// What each function takes for the answer in a response, in the recipe's order.
    pub fn extracted(&self, answer: &Answer<'_>) -> Vec<Extracted> {
        self.functions
            .iter()
            .map(|function| function.verifier.extracted(answer))
            .collect()
    }

    /// Whether every function with a weight can compare with this ground truth.
    ///
    /// # Errors
    /// The first function that cannot, and why.
    pub fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        let named = |function: &Function| {
            let found = function.verifier.check_ground_truth(ground_truth);
            found.map_err(|reason| format!("{}: {reason}", function.label))
        };
        self.weighed().try_for_each(named)
    }
}

fn no_verdict() -> Verdict {
    Verdict::Ungraded("the verifier gave no verdict".into())
}

/// One verdict per answer of each group, whatever the verifier returns.
fn verify_groups(verifier: &dyn GroupVerifier, groups: &[&[Answer<'_>]]) -> Vec<Verdict> {
    let mut found = verifier.verify_groups(groups).into_iter();
    let of_group = |group: &&[Answer<'_>]| {
        let mut verdicts = found.next().unwrap_or_default();
        verdicts.resize_with(group.len(), no_verdict);
        verdicts
    };
    groups.iter().flat_map(of_group).collect()
}

/// One verdict per answer, whatever its number of right answers.
fn verify(verifier: &dyn Verifier, answers: &[Answer<'_>]) -> Vec<Verdict> {
    let one_each = answers.iter().all(|answer| answer.alternatives.is_empty());
    if one_each || verifier.reads_alternatives() {
        return verifier.verify(answers);
    }
    let mut expanded = Vec::with_capacity(answers.len());
    for answer in answers {
        let truths = answer.ground_truth.into_iter();
        let truths = truths.chain(answer.alternatives.iter().map(String::as_str));
        let alone = |ground_truth| Answer {
            ground_truth,
            alternatives: &[],
            ..*answer
        };
        expanded.push(alone(answer.ground_truth));
        expanded.extend(truths.skip(1).map(|truth| alone(Some(truth))));
    }
    let mut verdicts = verifier.verify(&expanded).into_iter();
    let of_answer = |answer: &Answer<'_>| {
        let first = verdicts.next();
        let others = verdicts.by_ref().take(answer.alternatives.len());
        first.into_iter().chain(others).reduce(better)
    };
    answers.iter().map_while(of_answer).collect()
}

/// The better of two verdicts. One that could not be given may have been right: it outweighs a score that is
/// less than full.
fn better(a: Verdict, b: Verdict) -> Verdict {
    match (a.score(), b.score()) {
        (Some(x), Some(y)) => {
            if y > x {
                b
            } else {
                a
            }
        }
        (Some(x), None) if x < 1.0 => b,
        (None, Some(y)) if y >= 1.0 => b,
        _ => a,
    }
}

impl std::fmt::Debug for RewardSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn required(function: &FunctionConfig, all: &[FunctionConfig]) -> Result<Option<usize>, Error> {
    let Some(required) = &function.requires else {
        return Ok(None);
    };
    let found = all.iter().position(|other| other.label() == required);
    match found.filter(|_| function.label() != required) {
        Some(at) => Ok(Some(at)),
        None => Err(Error::Requires {
            function: function.label().into(),
            required: required.clone(),
        }),
    }
}

fn build(function: &FunctionConfig, requires: Option<usize>) -> Result<Function, Error> {
    if !function.weight.is_finite() {
        return Err(Error::option("weight", function.weight, "a finite number"));
    }
    Ok(Function {
        label: function.label().to_owned(),
        weight: function.weight,
        requires,
        verifier: function.kind.kind().build()?,
    })
}

fn finite(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Score(score) if !score.is_finite() => {
            Verdict::Ungraded(format!("the score is {score}"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    fn set(toml: &str) -> Result<RewardSet, Error> {
        RewardSet::build(&toml::from_str(toml).unwrap())
    }

    fn judge(set: &RewardSet, completion: &str, ground_truth: Option<&str>) -> Reward {
        let answer = Answer {
            completion,
            ground_truth,
            alternatives: &[],
            prompt: "",
            finished: true,
            n_tokens: 1,
            meta: &Map::new(),
            ..Answer::default()
        };
        set.judge(&[answer]).remove(0)
    }

    /// The share of the other answers of a group that are longer; in a batch of one group there is nothing to compare.
    struct ShorterIsBetter;

    impl Verifier for ShorterIsBetter {
        fn name(&self) -> &str {
            "shorter"
        }

        fn verify(&self, _: &[Answer<'_>]) -> Vec<Verdict> {
            panic!("a verifier that compares is asked for groups")
        }

        fn groups(&self) -> Option<&dyn GroupVerifier> {
            Some(self)
        }

        fn check_ground_truth(&self, _: &str) -> Result<(), String> {
            Ok(())
        }
    }

    impl GroupVerifier for ShorterIsBetter {
        fn verify_groups(&self, groups: &[&[Answer<'_>]]) -> Vec<Vec<Verdict>> {
            let of_group = |group: &&[Answer<'_>]| {
                let score = |answer: &Answer<'_>| {
                    let others = group.len().saturating_sub(1) as f64;
                    let longer = group
                        .iter()
                        .filter(|other| other.n_tokens > answer.n_tokens);
                    Verdict::Score(longer.count() as f64 / others)
                };
                group.iter().map(score).collect()
            };
            // A verifier with a fault: of the last group it says nothing.
            groups[..groups.len() - 1].iter().map(of_group).collect()
        }
    }

    #[test]
    fn a_function_may_compare_the_answers_of_several_prompts_beside_one_that_looks_at_each() {
        let mut set = set("functions = [{ name = 'accuracy' }]").unwrap();
        set.functions.push(Function {
            label: "shorter".into(),
            weight: 0.5,
            requires: None,
            verifier: Box::new(ShorterIsBetter),
        });
        let meta = Map::new();
        let answer = |completion: &'static str, n_tokens| Answer {
            completion,
            ground_truth: Some("2"),
            n_tokens,
            meta: &meta,
            ..Answer::default()
        };
        let groups = [
            vec![answer("2", 1), answer("2", 3), answer("3", 2)],
            vec![answer("2", 9), answer("2", 4)],
            vec![answer("2", 1)],
        ];
        let views: Vec<&[Answer<'_>]> = groups.iter().map(Vec::as_slice).collect();
        let found = set.judge_groups(&views);
        let totals: Vec<Vec<Option<f64>>> = found
            .iter()
            .map(|group| group.iter().map(|reward| reward.total).collect())
            .collect();
        assert_eq!(totals[0], [Some(1.5), Some(1.0), Some(0.25)]);
        assert_eq!(totals[1], [Some(1.0), Some(1.5)]);
        assert_eq!(totals[2], [None], "no verdict is no score");
        assert_eq!(found[2][0].parts[0], ("accuracy".into(), Verdict::RIGHT));
    }

    const TWO: &str = r#"
        [[functions]]
        name = "accuracy"
        [[functions]]
        name = "format"
        weight = 0.5
    "#;

    #[test]
    fn the_total_is_the_weighted_sum() {
        let reward = judge(&set(TWO).unwrap(), "<think>a</think>\\boxed{2}", Some("2"));
        assert_eq!(reward.total, Some(1.5));
        assert_eq!(reward.parts[1], ("format".into(), Verdict::RIGHT));
    }

    #[test]
    fn an_ungraded_part_that_counts_leaves_no_total() {
        let reward = judge(&set(TWO).unwrap(), "<think>a</think>\\boxed{2}", None);
        assert_eq!(reward.total, None);
        assert_eq!(reward.parts[1].1, Verdict::RIGHT);
    }

    #[test]
    fn an_ungraded_part_of_weight_zero_does_not_matter() {
        let set = set(&TWO.replacen("\"accuracy\"", "\"accuracy\"\nweight = 0.0", 1)).unwrap();
        assert_eq!(judge(&set, "<think>a</think>2", None).total, Some(0.5));
        assert!(set.check_ground_truth("").is_ok());
    }

    #[test]
    fn what_requires_another_counts_only_where_that_is_right() {
        let toml = "functions = [
            { name = 'accuracy' },
            { name = 'length', shape = 'limit', weight = 0.5, requires = 'accuracy' },
        ]";
        let set = set(toml).unwrap();
        assert_eq!(judge(&set, "2", Some("2")).total, Some(1.5));
        assert_eq!(judge(&set, "3", Some("2")).total, Some(0.0));
        assert_eq!(judge(&set, "3", None).total, None);
        for other in ["'acuracy'", "'length'"] {
            let wrong = toml.replace("requires = 'accuracy'", &format!("requires = {other}"));
            assert!(matches!(self::set(&wrong), Err(Error::Requires { .. })));
        }
    }

    /// E6
    #[test]
    fn any_of_several_right_answers_is_right() {
        let set = set("functions = [{ name = 'accuracy' }, { name = 'format' }]").unwrap();
        let judge = |completion: &str, truths: &[&str]| {
            let alternatives: Vec<String> = truths.iter().skip(1).map(|t| t.to_string()).collect();
            let answer = Answer {
                completion,
                ground_truth: truths.first().copied(),
                alternatives: &alternatives,
                prompt: "",
                finished: true,
                n_tokens: 1,
                meta: &Map::new(),
                ..Answer::default()
            };
            // A neighbour with one right answer keeps its own verdict.
            let plain = Answer {
                ground_truth: Some("7"),
                alternatives: &[],
                ..answer
            };
            let both = set.judge(&[answer, plain]);
            assert_eq!(both[1], set.judge(&[plain])[0]);
            assert_eq!(both[0].parts.len(), 2);
            both[0].parts[0].1.score()
        };
        assert_eq!(judge("\\boxed{4}", &["4", "1/2"]), Some(1.0));
        assert_eq!(judge("\\boxed{0.5}", &["4", "1/2"]), Some(1.0));
        assert_eq!(judge("\\boxed{5}", &["4", "1/2"]), Some(0.0));
        assert_eq!(judge("\\boxed{4}", &["\\frac{1}{", "4"]), Some(1.0));
        // What cannot be read may have been the answer.
        assert_eq!(judge("\\boxed{5}", &["4", "\\frac{1}{"]), None);
        assert_eq!(judge("\\boxed{5}", &[]), None);
    }

    #[test]
    fn two_functions_of_one_name_need_labels() {
        let twice = "functions = [{ name = 'exact' }, { name = 'exact' }]";
        assert_eq!(set(twice).unwrap_err(), Error::Duplicate("exact".into()));
        let named = "functions = [{ name = 'exact' }, { name = 'exact', label = 'b' }]";
        assert_eq!(set(named).unwrap().names(), ["exact", "b"]);
        assert_eq!(set("functions = []").unwrap_err(), Error::Empty);
    }

    #[test]
    fn unknown_names_and_options_are_refused() {
        for (toml, word) in [
            ("functions = [{ name = 'acuracy' }]", "acuracy"),
            ("functions = [{ name = 'exact', wieght = 1.0 }]", "wieght"),
            ("functions = [{ weight = 1.0 }]", "name"),
            ("function = []", "function"),
        ] {
            let error = toml::from_str::<RewardConfig>(toml).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_config_survives_its_own_toml() {
        let config: RewardConfig = toml::from_str(TWO).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<RewardConfig>(&text).unwrap(), config);
    }

    #[test]
    fn every_default_is_accepted() {
        set("functions = [{ name = 'accuracy' }, { name = 'math' }, { name = 'exact' }, { name = 'choice' }, { name = 'iou' }, { name = 'format' }, { name = 'length' }]").unwrap();
    }
}
