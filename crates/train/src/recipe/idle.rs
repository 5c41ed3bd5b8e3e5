//! Options of parts that are switched off. One that its neighbour alone decides about is refused when the
//! recipe is read ([`refused`]); one that another table or a method decides about is said when a run begins
//! ([`notes`]), because `percept compare` runs one recipe under many methods.
//!
//! A recipe that spells out every option (as `percept config` prints it) is not meant: there the switch
//! stands beside the option, and the option has its default.

use percept_credit::LossAggMode;
use percept_credit::preference::Kind;
use percept_credit::weight::Stage;
use toml::{Table, Value};

use crate::{
    AlgorithmConfig, DpoConfig, EvalConfig, OptimConfig, PreferenceOptions, Recipe, RolloutConfig,
    Schedule, SftConfig,
};

/// An option, whether its part is on, and where that is decided.
struct Rule {
    option: String,
    on: bool,
    /// The switch, where it is an option too.
    switch: String,
    help: &'static str,
}

/// Refuses what is set in vain. `table` is what the recipe says, overrides included.
pub(crate) fn refused(table: &Table, recipe: &Recipe) -> Result<(), String> {
    let plain = plain_defaults();
    for rule in rules(recipe) {
        let Some(value) = at(table, &rule.option) else {
            continue;
        };
        let usual = at(&plain, &canonical(&rule.option));
        let spelled_out =
            at(table, &rule.switch).is_some() && usual.is_some_and(|usual| same(usual, value));
        // A weight or share of 0 is off too.
        if !rule.on && !spelled_out && number(value) != Some(0.0) {
            return Err(format!(
                "{} does nothing: {} is {}\n  help: {}, or leave {} out",
                rule.option,
                rule.switch,
                at(table, &rule.switch).map_or("not set".to_owned(), Value::to_string),
                rule.help,
                rule.option
            ));
        }
    }
    inside_methods(recipe)
}

fn rules(recipe: &Recipe) -> Vec<Rule> {
    let mut rules = Vec::new();
    for name in ["kl_coef", "kl_loss_coef", "kl_loss_type"] {
        rules.push(Rule {
            option: format!("algorithm.loss.{name}"),
            on: recipe.algorithm.loss.use_kl_loss,
            switch: "algorithm.loss.use_kl_loss".to_owned(),
            help: "set use_kl_loss = true",
        });
    }
    rules.push(Rule {
        option: "eval.quick_samples".to_owned(),
        on: recipe.eval.test_freq > 0,
        switch: "eval.test_freq".to_owned(),
        help: "set test_freq",
    });
    rules.push(Rule {
        option: "algorithm.overlong.penalty_factor".to_owned(),
        on: recipe
            .algorithm
            .overlong
            .as_ref()
            .is_none_or(|o| o.buffer_len > 0),
        switch: "algorithm.overlong.buffer_len".to_owned(),
        help: "set buffer_len",
    });
    for stage in recipe.stage_tables() {
        rules.push(Rule {
            option: format!("{}.steps", stage.name),
            on: stage.num_train_epochs.is_none(),
            switch: format!("{}.num_train_epochs", stage.name),
            help: "leave num_train_epochs out",
        });
        rules.push(Rule {
            option: format!("{}.optim.min_lr_ratio", stage.name),
            on: stage.optim.lr_scheduler_type != Schedule::Constant,
            switch: format!("{}.optim.lr_scheduler_type", stage.name),
            help: "choose \"linear\" or \"cosine\"",
        });
    }
    rules
}

/// Options of a method that another option of the same method switches off.
fn inside_methods(recipe: &Recipe) -> Result<(), String> {
    let vain = |option: &str, because: &str| Err(format!("{option} does nothing: {because}"));
    for weight in &recipe.algorithm.token_weight {
        if let Some(idle) = weight.idle_option() {
            let option = format!("token_weight {}: {}", weight.name(), idle.option);
            return vain(&option, idle.because);
        }
    }
    match recipe.algorithm.loss.expert.idle_option() {
        None => Ok(()),
        Some(idle) => vain(
            &format!("algorithm.loss.expert.{}", idle.option),
            idle.because,
        ),
    }
}

/// What a settled recipe sets in vain because of another table or of the method.
pub(crate) fn notes(recipe: &Recipe) -> Vec<String> {
    let algorithm = &recipe.algorithm;
    let plain = AlgorithmConfig::default();
    let mut notes = Vec::new();
    let mut note = |set: bool, option: &str, because: &str| {
        if set {
            notes.push(format!("{option} is set and does nothing: {because}"));
        }
    };
    preference(recipe, &mut note);
    if recipe.rl.is_none() {
        let (rollout, usual) = (&recipe.rollout, RolloutConfig::default());
        let sampling = rollout.num_generations != usual.num_generations
            || rollout.temperature != usual.temperature
            || rollout.top_p != usual.top_p
            || rollout.top_k != usual.top_k
            || rollout.min_p != usual.min_p
            || rollout.penalises();
        let none = "the recipe has no [rl] table";
        note(
            chosen(algorithm) != chosen(&settled(plain)),
            "[algorithm]",
            none,
        );
        note(
            sampling,
            "num_generations, temperature, top_p, top_k, min_p or a penalty of [rollout]",
            none,
        );
    } else {
        let needs = algorithm.credit().needs();
        note(
            algorithm.loss.expert != plain.loss.expert && algorithm.expert_filter().is_none(),
            "algorithm.loss.expert",
            "no filter puts experts into groups",
        );
        note(
            algorithm.image_ablation != plain.image_ablation
                && !needs.no_image
                && algorithm.expert_filter().is_none(),
            "algorithm.image_ablation",
            "no chosen method takes the image away",
        );
        note(
            algorithm.renormalize_weight
                && algorithm
                    .token_weight
                    .iter()
                    .all(|w| w.stage() == Stage::Update),
            "algorithm.renormalize_weight",
            "there is no token weight that is known before the update",
        );
        note(
            algorithm.loss.loss_scale_factor.is_some()
                && algorithm.loss.agg_mode() != LossAggMode::SeqMeanTokenSumNorm,
            "algorithm.loss.loss_scale_factor",
            "loss_agg_mode is not \"seq-mean-token-sum-norm\"",
        );
    }
    let held_out = recipe.data.digit_sum.is_some() || !recipe.data.val_files.is_empty();
    note(
        recipe.eval != EvalConfig::default() && !held_out,
        "[eval]",
        "data.val_files is empty, so nothing is evaluated",
    );
    let built_in = recipe.data.digit_sum.is_some();
    let files = recipe.data.image_dir.is_some() || !recipe.data.val_files.is_empty();
    note(
        built_in && files,
        "data.image_dir or data.val_files",
        "data.digit_sum makes its rows itself",
    );
    if recipe.rl.is_some() && recipe.rollout.penalises() {
        notes.push(
            "a penalty of [rollout] is set: it changes what is sampled and not what is trained, and the loss does not \
             correct for it"
                .to_owned(),
        );
    }
    notes
}

/// `[preference]` without `[dpo]`, and its options that the chosen loss does not read.
fn preference(recipe: &Recipe, note: &mut impl FnMut(bool, &str, &str)) {
    let (options, plain) = (&recipe.preference, PreferenceOptions::default());
    if recipe.dpo.is_none() {
        let none = "the recipe has no [dpo] table";
        return note(*options != plain, "[preference]", none);
    }
    let needs = options.loss.needs();
    let blind = [Kind::ChosenNoImage, Kind::RejectedNoImage];
    let asks = needs.kinds.values().any(|kind| kind.ref_log_prob);
    note(
        options.image_ablation != plain.image_ablation
            && !blind.iter().any(|kind| needs.kinds.contains_key(kind)),
        "preference.image_ablation",
        "the loss does not take the picture away",
    );
    note(
        options.reference_free && !asks,
        "preference.reference_free",
        "the loss asks no reference",
    );
}

/// The parts of an algorithm as text, to be compared.
fn chosen(algorithm: &AlgorithmConfig) -> String {
    toml::to_string(algorithm).unwrap_or_default()
}

fn settled(mut algorithm: AlgorithmConfig) -> AlgorithmConfig {
    let weights = &mut algorithm.token_weight;
    // The default parts contradict nobody.
    let _ = algorithm.loss.settle(&algorithm.advantage, weights);
    algorithm
}

/// Defaults of the options that rules are about, by path.
fn plain_defaults() -> Table {
    let mut all = Table::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            all.insert(name.to_owned(), value);
        }
    };
    put(
        "algorithm",
        Value::try_from(AlgorithmConfig::default()).ok(),
    );
    put("eval", Value::try_from(EvalConfig::default()).ok());
    put("optim", Value::try_from(OptimConfig::default()).ok());
    put("sft", Value::try_from(SftConfig::default()).ok());
    put("dpo", Value::try_from(DpoConfig::default()).ok());
    all
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|n| n as f64))
}

fn same(a: &Value, b: &Value) -> bool {
    a == b || number(a).is_some_and(|a| Some(a) == number(b))
}

/// Where [`plain_defaults`] has an option: by the name that a printed recipe has, of whatever stage.
fn canonical(option: &str) -> String {
    match option.find("optim.") {
        Some(start) => option[start..].to_owned(),
        None => option.replace("kl_loss_coef", "kl_coef"),
    }
}

fn at<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let (parents, last) = path.rsplit_once('.')?;
    let mut here = table;
    for key in parents.split('.') {
        here = here.get(key)?.as_table()?;
    }
    here.get(last)
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn recipe(rest: &str) -> String {
        format!(
            "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a.jsonl\"]\n[rl]\nsteps = 1\n{rest}"
        )
    }

    // C12
    #[test]
    fn an_option_of_a_part_that_is_switched_off_is_refused_with_its_switch() {
        for (rest, option, switch) in [
            (
                "[algorithm.loss]\nkl_coef = 0.04\n",
                "kl_coef",
                "use_kl_loss",
            ),
            (
                "[algorithm.loss]\nkl_coef = 0.001\n",
                "kl_coef",
                "use_kl_loss",
            ),
            (
                "[algorithm.loss]\nkl_loss_coef = 0.04\n",
                "kl_loss_coef",
                "use_kl_loss",
            ),
            (
                "[algorithm.loss]\nuse_kl_loss = false\nkl_coef = 0.04\n",
                "kl_coef",
                "false",
            ),
            (
                "[algorithm.loss]\nkl_loss_type = \"full\"\n",
                "kl_loss_type",
                "use_kl_loss",
            ),
            ("[eval]\nquick_samples = 8\n", "quick_samples", "test_freq"),
            (
                "[rl.optim]\nmin_lr_ratio = 0.1\n",
                "min_lr_ratio",
                "lr_scheduler_type",
            ),
            (
                "[algorithm.overlong]\npenalty_factor = 2.0\n",
                "penalty_factor",
                "buffer_len",
            ),
            (
                "[[algorithm.token_weight]]\nname = \"direction\"\nppl_clamp = [0.8, 1.2]\n",
                "ppl_clamp",
                "ppl",
            ),
            (
                "[algorithm.loss.expert]\nshaping = \"log_prob\"\nc = 0.3\n",
                "expert.c",
                "log_prob",
            ),
        ] {
            let error = parse(&recipe(rest), "recipe.toml", &[])
                .unwrap_err()
                .to_string();
            for word in [option, switch, "does nothing"] {
                assert!(error.contains(word), "{rest}: {error}");
            }
        }
        let set = ["algorithm.loss.kl_coef=0.1".to_owned()];
        assert!(parse(&recipe(""), "recipe.toml", &set).is_err());
    }

    #[test]
    fn what_is_on_and_what_is_spelled_out_is_read() {
        for rest in [
            "[algorithm.loss]\nuse_kl_loss = true\nkl_coef = 0.04\n",
            "[algorithm.loss]\nuse_kl_loss = false\nkl_coef = 0.001\n",
            "[algorithm.loss]\nkl_coef = 0\n",
            "[eval]\ntest_freq = 2\nquick_samples = 8\n",
            "[rl.optim]\nmin_lr_ratio = 0.1\nlr_scheduler_type = \"cosine\"\n",
        ] {
            let read = parse(&recipe(rest), "recipe.toml", &[]).unwrap();
            // What a run keeps of itself is a recipe too.
            let printed = read.to_toml().unwrap();
            parse(&printed, "printed", &[]).unwrap();
        }
    }

    #[test]
    fn what_another_table_switches_off_is_said() {
        let said = |text: &str| {
            let read = parse(text, "recipe.toml", &[]).unwrap();
            super::notes(&read.settled().unwrap()).join("\n")
        };
        assert_eq!(said(&recipe("")), "");
        for (rest, word) in [
            (
                "[algorithm]\nimage_ablation = \"noise\"\n",
                "image_ablation",
            ),
            (
                "[algorithm]\nrenormalize_weight = true\n",
                "renormalize_weight",
            ),
            ("[algorithm.loss.expert]\nc = 0.3\n", "loss.expert"),
            (
                "[algorithm.loss]\nloss_scale_factor = 9.0\n",
                "loss_scale_factor",
            ),
            ("[eval]\ntest_freq = 3\n", "[eval]"),
        ] {
            assert!(
                said(&recipe(rest)).contains(word),
                "{rest}: {}",
                said(&recipe(rest))
            );
        }
        let dpo = |rest: &str| said(&recipe(rest).replace("[rl]", "[dpo]"));
        for (rest, word) in [
            (
                "[preference]\nimage_ablation = \"noise\"\n",
                "image_ablation",
            ),
            (
                "[preference]\nloss = \"simpo\"\nreference_free = true\n",
                "reference_free",
            ),
        ] {
            assert!(dpo(rest).contains(word), "{rest}: {}", dpo(rest));
        }
        assert!(said(&recipe("[preference]\nloss = \"ipo\"\n")).contains("[preference]"));
        let sft = recipe("[algorithm]\nadvantage = \"rloo\"\n[rollout]\ntemperature = 0.7\n")
            .replace("[rl]", "[sft]");
        let said = said(&sft);
        assert!(
            said.contains("[algorithm]") && said.contains("temperature"),
            "{said}"
        );
    }
}
