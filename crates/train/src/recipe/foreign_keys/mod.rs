//! What keys of verl, EasyR1, TRL, ms-swift and LLaMA-Factory are called in a recipe: one table, which the page
//! docs/recipes.md shows and an error about an unknown key quotes.

use crate::Recipe;

mod table;
use table::{FOREIGN, Foreign};

/// Keys that are explained at once; more are counted.
const MOST: usize = 6;

/// Help with an error of serde about `table`: what an unknown key is called here.
pub(crate) fn help(message: &str, table: &toml::Table) -> Option<String> {
    if message.contains("expected struct ModelSource") {
        return Some("  help: the model is a table: [model] path = \"FOLDER\"".into());
    }
    let unknown = message
        .split_once("unknown field `")
        .and_then(|(_, rest)| rest.split_once('`'))?
        .0;
    let known = Recipe::keys();
    let mut leaves = Vec::new();
    collect(table, "", &mut leaves);
    leaves.retain(|path| {
        let mut parts = path.split('.');
        parts.any(|part| part == unknown) && !known.contains(path)
    });
    if leaves.is_empty() {
        leaves.push(unknown.to_owned());
    }
    let lines: Vec<String> = leaves
        .iter()
        .filter_map(|path| explain(path, &known))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let more = lines.len().saturating_sub(MOST);
    let mut text = format!(
        "  help: {}",
        lines[..lines.len().min(MOST)].join("\n        ")
    );
    if more > 0 {
        text.push_str(&format!(
            "\n        and {more} more: docs/recipes.md has the whole table"
        ));
    }
    Some(text)
}

/// Dotted paths of all values.
fn collect(table: &toml::Table, path: &str, found: &mut Vec<String>) {
    for (key, value) in table {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => collect(inner, &path, found),
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                for inner in items.iter().filter_map(toml::Value::as_table) {
                    collect(inner, &path, found);
                }
            }
            _ if found.contains(&path) => {}
            _ => found.push(path),
        }
    }
}

fn explain(path: &str, known: &[String]) -> Option<String> {
    if let Some(foreign) = lookup(path) {
        return Some(foreign.sentence(path, &foreign.here_in(path, known)));
    }
    let last = path.rsplit('.').next().unwrap_or(path);
    let is_last = |key: &&String| key.rsplit('.').next() == Some(last);
    let elsewhere: Vec<&str> = known
        .iter()
        .filter(is_last)
        .take(3)
        .map(String::as_str)
        .collect();
    if !elsewhere.is_empty() {
        return Some(format!("{path}: did you mean {}?", elsewhere.join(" or ")));
    }
    nearest(path, known).map(|key| format!("{path}: did you mean {key}?"))
}

impl Foreign {
    /// The keys here; those of `[rl]` are another stage's where `path` stands in its table.
    fn here_in(&self, path: &str, known: &[String]) -> String {
        let stage = path
            .split('.')
            .next()
            .filter(|&table| ["sft", "dpo"].contains(&table));
        let own = |key: &str| {
            let own = format!("{}.{}", stage?, key.strip_prefix("rl.")?);
            known.contains(&own).then_some(own)
        };
        let keys = self
            .here
            .split(", ")
            .map(|key| own(key).unwrap_or_else(|| key.to_owned()));
        keys.collect::<Vec<_>>().join(", ")
    }

    fn sentence(&self, path: &str, here: &str) -> String {
        let note = match (here, self.note) {
            ("", note) => return format!("{path} ({}) is not needed: {note}", self.of),
            (_, "") => String::new(),
            (_, note) => format!(" ({note})"),
        };
        format!("{path} ({}): did you mean {here}?{note}", self.of)
    }
}

/// The entry whose key is the whole path, or else its end: `rl.learning_rate` is `learning_rate`.
fn lookup(path: &str) -> Option<&'static Foreign> {
    let whole = FOREIGN.iter().find(|foreign| foreign.key == path);
    let tail = |foreign: &&Foreign| {
        let rest = path.strip_suffix(foreign.key);
        rest.is_some_and(|rest| rest.ends_with('.'))
    };
    let head = |foreign: &&Foreign| {
        let rest = foreign.key.strip_suffix(path);
        rest.is_some_and(|rest| rest.ends_with('.'))
    };
    whole
        .or_else(|| FOREIGN.iter().filter(tail).max_by_key(|f| f.key.len()))
        .or_else(|| FOREIGN.iter().find(head))
}

/// The known key whose last part differs by a slip of the hand, if there is one.
fn nearest<'a>(path: &str, known: &'a [String]) -> Option<&'a str> {
    let (table, last) = path.rsplit_once('.').unwrap_or(("", path));
    let allowed = 1 + last.len() / 6;
    known
        .iter()
        .map(|key| {
            let (place, name) = key.rsplit_once('.').unwrap_or(("", key));
            (distance(last, name), place != table, key.as_str())
        })
        .filter(|(distance, elsewhere, _)| *distance <= allowed && (!elsewhere || *distance <= 1))
        .min()
        .map(|(_, _, key)| key)
}

/// Insertions, deletions and substitutions from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(recipe: &str) -> String {
        let start = "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a\"]\n";
        let text = match recipe.starts_with('[') {
            true => format!("{start}{recipe}"),
            false => format!("{recipe}\n{start}"),
        };
        crate::parse(&text, "recipe.toml", &[])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn keys_of_other_frameworks_are_named_as_here() {
        let cases = [
            ("[rl]\nlearning_rate = 1e-6", "rl.optim.lr"),
            ("per_device_train_batch_size = 8", "rl.train_batch_size"),
            ("num_train_epochs = 3", "rl.steps"),
            ("[rl]\nnum_train_epochs = 3", "rl.steps"),
            (
                "[actor_rollout_ref.rollout]\nn = 8",
                "rollout.num_generations",
            ),
            ("[rollout]\nn = 8", "rollout.num_generations"),
            (
                "[algorithm]\nadv_estimator = \"grpo\"",
                "algorithm.advantage",
            ),
            ("[algorithm]\nkl_coef = 0.01", "algorithm.loss.kl_coef"),
            ("kl_coef = 0.01", "algorithm.loss.kl_coef"),
            ("[rl]\nnum_generations = 8", "rollout.num_generations"),
            ("[worker.actor.optim]\nlr = 1e-6", "rl.optim.lr"),
            ("beta = 0.04", "algorithm.loss.kl_coef"),
            ("[rollout]\ntemprature = 0.5", "rollout.temperature"),
            ("[trainer]\nsave_steps = 10", "trainer.save_freq"),
            ("lora_rank = 8", "model.lora.r"),
            ("[dpo]\nbeta = 0.1", "preference.loss.beta"),
            ("[preference]\nbeta = 0.1", "preference.loss.beta"),
            ("[dpo]\nlearning_rate = 5e-7", "dpo.optim.lr"),
            ("[dpo]\nmax_steps = 9", "dpo.steps"),
            ("[dpo]\nrpo_alpha = 1.0", "preference.loss.rpo_alpha"),
            ("pref_beta = 0.1", "preference.loss.beta"),
        ];
        for (recipe, expected) in cases {
            let message = error(recipe);
            let said = format!("did you mean {expected}");
            assert!(message.contains(&said), "{recipe}: {message}");
            assert!(message.contains("recipe.toml:"), "{recipe}: {message}");
        }
    }

    #[test]
    fn an_override_is_helped_too() {
        let recipe = "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a\"]\n[sft]\n";
        let set = ["algorithm.adv_estimator=grpo".to_owned()];
        let message = crate::parse(recipe, "r", &set).unwrap_err().to_string();
        assert!(message.contains("algorithm.advantage"), "{message}");
    }

    #[test]
    fn every_entry_leads_to_a_key_that_exists_and_is_none_itself() {
        let known = Recipe::keys();
        for foreign in FOREIGN {
            for here in foreign.here.split(", ").filter(|here| !here.is_empty()) {
                assert!(known.iter().any(|k| k == here), "{}: {here}", foreign.key);
            }
            assert!(
                !known.iter().any(|k| k == foreign.key),
                "{} is a key here too",
                foreign.key
            );
            let says = !foreign.here.is_empty() || !foreign.note.is_empty();
            assert!(says, "{}", foreign.key);
        }
    }

    /// The page holds the table of this file. `PERCEPT_UPDATE=1` writes it.
    #[test]
    fn the_page_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (start, end) = ("<!-- keys -->\n", "<!-- end of keys -->");
        let (before, rest) = page.split_once(start).unwrap();
        let (shown, after) = rest.split_once(end).unwrap();
        let made = table::markdown();
        if std::env::var_os("PERCEPT_UPDATE").is_some() {
            std::fs::write(path, format!("{before}{start}{made}{end}{after}")).unwrap();
            return;
        }
        assert!(
            shown == made,
            "docs/recipes.md: run this test with PERCEPT_UPDATE=1"
        );
    }
}
