//! Reading `adapter_config.json` of PEFT: what it says is done, or refused with the way out. Nothing that changes the
//! result is passed over.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Error, LoraConfig};

/// Initialisations of A and B that leave the base weights as they are: the files hold all that was trained.
const PLAIN: [&str; 3] = ["gaussian", "eva", "orthogonal"];
/// Those that take a part out of the base weights first. The files hold the new A and B; the base that belongs to them
/// is not the one on the hub.
const CHANGED: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// How any adapter becomes a model: PEFT knows what this file says.
const MERGE: &str = "merge it once with PEFT, PeftModel.from_pretrained(base, \
                     adapter).merge_and_unload().save_pretrained(DIR), and give DIR as --model";

/// Fields that change nothing of what an adapter computes.
const NEUTRAL: [&str; 17] = [
    "peft_type",
    "task_type",
    "auto_mapping",
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "init_lora_weights",
    // Options of initialisations, and of a run.
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "runtime_config",
    "megatron_core",
    "qalora_group_size",
    // PEFT turns it off for linear layers, which are all that it has here.
    "fan_in_fan_out",
    // Of bias "none", which is checked.
    "bias",
];

/// Fields of [`LoraConfig`].
const READ: [&str; 12] = [
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    // Ties what is trained whole; with tied embeddings that is refused.
    "ensure_weight_tying",
];

/// Fields that change the result, what they are, and what to do.
const REFUSED: [(&str, &str, &str); 9] = [
    (
        "use_dora",
        "DoRA scales each row of the adapted weight",
        MERGE,
    ),
    ("lora_bias", "adapters with biases", MERGE),
    (
        "trainable_token_indices",
        "single rows of the embedding table",
        MERGE,
    ),
    (
        "target_parameters",
        "adapters on parameters of experts",
        MERGE,
    ),
    ("use_qalora", "QALoRA pools the adapters' input", MERGE),
    (
        "layer_replication",
        "the adapter repeats layers of its base",
        "the model has another number of layers; it can only be run with PEFT",
    ),
    (
        "alora_invocation_tokens",
        "aLoRA acts from its invocation tokens on, not on every token",
        "it cannot be merged into weights; run it with PEFT or vLLM",
    ),
    (
        "megatron_config",
        "adapters on Megatron's parallel layers",
        "convert the adapter to one of the Hugging Face model first (Megatron-Bridge, ms-swift export)",
    ),
    (
        "arrow_config",
        "a router between several adapters",
        "it cannot be merged into weights; run it with PEFT",
    ),
];

/// The configuration of an adapter that percept computes as PEFT does, from the content of `adapter_config.json`.
///
/// # Errors
/// [`Error::Config`] naming a field that is wrong, or that asks for what percept does not have.
pub fn read(json: &Value, path: &Path) -> Result<LoraConfig, Error> {
    let error = |field: &str, message: String| Error::Config {
        file: path.display().to_string(),
        field: field.into(),
        message,
    };
    let Some(fields) = json.as_object() else {
        return Err(error("", "expected a JSON object".into()));
    };
    let get = |field: &str| fields.get(field).filter(|value| !unset(value));
    if let Some(kind) = get("peft_type").filter(|kind| *kind != "LORA") {
        let message = format!("found {kind}, only \"LORA\" is supported\n  help: {MERGE}");
        return Err(error("peft_type", message));
    }
    if let Some(bias) = get("bias").filter(|bias| *bias != "none") {
        let message = format!("found {bias}, only \"none\" is supported\n  help: {MERGE}");
        return Err(error("bias", message));
    }
    if let Some(init) = get("init_lora_weights") {
        initialisation(init).map_err(|message| error("init_lora_weights", message))?;
    }
    for (field, what, help) in REFUSED {
        if let Some(value) = get(field) {
            let message = format!("found {value}: {what}, which is not supported\n  help: {help}");
            return Err(error(field, message));
        }
    }
    let known = |field: &str| NEUTRAL.contains(&field) || READ.contains(&field);
    if let Some((field, value)) = fields.iter().find(|(f, v)| !known(f) && !unset(v)) {
        let message = format!(
            "found {value}; percept does not know this option of PEFT, which may change what the adapter \
             computes\n  help: {MERGE}"
        );
        return Err(error(field, message));
    }
    // PEFT's defaults, where they are not percept's.
    let mut config = json!({"r": 8, "lora_alpha": 8});
    for field in READ.iter().filter(|field| **field != "ensure_weight_tying") {
        if let Some(value) = fields.get(*field).filter(|value| !value.is_null()) {
            config[*field] = value.clone();
        }
    }
    let empty = |value: &Value| *value == json!("") || *value == json!([]);
    for field in ["layers_pattern", "exclude_modules", "layers_to_transform"] {
        if empty(&config[field]) {
            config[field] = Value::Null;
        }
    }
    if get("target_modules").is_none() {
        return Err(error(
            "target_modules",
            "missing; expected names or a regular expression".into(),
        ));
    }
    for field in ["r", "lora_alpha", "lora_dropout"] {
        // 16.0 is a rank to Python, and a string is not.
        match &config[field] {
            Value::Null => {}
            Value::Number(number) => {
                if let Some(whole) = number
                    .as_f64()
                    .filter(|n| n.fract() == 0.0 && (0.0..1e9).contains(n))
                {
                    config[field] = json!(whole as u64);
                }
            }
            other => return Err(error(field, format!("found {other}, expected a number"))),
        }
    }
    // One field after the other, so that the error names it.
    for (field, value) in config.as_object().into_iter().flatten() {
        if let Err(e) = serde_json::from_value::<LoraConfig>(json!({ field: value })) {
            return Err(error(field, format!("found {value}: {e}")));
        }
    }
    serde_json::from_value(config).map_err(|e| error("", e.to_string()))
}

/// Whether a field says nothing.
fn unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

fn initialisation(init: &Value) -> Result<(), String> {
    let Some(name) = init.as_str() else {
        return match init.as_bool() {
            Some(_) => Ok(()),
            None => Err(format!("found {init}, expected true, false or a name")),
        };
    };
    let name = name.to_ascii_lowercase();
    if ["true", "false"].contains(&name.as_str()) || PLAIN.contains(&name.as_str()) {
        return Ok(());
    }
    if CHANGED.iter().any(|kind| name.starts_with(kind)) {
        return Err(format!(
            "found {init}: this initialisation took a part out of the base weights, so that the adapter does not belong \
             to the base on the hub\n  help: save it again as a plain adapter with PEFT, \
             model.save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL) (LLaMA-Factory: pissa_convert), \
             or {MERGE}"
        ));
    }
    Err(format!(
        "found {init}; percept does not know this initialisation, which may have changed the base weights\n  help: {MERGE}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layers, TargetModules};

    fn of(more: Value) -> Result<LoraConfig, String> {
        let mut config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "bias": "none",
            "target_modules": ["q_proj"], "init_lora_weights": true, "peft_version": "0.18.0", "auto_mapping": null,
            "use_dora": false, "lora_bias": false, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": null,
            "layers_to_transform": null, "layers_pattern": null, "megatron_config": null, "megatron_core": "megatron.core",
            "trainable_token_indices": null, "layer_replication": null, "loftq_config": {}, "eva_config": null,
            "qalora_group_size": 16, "use_qalora": false, "alora_invocation_tokens": null, "target_parameters": null,
        });
        for (field, value) in more.as_object().unwrap() {
            config[field] = value.clone();
        }
        read(&config, Path::new("adapter_config.json")).map_err(|e| e.to_string())
    }

    /// D6
    #[test]
    fn what_ms_swift_and_llama_factory_write_is_read() {
        let plain = of(json!({})).unwrap();
        assert_eq!((plain.r, plain.lora_alpha), (16, 32.0));
        let swift = r"^(model.language_model(?=\.).*\.(q_proj|v_proj))$";
        let config = of(json!({
            "target_modules": swift, "r": 8.0, "use_rslora": true, "modules_to_save": ["lm_head"], "rank_pattern": {"q_proj": 4},
            "alpha_pattern": {"q_proj": 12.5}, "exclude_modules": [], "layers_pattern": "", "fan_in_fan_out": true,
        }))
        .unwrap();
        assert_eq!(config.target_modules, TargetModules::One(swift.into()));
        assert_eq!((config.r, config.use_rslora), (8, true));
        assert_eq!(config.rank_pattern.0, [("q_proj".to_owned(), 4)]);
        assert_eq!(config.alpha_pattern.0, [("q_proj".to_owned(), 12.5)]);
        assert_eq!(config.modules_to_save, ["lm_head"]);
        assert_eq!(
            (config.exclude_modules, config.layers_pattern),
            (None, None)
        );
        let layers =
            of(json!({"layers_to_transform": [0, 3], "layers_pattern": ["layers"]})).unwrap();
        assert_eq!(layers.layers_to_transform, Some(Layers::Many(vec![0, 3])));
        for init in [
            json!(false),
            json!("gaussian"),
            json!("eva"),
            json!("orthogonal"),
        ] {
            assert!(of(json!({"init_lora_weights": init})).is_ok(), "{init}");
        }
    }

    /// D4
    #[test]
    fn what_would_be_silently_wrong_is_refused_with_the_way_out() {
        for init in [
            "pissa",
            "pissa_niter_16",
            "olora",
            "corda",
            "loftq",
            "lora_ga",
        ] {
            let error = of(json!({"init_lora_weights": init})).unwrap_err();
            for word in [
                init,
                "path_initial_model_for_weight_conversion",
                "merge_and_unload",
            ] {
                assert!(error.contains(word), "{error}");
            }
        }
        for (field, value, word) in [
            ("init_lora_weights", json!("new_idea"), "merge_and_unload"),
            ("use_dora", json!(true), "DoRA"),
            ("alora_invocation_tokens", json!([1, 2]), "vLLM"),
            ("trainable_token_indices", json!([5]), "merge_and_unload"),
            ("layer_replication", json!([[0, 4], [2, 6]]), "layers"),
            ("megatron_config", json!({"a": 1}), "Megatron"),
            ("target_parameters", json!(["experts"]), "merge_and_unload"),
            ("lora_bias", json!(true), "merge_and_unload"),
            ("bias", json!("all"), "merge_and_unload"),
            ("bias", json!("lora_only"), "merge_and_unload"),
            ("peft_type", json!("LOHA"), "merge_and_unload"),
            ("use_bdlora", json!({"blocks": 2}), "does not know"),
            ("new_switch", json!(true), "does not know"),
            ("r", json!("16"), "number"),
            ("r", json!(2.5), "2.5"),
            ("rank_pattern", json!({"q_proj": "four"}), "four"),
            ("target_modules", json!(null), "missing"),
            ("target_modules", json!(7), "7"),
        ] {
            let error = of(json!({field: value})).unwrap_err();
            assert!(
                error.contains(field) && error.contains(word),
                "{field}: {error}"
            );
        }
    }
}
