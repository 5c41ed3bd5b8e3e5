//! Which layers an adapter is on: PEFT's rules for names, regular expressions, layer numbers and what is left out
//! (`check_target_module_exists` and `get_pattern_key` of PEFT 0.18).

use fancy_regex::Regex;

use crate::{Error, Layers, LoraConfig, Patterns, TargetModules};

/// Ends of paths, or what the whole path must look like.
enum Target {
    All,
    Whole(Regex),
    Ends(Vec<String>),
}

impl Target {
    fn new(field: &'static str, target: &TargetModules) -> Result<Self, Error> {
        match target {
            TargetModules::One(all) if all == "all-linear" => Ok(Target::All),
            // As `re.fullmatch`.
            TargetModules::One(text) => Ok(Target::Whole(regex(field, text, r"\A(?:", r")\z")?)),
            TargetModules::Many(names) => Ok(Target::Ends(names.clone())),
        }
    }

    fn holds(&self, field: &'static str, module: &str) -> Result<bool, Error> {
        match self {
            Target::All => Ok(true),
            Target::Whole(regex) => is_match(field, regex, module),
            Target::Ends(names) => Ok(names.iter().any(|name| ends_with(name, module))),
        }
    }
}

/// The rules of one adapter.
pub struct Rules {
    target: Target,
    exclude: Option<Target>,
    /// Layer numbers, and where a path has its number.
    layers: Option<(Vec<usize>, Vec<Regex>)>,
    saved: Vec<Regex>,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
}

impl Rules {
    /// The rules that a configuration says.
    ///
    /// # Errors
    /// [`Error::Lora`] for what is no regular expression, and for options that exclude each other.
    pub fn new(config: &LoraConfig) -> Result<Self, Error> {
        let exclude = config.exclude_modules.as_ref();
        let saved = config.modules_to_save.iter();
        Ok(Self {
            target: Target::new("target_modules", &config.target_modules)?,
            exclude: exclude
                .map(|exclude| Target::new("exclude_modules", exclude))
                .transpose()?,
            layers: layers(config)?,
            saved: saved
                .map(|name| regex("modules_to_save", name, r"\A(?:^|.*\.)(?:", r")(?:\z|\..*)"))
                .collect::<Result<_, _>>()?,
            ranks: patterns("rank_pattern", &config.rank_pattern)?,
            alphas: patterns("alpha_pattern", &config.alpha_pattern)?,
        })
    }

    /// Whether the layer of this path has an adapter.
    ///
    /// # Errors
    /// A regular expression that does not come to an end.
    pub fn select(&self, module: &str) -> Result<bool, Error> {
        if let Some(exclude) = &self.exclude
            && exclude.holds("exclude_modules", module)?
        {
            return Ok(false);
        }
        for saved in &self.saved {
            if is_match("modules_to_save", saved, module)? {
                return Ok(false);
            }
        }
        if !self.target.holds("target_modules", module)? {
            return Ok(false);
        }
        // A list that holds the whole path means this layer, whatever its number.
        if let Target::Ends(names) = &self.target
            && names.iter().any(|name| name == module)
        {
            return Ok(true);
        }
        let Some((numbers, places)) = &self.layers else {
            return Ok(true);
        };
        for place in places {
            let found = place
                .captures(module)
                .map_err(|e| broken("layers_pattern", e))?;
            let number = found.and_then(|found| found.get(1)?.as_str().parse().ok());
            if let Some(number) = number {
                return Ok(numbers.contains(&number));
            }
        }
        Ok(false)
    }

    /// Rank and alpha of the layer that has one of these paths.
    ///
    /// # Errors
    /// As [`Rules::select`].
    pub fn of(&self, config: &LoraConfig, names: &[String]) -> Result<(usize, f64), Error> {
        Ok((
            first("rank_pattern", &self.ranks, names)?.unwrap_or(config.r),
            first("alpha_pattern", &self.alphas, names)?.unwrap_or(config.lora_alpha),
        ))
    }
}

fn first<T: Copy>(
    field: &'static str,
    patterns: &[(Regex, T)],
    names: &[String],
) -> Result<Option<T>, Error> {
    for name in names {
        for (regex, value) in patterns {
            if is_match(field, regex, name)? {
                return Ok(Some(*value));
            }
        }
    }
    Ok(None)
}

fn patterns<T: Copy>(
    field: &'static str,
    patterns: &Patterns<T>,
) -> Result<Vec<(Regex, T)>, Error> {
    let one = |(pattern, value): &(String, T)| {
        Ok((regex(field, pattern, r"\A(?:.*\.)?(?:", r")\z")?, *value))
    };
    patterns.0.iter().map(one).collect()
}

/// Numbers of layers, and the patterns that place them.
type Numbered = (Vec<usize>, Vec<Regex>);

fn layers(config: &LoraConfig) -> Result<Option<Numbered>, Error> {
    let numbers = config.layers_to_transform.as_ref().map(Layers::numbers);
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return match &config.layers_pattern {
            Some(_) => Err(lora_error(
                "layers_pattern",
                "given without layers_to_transform, whose numbers it places".into(),
            )),
            None => Ok(None),
        };
    };
    if matches!(config.target_modules, TargetModules::One(_)) {
        let message = "needs target_modules as a list of names (as in PEFT)\n  help: write the layers into the \
                       regular expression, or list the names";
        return Err(lora_error("layers_to_transform", message.into()));
    }
    let places = match &config.layers_pattern {
        None => vec![regex("layers_pattern", r"[^.]*", r"\A.*\.", r"\.(\d+)\.")?],
        Some(TargetModules::One(one)) => {
            vec![regex("layers_pattern", one, r"\A.*\.(?:", r")\.(\d+)\.")?]
        }
        Some(TargetModules::Many(many)) => many
            .iter()
            .map(|one| regex("layers_pattern", one, r"\A.*\.(?:", r")\.(\d+)\."))
            .collect::<Result<_, _>>()?,
    };
    Ok(Some((numbers.to_vec(), places)))
}

/// Whether a path ends with a name.
pub fn ends_with(name: &str, module: &str) -> bool {
    module
        .strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn regex(field: &'static str, text: &str, before: &str, after: &str) -> Result<Regex, Error> {
    Regex::new(&format!("{before}{text}{after}"))
        .map_err(|e| lora_error(field, format!("{text:?} is not a regular expression: {e}")))
}

fn is_match(field: &'static str, regex: &Regex, module: &str) -> Result<bool, Error> {
    regex.is_match(module).map_err(|e| broken(field, e))
}

/// A regular expression that does not come to an end.
fn broken(field: &'static str, error: fancy_regex::Error) -> Error {
    lora_error(field, format!("the regular expression gave up: {error}"))
}

/// An error of a field of an adapter's configuration.
pub fn lora_error(field: &'static str, message: String) -> Error {
    Error::Lora { field, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selected(config: serde_json::Value) -> Vec<&'static str> {
        const MODULES: [&str; 7] = [
            "model.language_model.layers.0.self_attn.q_proj",
            "model.language_model.layers.0.mlp.up_proj",
            "model.language_model.layers.1.self_attn.q_proj",
            "model.language_model.layers.10.self_attn.q_proj",
            "model.visual.blocks.1.attn.qkv",
            "model.visual.blocks.1.mlp.up_proj",
            "model.visual.merger.mlp.0",
        ];
        let config: LoraConfig = serde_json::from_value(config).unwrap();
        let rules = Rules::new(&config).unwrap();
        let chosen = MODULES
            .iter()
            .filter(|module| rules.select(module).unwrap());
        chosen
            .map(|m| {
                m.trim_start_matches("model.")
                    .trim_start_matches("language_model.layers.")
            })
            .collect()
    }

    /// D6, against `check_target_module_exists` of PEFT 0.18.
    #[test]
    fn names_expressions_layers_and_exceptions_select_as_in_peft() {
        let all = [
            "0.self_attn.q_proj",
            "0.mlp.up_proj",
            "1.self_attn.q_proj",
            "10.self_attn.q_proj",
            "visual.blocks.1.attn.qkv",
            "visual.blocks.1.mlp.up_proj",
            "visual.merger.mlp.0",
        ];
        for (config, expected) in [
            (json!({"target_modules": "all-linear"}), &all[..]),
            // ms-swift: the decoder, whatever else has such names.
            (
                json!({"target_modules": r"^(model.language_model(?=\.).*\.(q_proj|up_proj))$"}),
                &all[..4],
            ),
            (
                json!({"target_modules": r"^(model)(?!.*(lm_head|output|emb|visual)).*"}),
                &all[..4],
            ),
            // The whole path must match, not a part of it.
            (json!({"target_modules": r".*layers\.1"}), &[]),
            (json!({"target_modules": r".*layers\.1\..*"}), &all[2..3]),
            (json!({"target_modules": r"q_proj|.*qkv"}), &all[4..5]),
            (json!({"target_modules": ["proj"]}), &[]),
            (
                json!({"target_modules": ["q_proj"], "layers_to_transform": 1}),
                &all[2..3],
            ),
            (
                json!({"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [0, 1], "layers_pattern": "layers"}),
                &all[..3],
            ),
            (
                json!({"target_modules": ["up_proj"], "layers_to_transform": [1], "layers_pattern": ["blocks", "h"]}),
                &all[5..6],
            ),
            // A layer without a number has none of those asked for.
            (
                json!({"target_modules": ["mlp.0"], "layers_to_transform": [0]}),
                &[],
            ),
            (
                json!({"target_modules": "all-linear", "exclude_modules": r".*(visual|up_proj).*"}),
                &[
                    "0.self_attn.q_proj",
                    "1.self_attn.q_proj",
                    "10.self_attn.q_proj",
                ],
            ),
            (
                json!({"target_modules": ["q_proj", "qkv"], "exclude_modules": ["q_proj"]}),
                &all[4..5],
            ),
            (
                json!({"target_modules": ["qkv", "mlp.0"], "modules_to_save": ["merger"]}),
                &all[4..5],
            ),
        ] {
            assert_eq!(selected(config.clone()), expected, "{config}");
        }
    }

    #[test]
    fn the_first_pattern_that_fits_gives_rank_and_alpha() {
        let config: LoraConfig = serde_json::from_value(json!({
            "r": 8, "lora_alpha": 16,
            "rank_pattern": {r"layers\.1\..*q_proj": 4, "q_proj": 2, "^model.visual.blocks.1.attn.qkv": 1},
            "alpha_pattern": {"q_proj": 5},
        }))
        .unwrap();
        let rules = Rules::new(&config).unwrap();
        let of = |name: &str| rules.of(&config, &[name.to_owned()]).unwrap();
        assert_eq!(
            of("model.language_model.layers.1.self_attn.q_proj"),
            (4, 5.0)
        );
        assert_eq!(
            of("model.language_model.layers.11.self_attn.q_proj"),
            (2, 5.0)
        );
        assert_eq!(of("model.visual.blocks.1.attn.qkv"), (1, 16.0));
        // The end of a name is not the end of a path.
        assert_eq!(of("model.layers.0.freq_proj"), (8, 16.0));
    }

    #[test]
    fn expressions_that_mean_nothing_or_never_end_are_refused() {
        let rules = |config| Rules::new(&serde_json::from_value(config).unwrap());
        for (config, word) in [
            (json!({"target_modules": "(unclosed"}), "target_modules"),
            (json!({"rank_pattern": {"[": 2}}), "rank_pattern"),
            (json!({"layers_pattern": "layers"}), "layers_to_transform"),
            (json!({"layers_to_transform": [1]}), "list of names"),
        ] {
            let error = rules(config).err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
        }
        let bomb = rules(json!({"target_modules": r"(?:a|a|(a)\1?)*b(?=c)d"})).unwrap();
        let long = "a".repeat(60);
        let _ended = bomb.select(&long);
    }
}
