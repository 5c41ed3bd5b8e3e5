//! Rows that are judged together stand in one step: which rows those are.

use percept_data::Dataset;
use percept_reward::{RewardSet, rows_that_share};
use serde_json::{Map, Value};

use crate::{Error, RlConfig};

/// Problems that are named at once.
const NAMED: usize = 5;

/// The rows of a data set in bundles: a bundle is drawn whole.
#[derive(Debug)]
pub(crate) struct Bundles {
    bundles: Vec<Vec<usize>>,
}

/// Rows that cannot be judged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The first of them.
    pub id: String,
    /// What is missing.
    pub message: String,
}

impl Bundles {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.bundles.len()
    }

    /// The rows of a bundle, in their order.
    pub(crate) fn rows(&self, bundle: usize) -> &[usize] {
        &self.bundles[bundle]
    }

    /// Of a run's rows; none where its reward functions judge every row by itself.
    ///
    /// # Errors
    /// [`Error::Recipe`] naming rows whose partners are missing, or a batch size that cuts bundles.
    pub(crate) fn of_run(
        data: &dyn Dataset,
        rewards: &RewardSet,
        rl: &RlConfig,
    ) -> Result<Option<Self>, Error> {
        let Some(column) = rewards.group_by() else {
            return Ok(None);
        };
        let (found, wrong) = read(data, rewards, column);
        let refused = |message: String| Error::Recipe {
            at: data.name().to_owned(),
            message,
        };
        if !wrong.is_empty() {
            let mut message = format!(
                "{} of {} groups of rows that share `{column}` cannot be judged together",
                wrong.len(),
                found.len()
            );
            for one in wrong.iter().take(NAMED) {
                message.push_str(&format!("\n  {}: {}", one.id, one.message));
            }
            message.push_str(
                "\n  help: `percept data check` lists all of them; complete these rows or take them out",
            );
            return Err(refused(message));
        }
        let longest = found.bundles.iter().map(Vec::len).max().unwrap_or(1);
        let even = found.bundles.iter().all(|rows| rows.len() == longest);
        let batch = rl.train_batch_size;
        if longest > batch || even && !batch.is_multiple_of(longest) {
            return Err(refused(format!(
                "{longest} rows share a value of `{column}` and belong in one step, but rl.train_batch_size is {batch}\n  \
                 help: set it to a multiple of {longest}"
            )));
        }
        Ok(Some(found))
    }
}

/// Bundles of rows that share a column, and those that lack a row. A row that cannot be read is in none.
fn read(data: &dyn Dataset, rewards: &RewardSet, column: &str) -> (Bundles, Vec<Incomplete>) {
    // Media are not decoded here; a row is a line of a file.
    let rows = (0..data.len()).filter_map(|row| {
        let sample = data.get(row).ok()?;
        Some((row, sample.id, sample.meta))
    });
    let rows: Vec<(usize, String, Map<String, Value>)> = rows.collect();
    let mut wrong = Vec::new();
    let places = rows_that_share(column, rows.iter().map(|(_, _, meta)| meta));
    let bundles = places.into_iter().map(|places| {
        let own: Vec<&Map<String, Value>> = places.iter().map(|&place| &rows[place].2).collect();
        if let Err(message) = rewards.check_rows(&own) {
            let id = rows[places[0]].1.clone();
            wrong.push(Incomplete { id, message });
        }
        places.into_iter().map(|place| rows[place].0).collect()
    });
    let bundles = bundles.collect();
    (Bundles { bundles }, wrong)
}

/// The rows that reward functions judge together and that lack a partner.
pub fn incomplete_groups(data: &dyn Dataset, rewards: &RewardSet) -> Vec<Incomplete> {
    match rewards.group_by() {
        None => Vec::new(),
        Some(column) => read(data, rewards, column).1,
    }
}

#[cfg(test)]
mod tests {
    use percept_data::{Message, Role, Sample};
    use percept_reward::RewardConfig;
    use serde_json::json;

    use super::*;

    struct Rows(Vec<(&'static str, &'static str)>);

    impl Dataset for Rows {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn name(&self) -> &str {
            "frames.jsonl"
        }

        fn get(&self, i: usize) -> Result<Sample, percept_data::Error> {
            let (pair, side) = self.0[i];
            let turn = Message::text(Role::User, "What is wrong?");
            let meta = json!({"pair_id": pair, "side": side, "preference": "A"});
            Ok(Sample {
                meta: meta.as_object().cloned().unwrap_or_default(),
                ..Sample::new(format!("frames.jsonl:{}", i + 1), vec![turn])
            })
        }
    }

    fn rewards(functions: serde_json::Value) -> RewardSet {
        let config: RewardConfig =
            serde_json::from_value(json!({ "functions": functions })).unwrap();
        RewardSet::build(&config).unwrap()
    }

    fn rl(train_batch_size: usize) -> RlConfig {
        RlConfig {
            train_batch_size,
            ..RlConfig::default()
        }
    }

    #[test]
    fn rows_of_a_pair_are_a_bundle_wherever_they_stand() {
        let rows = Rows(vec![("p", "A"), ("q", "B"), ("p", "B"), ("q", "A")]);
        let react = rewards(json!([{"name": "react_preference"}]));
        let found = Bundles::of_run(&rows, &react, &rl(4)).unwrap().unwrap();
        assert_eq!(found.bundles, [vec![0, 2], vec![1, 3]]);
        let alone = rewards(json!([{"name": "length"}]));
        assert!(Bundles::of_run(&rows, &alone, &rl(4)).unwrap().is_none());
    }

    #[test]
    fn a_row_without_its_partner_and_a_batch_that_cuts_pairs_are_refused_by_name() {
        let react = rewards(json!([{"name": "react_preference"}]));
        let error = |rows: Rows, batch| {
            let found = Bundles::of_run(&rows, &react, &rl(batch));
            found.unwrap_err().to_string()
        };
        let missing = error(Rows(vec![("p", "A"), ("q", "A"), ("p", "B")]), 2);
        for word in ["frames.jsonl:2", "pair_id q has 1 row", "1 of 2 groups"] {
            assert!(missing.contains(word), "{missing}");
        }
        let odd = error(Rows(vec![("p", "A"), ("p", "B")]), 3);
        assert!(odd.contains("rl.train_batch_size is 3"), "{odd}");
        assert!(odd.contains("a multiple of 2"), "{odd}");
    }
}
