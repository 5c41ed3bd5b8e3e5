//! What a recipe's types cannot say: ranges of numbers, and tables that contradict each other.

use percept_kernels::sparse::AttentionConfig;

use crate::recipe::{pairs, sizes, supervised};
use crate::stages::rl::{filter, requirements};
use crate::{Error, ModelSource, OptimConfig, Recipe};

/// Where a number may lie. NaN and infinity lie nowhere.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// x ≥ 0.
    NotNegative,
    /// x > 0.
    Positive,
    /// x ≥ 1.
    AtLeastOne,
    /// 0 ≤ x < 1.
    BelowOne,
    /// 0 < x ≤ 1.
    Share,
    /// 0 ≤ x ≤ 1.
    UpToOne,
    /// −2 ≤ x ≤ 2.
    UpToTwo,
}

impl Range {
    fn holds(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Self::NotNegative => x >= 0.0,
                Self::Positive => x > 0.0,
                Self::AtLeastOne => x >= 1.0,
                Self::BelowOne => (0.0..1.0).contains(&x),
                Self::Share => x > 0.0 && x <= 1.0,
                Self::UpToOne => (0.0..=1.0).contains(&x),
                Self::UpToTwo => (-2.0..=2.0).contains(&x),
            }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::NotNegative => "0 or more",
            Self::Positive => "more than 0",
            Self::AtLeastOne => "at least 1",
            Self::BelowOne => "0 or more, less than 1",
            Self::Share => "more than 0, at most 1",
            Self::UpToOne => "0 to 1",
            Self::UpToTwo => "-2 to 2",
        }
    }
}

type Limit = (String, f64, Range);

/// Every number of the recipe that has a range and is used.
fn limits(recipe: &Recipe) -> Vec<Limit> {
    use Range::{AtLeastOne, NotNegative, Positive, Share, UpToOne, UpToTwo};
    let mut all: Vec<Limit> = Vec::new();
    let mut add = |table: &str, fields: &[(&str, f64, Range)]| {
        all.extend(
            fields
                .iter()
                .map(|&(name, x, range)| (format!("{table}.{name}"), x, range)),
        );
    };
    let count = |n: usize| n as f64;
    add(
        "data",
        &[(
            "max_prompt_length",
            count(recipe.data.max_prompt_length),
            AtLeastOne,
        )],
    );
    for (name, pixels) in [
        ("min_pixels", recipe.data.min_pixels),
        ("max_pixels", recipe.data.max_pixels),
    ] {
        if let Some(pixels) = pixels {
            add("data", &[(name, count(pixels), AtLeastOne)]);
        }
    }
    if let Some(tiny) = &recipe.model.tiny {
        add(
            "model.tiny",
            &[("initializer_range", tiny.initializer_range, Positive)],
        );
    }
    if let Some(annealing) = &recipe.model.top_k_annealing {
        add(
            "model.top_k_annealing",
            &[("share", annealing.share, Share)],
        );
    }
    for stage in recipe.stage_tables() {
        add(
            stage.name,
            &[
                (
                    "train_batch_size",
                    count(stage.train_batch_size),
                    AtLeastOne,
                ),
                (
                    "ppo_max_token_len",
                    count(stage.ppo_max_token_len),
                    AtLeastOne,
                ),
            ],
        );
        if let Some(epochs) = stage.num_train_epochs {
            add(stage.name, &[("num_train_epochs", epochs, Positive)]);
        }
        add(&format!("{}.optim", stage.name), &optim(stage.optim));
    }
    if let Some(rl) = &recipe.rl {
        add(
            "rl",
            &[
                (
                    "ppo_mini_batch_size",
                    count(rl.mini_batch_size()),
                    AtLeastOne,
                ),
                ("ppo_epochs", count(rl.ppo_epochs), AtLeastOne),
            ],
        );
    }
    let rollout = &recipe.rollout;
    add(
        "rollout",
        &[
            (
                "max_completion_length",
                count(rollout.max_completion_length),
                AtLeastOne,
            ),
            // Greedy responses are all the same: no group has an advantage.
            ("temperature", f64::from(rollout.temperature), Positive),
            ("top_p", f64::from(rollout.top_p), Share),
            ("min_p", f64::from(rollout.min_p), UpToOne),
            (
                "repetition_penalty",
                f64::from(rollout.repetition_penalty),
                Positive,
            ),
            (
                "presence_penalty",
                f64::from(rollout.presence_penalty),
                UpToTwo,
            ),
            (
                "frequency_penalty",
                f64::from(rollout.frequency_penalty),
                UpToTwo,
            ),
            ("max_num_seqs", count(rollout.max_num_seqs), AtLeastOne),
        ],
    );
    add(
        "eval",
        &[(
            "temperature",
            f64::from(recipe.eval.temperature),
            NotNegative,
        )],
    );
    all
}

fn optim(optim: &OptimConfig) -> [(&'static str, f64, Range); 7] {
    use Range::{BelowOne, NotNegative, Positive, UpToOne};
    [
        ("lr", optim.lr, NotNegative),
        ("beta1", optim.beta1, BelowOne),
        ("beta2", optim.beta2, BelowOne),
        ("eps", optim.eps, Positive),
        ("weight_decay", optim.weight_decay, NotNegative),
        ("clip_grad", optim.clip_grad, NotNegative),
        ("min_lr_ratio", optim.min_lr_ratio, UpToOne),
    ]
}

/// The run's folder lies in `output_dir`.
fn run_name(name: &str) -> Result<(), String> {
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
    let path = std::path::Path::new(name);
    if !name.is_empty() && path.components().all(plain) {
        return Ok(());
    }
    Err(format!(
        "trainer.experiment_name is {name:?}; expected the name of a folder inside trainer.output_dir"
    ))
}

/// Annealing ends at a number of blocks that the recipe gives.
fn annealing(model: &ModelSource) -> Result<(), String> {
    let Some(annealing) = &model.top_k_annealing else {
        return Ok(());
    };
    let Some(top_k) = model.attention.as_ref().and_then(AttentionConfig::top_k) else {
        return Err(
            "model.top_k_annealing ends at model.attention.top_k; expected an attention that \
             chooses blocks, for example model.attention = { name = \"phsa\", top_k = 2 }"
                .to_owned(),
        );
    };
    match annealing.start >= top_k {
        true => Ok(()),
        false => Err(format!(
            "model.top_k_annealing.start is {}; expected at least model.attention.top_k = {top_k}",
            annealing.start
        )),
    }
}

/// What the types cannot say.
pub(crate) fn check(recipe: &Recipe, name: &str) -> Result<(), Error> {
    let problem = |message: &str| {
        Err(Error::Recipe {
            at: name.to_owned(),
            message: message.to_owned(),
        })
    };
    if recipe.model.path.is_some() == recipe.model.tiny.is_some() {
        return problem(
            "model: give exactly one of `path` (a Hugging Face folder) and `[model.tiny]`",
        );
    }
    if let Err(message) = annealing(&recipe.model) {
        return problem(&message);
    }
    if recipe.trainer.bf16 && recipe.trainer.device != "cpu" {
        return problem(
            "trainer.bf16 = true works on the CPU only; set trainer.bf16 = false, or trainer.device = \"cpu\"",
        );
    }
    if recipe.data.digit_sum.is_some() != recipe.data.train_files.is_empty() {
        return problem("data: give either `train_files` or `[data.digit_sum]`");
    }
    if recipe.stage_tables().is_empty() {
        return problem("nothing to do: add an `[sft]`, a `[dpo]` or an `[rl]` table, or several");
    }
    for (field, found, range) in limits(recipe) {
        if !range.holds(found) {
            let expected = range.expected();
            return problem(&format!("{field} is {found}; expected {expected}"));
        }
    }
    sizes::check(recipe).or_else(|message| problem(&message))?;
    run_name(&recipe.trainer.experiment_name).or_else(|message| problem(&message))?;
    if let Some(sft) = &recipe.sft {
        let built_in = recipe.data.digit_sum.is_some();
        supervised::check(sft, built_in).or_else(|message| problem(&message))?;
    }
    pairs::check(recipe).or_else(|message| problem(&message))?;
    let Some(rl) = &recipe.rl else { return Ok(()) };
    if rl.mini_batch_size() > rl.train_batch_size {
        return problem(&format!(
            "rl.ppo_mini_batch_size is {}, larger than rl.train_batch_size ({}): lower it, or leave it out",
            rl.mini_batch_size(),
            rl.train_batch_size
        ));
    }
    if recipe.rollout.num_generations < 2 {
        return problem(
            "rollout.num_generations is below 2: a group of one response has no advantage to learn from",
        );
    }
    let settled = recipe.settled().map_err(|error| match error {
        Error::Recipe { message, .. } => Error::Recipe {
            at: name.to_owned(),
            message,
        },
        other => other,
    })?;
    let algorithm = &settled.algorithm;
    let overlong = algorithm.overlong.as_ref();
    let longest = recipe.rollout.max_completion_length;
    let options = algorithm
        .credit()
        .check()
        .and(algorithm.loss.check())
        .and(
            algorithm
                .filter
                .iter()
                .try_for_each(|filter| filter.check()),
        )
        .and(overlong.map_or(Ok(()), |overlong| overlong.check(longest)));
    if let Err(error) = options {
        return problem(&format!("algorithm: {error}"));
    }
    let metric = algorithm
        .group_filter()
        .map_or(Ok(()), |found| filter::check(found, &recipe.reward));
    if let Err(message) = metric.and_then(|()| requirements::combination(recipe)) {
        return problem(&format!("algorithm: {message}"));
    }
    if recipe.reward.functions.is_empty() {
        return problem(
            "reward.functions is empty: `[rl]` needs at least one, for example [[reward.functions]] name = \"math\"",
        );
    }
    Ok(())
}
