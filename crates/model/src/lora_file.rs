//! Adapters in PEFT's files: `adapter_config.json` and `adapter_model.safetensors`; the attention
//! they were trained with stands beside them in `percept_config.json`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::checkpoint::hub_name;
use crate::save::{sync_dir, write_file, write_json};
use crate::{
    Attention, Checkpoint, Error, LoadOptions, LoraConfig, Model, Param, SaveDtype, TargetModules,
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

impl Model {
    /// Writes the adapters into an existing folder, synced to the disk, as PEFT does.
    ///
    /// # Errors
    /// [`Error::Lora`] when the model has no adapters; a file cannot be written.
    pub fn save_adapter(&self, dir: &Path, dtype: SaveDtype) -> Result<(), Error> {
        let Some(lora) = self.lora() else {
            let message = "the model has no adapters to save".into();
            return Err(Error::Lora {
                field: "r",
                message,
            });
        };
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let base = self.source.as_ref().map(|path| path.display().to_string());
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": lora.r,
            "lora_alpha": lora.lora_alpha,
            "lora_dropout": lora.lora_dropout,
            "use_rslora": lora.use_rslora,
            "target_modules": self.peft_targets(lora),
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "modules_to_save": null,
        });
        write_json(&dir.join(CONFIG), &config)?;
        self.config().attention.save(dir)?;
        let params: Vec<&Param> = self.adapter_params().collect();
        write_file(&dir.join(WEIGHTS), &params, dtype, &Param::to_vec)?;
        sync_dir(dir)
    }

    /// The user's names where they mean the same to PEFT; else every path in full. (PEFT's
    /// "all-linear" depends on its version, and a name may also end the patch embedding's path.)
    fn peft_targets(&self, lora: &LoraConfig) -> Vec<String> {
        let modules = || {
            let adapted = |weight: usize| self.adapters.get(weight).is_some_and(Option::is_some);
            let linears = self
                .linears
                .iter()
                .filter(move |linear| adapted(linear.weight));
            linears.map(|linear| self.module(linear))
        };
        let names = match &lora.target_modules {
            TargetModules::One(all) if all == "all-linear" => return modules().collect(),
            TargetModules::One(name) => std::slice::from_ref(name),
            TargetModules::Many(names) => names,
        };
        match names.iter().any(|name| name == "proj" || name == "lm_head") {
            true => modules().collect(),
            false => names.to_vec(),
        }
    }

    /// Reads adapters from a PEFT folder, whichever of the hub's names and the names in memory
    /// they use, freezes all other parameters and trains the adapters. Attention becomes that of
    /// their training, where the folder says it.
    ///
    /// # Errors
    /// Missing or malformed files; options percept does not have; adapters of another model.
    pub fn load_lora(&mut self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(CONFIG);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        let config = peft_config(&json, &path)?;
        let weights = dir.join(WEIGHTS);
        let checkpoint = Checkpoint::open_file(&weights, adapter_name)?;
        let mut known = BTreeSet::new();
        let mut made = self.clone();
        if let Some(attention) = Attention::load(dir)? {
            made.set_attention(attention)?;
        }
        made.attach(&config, |name, shape| {
            let name = adapter_name(name);
            let values = checkpoint.read(&name, shape, LoadOptions::default())?;
            known.insert(name);
            Ok(values)
        })?;
        checkpoint.check_no_others(&known.iter().map(String::as_str).collect())?;
        *self = made;
        Ok(())
    }
}

/// `base_model.model.model.language_model.layers.0.….lora_A.default.weight` and its variants
/// become `model.layers.0.….lora_A.weight`.
fn adapter_name(stored: &str) -> String {
    let name = stored.strip_prefix("base_model.model.").unwrap_or(stored);
    hub_name(
        &name
            .replace(".lora_A.default.", ".lora_A.")
            .replace(".lora_B.default.", ".lora_B."),
    )
}

fn peft_config(json: &Value, path: &Path) -> Result<LoraConfig, Error> {
    let error = |field: &str, message: String| Error::Config {
        file: path.display().to_string(),
        field: field.into(),
        message,
    };
    let get = |field: &str| json.get(field).filter(|value| !value.is_null());
    if let Some(kind) = get("peft_type").filter(|kind| *kind != "LORA") {
        return Err(error(
            "peft_type",
            format!("found {kind}, only \"LORA\" is supported"),
        ));
    }
    if let Some(bias) = get("bias").filter(|bias| *bias != "none") {
        return Err(error(
            "bias",
            format!("found {bias}, only \"none\" is supported"),
        ));
    }
    for field in [
        "use_dora",
        "lora_bias",
        "fan_in_fan_out",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "layers_to_transform",
        "target_parameters",
        "exclude_modules",
    ] {
        let unused = |v: &Value| *v == json!(false) || *v == json!({}) || *v == json!([]);
        if let Some(value) = get(field).filter(|value| !unused(value)) {
            return Err(error(
                field,
                format!("found {value}; this option is not supported"),
            ));
        }
    }
    let default = LoraConfig::default();
    let number = |field: &str, default: f64| match get(field) {
        None => Ok(default),
        Some(value) => value
            .as_f64()
            .ok_or_else(|| error(field, format!("found {value}, expected a number"))),
    };
    let target_modules = match get("target_modules") {
        None => return Err(error("target_modules", "missing".into())),
        Some(value) => match serde_json::from_value(value.clone()) {
            Ok(targets) => targets,
            Err(_) => {
                return Err(error(
                    "target_modules",
                    format!("found {value}, expected names"),
                ));
            }
        },
    };
    Ok(LoraConfig {
        r: number("r", 8.0)? as usize,
        lora_alpha: number("lora_alpha", 8.0)?,
        lora_dropout: number("lora_dropout", default.lora_dropout)?,
        use_rslora: get("use_rslora") == Some(&json!(true)),
        target_modules,
    })
}
