//! Adapters in PEFT's files: `adapter_config.json` and `adapter_model.safetensors`; the attention
//! they were trained with stands beside them in `percept_config.json`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use percept_weights::{
    AsTheyAre, Linear, Rules, hub_name, lora_error, read_peft_config, sync_dir, write_file,
    write_json,
};

use crate::lora::modules::NAMINGS;
use crate::names::memory_name;
use crate::{
    Attention, Checkpoint, Error, LoadOptions, LoraConfig, Model, Param, SaveDtype, TargetModules,
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

impl Model {
    /// Writes the adapters into an existing folder, synced to the disk, as PEFT does.
    ///
    /// # Errors
    /// [`Error::Weights`] when the model has no adapters; a file cannot be written.
    pub fn save_adapter(&self, dir: &Path, dtype: SaveDtype) -> Result<(), Error> {
        let Some(lora) = self.lora() else {
            let message = "the model has no adapters to save".into();
            return Err(lora_error("r", message).into());
        };
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let base = self.source.as_ref().map(|path| path.display().to_string());
        let targets = self.peft_targets(lora);
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": lora.r,
            "lora_alpha": lora.lora_alpha,
            "lora_dropout": lora.lora_dropout,
            "use_rslora": lora.use_rslora,
            "target_modules": targets.clone().unwrap_or_else(|| self.adapted()),
            // Paths in full already are what these leave.
            "exclude_modules": targets.as_ref().and(lora.exclude_modules.as_ref()),
            "layers_to_transform": targets.as_ref().and(lora.layers_to_transform.as_ref()),
            "layers_pattern": targets.as_ref().and(lora.layers_pattern.as_ref()),
            "rank_pattern": lora.rank_pattern,
            "alpha_pattern": lora.alpha_pattern,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "modules_to_save": Some(&lora.modules_to_save).filter(|names| !names.is_empty()),
        });
        write_json(&dir.join(CONFIG), &config)?;
        self.config().attention.save(dir)?;
        let params = self.adapter_params();
        let params: Vec<&Param> = params.iter().collect();
        write_file(&dir.join(WEIGHTS), &params, dtype, &AsTheyAre)?;
        Ok(sync_dir(dir)?)
    }

    /// The user's names where they mean the same to PEFT; else every path in full. (PEFT's
    /// "all-linear" depends on its version, an expression may match more than linear layers, and a name may also end
    /// the patch embedding's path.)
    fn peft_targets(&self, lora: &LoraConfig) -> Option<Vec<String>> {
        match &lora.target_modules {
            TargetModules::Many(names)
                if !names.iter().any(|name| name == "proj" || name == "lm_head") =>
            {
                Some(names.clone())
            }
            _ => None,
        }
    }

    /// Paths of all layers with adapters.
    fn adapted(&self) -> Vec<String> {
        let linears = self.linears.iter();
        let linears = linears.filter(|l| self.adapter(l.weight).is_some());
        linears.map(|linear| self.module(linear)).collect()
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
        let json: Value = serde_json::from_slice(&bytes).map_err(Error::json(&path))?;
        let mut config = read_peft_config(&json, &path)?;
        config.check()?;
        let checkpoint = Checkpoint::open_file(&weights_of(dir)?, adapter_name)?;
        let mut made = self.clone();
        if let Some(attention) = Attention::load(dir)? {
            made.set_attention(attention)?;
        }
        made.whole_modules(&checkpoint, &mut config)?;
        let rules = Rules::new(&config)?;
        let chosen = made.select_stored(&config, &rules, &checkpoint)?;
        let mut known = BTreeSet::new();
        made.attach(&config, &rules, &chosen, |name, shape| {
            let name = adapter_name(name);
            let values = checkpoint.read(&name, shape, LoadOptions::default())?;
            known.insert(name);
            Ok(values)
        })?;
        if made.config().tie_word_embeddings {
            // Refused above unless it is the table itself.
            known.extend(
                checkpoint
                    .names()
                    .filter(|n| is_table(n))
                    .map(str::to_owned),
            );
        }
        checkpoint
            .check_no_others(&known.iter().map(String::as_str).collect())
            .map_err(not_selected)?;
        *self = made;
        Ok(())
    }

    /// The layers with adapters in the file, if the rules select exactly them by one of the names that layers have had;
    /// else what the rules select today, and the differences show.
    fn select_stored(
        &self,
        config: &LoraConfig,
        rules: &Rules,
        checkpoint: &Checkpoint,
    ) -> Result<Vec<Linear>, Error> {
        let stored: BTreeSet<&str> = checkpoint
            .names()
            .filter_map(|name| name.strip_suffix(".lora_A.weight"))
            .collect();
        for naming in 0..NAMINGS {
            let chosen = self.select_by(rules, naming)?;
            let names: Vec<String> = chosen.iter().map(|l| hub_name(&self.module(l))).collect();
            if names.iter().map(String::as_str).collect::<BTreeSet<_>>() == stored {
                return Ok(chosen);
            }
        }
        self.select_any(config, rules)
    }

    /// What the file holds whole: trained modules, and embeddings that PEFT saves beside them of itself.
    fn whole_modules(&self, checkpoint: &Checkpoint, config: &mut LoraConfig) -> Result<(), Error> {
        let named = self.saved(config)?;
        for name in checkpoint.names().filter(|name| !name.contains(".lora_")) {
            let place = self.params.iter().position(|param| param.name() == name);
            if place.is_some_and(|index| named.contains(&index)) {
                continue;
            }
            if self.config().tie_word_embeddings && is_table(name) {
                let table = &self.params[self.text.embed_tokens];
                let stored = checkpoint.read(name, table.shape(), LoadOptions::default())?;
                if stored == table.to_vec() {
                    continue;
                }
            }
            if let Some(index) = place {
                let path = memory_name(self.config().family, self.params[index].name());
                let module = path
                    .rsplit_once('.')
                    .map_or(path.as_str(), |(module, _)| module);
                config.modules_to_save.push(module.to_owned());
            }
        }
        // Both names at once must be possible.
        self.saved(config).map(drop)
    }
}

fn is_table(name: &str) -> bool {
    name == "model.embed_tokens.weight" || name == "lm_head.weight"
}

/// A tensor that belongs to no selected layer.
fn not_selected(error: percept_weights::Error) -> percept_weights::Error {
    match error {
        percept_weights::Error::Tensor {
            path,
            name,
            message,
        } => {
            let why = message.split(':').next().unwrap_or_default();
            let gates = match name.contains(".g_proj.") {
                true => {
                    "; g_proj are the gates of attention \"nsa\", which this model does not have: choose it first"
                }
                false => "",
            };
            let message = format!(
                "{why}: no layer of this model that target_modules selects has it{gates}\n  help: is the adapter of another \
                 model? Adapters of embeddings, heads and patch embeddings are not supported; merge those with PEFT \
                 (merge_and_unload, then save_pretrained)"
            );
            percept_weights::Error::Tensor {
                path,
                name,
                message,
            }
        }
        other => other,
    }
}

/// `adapter_model.safetensors` of a folder.
fn weights_of(dir: &Path) -> Result<PathBuf, Error> {
    let path = dir.join(WEIGHTS);
    if path.exists() {
        return Ok(path);
    }
    let pickled = dir.join("adapter_model.bin");
    if !pickled.exists() {
        return Err(Error::checkpoint(
            &path,
            "missing; copy or download it again",
        ));
    }
    let message = "holds Python objects, whose reading runs what they say\n  help: convert it where it was made: \
                   python -c \"import torch, safetensors.torch as s; \
                   s.save_file(torch.load('adapter_model.bin', map_location='cpu', weights_only=True), \
                   'adapter_model.safetensors')\"";
    Err(Error::checkpoint(&pickled, message))
}

/// `base_model.model.model.language_model.layers.0.….lora_A.default.weight` and its variants
/// become `model.layers.0.….lora_A.weight`.
fn adapter_name(stored: &str) -> String {
    let name = stored.strip_prefix("base_model.model.").unwrap_or(stored);
    hub_name(
        &name
            .replace(".lora_A.default.", ".lora_A.")
            .replace(".lora_B.default.", ".lora_B.")
            .replace(".modules_to_save.default.", ".")
            .replace(".modules_to_save.", "."),
    )
}
