//! The layers and modules of a model that the rules of an adapter select, and the names they have had.

use percept_weights::{Linear, Rules, ends_with, lora_error};

use crate::names::{earlier_memory_name, file_name, memory_name};
use crate::{Error, LoraConfig, Model, TargetModules, VisionConfig};

/// How many names a layer has had.
pub(crate) const NAMINGS: usize = 3;

impl Model {
    /// The layers of fresh adapters: each name must select one.
    pub(crate) fn select(&self, config: &LoraConfig, rules: &Rules) -> Result<Vec<Linear>, Error> {
        if let TargetModules::Many(names) = &config.target_modules {
            self.refuse_useless(names)?;
        }
        self.select_any(config, rules)
    }

    /// The layers that the rules select.
    pub(crate) fn select_any(
        &self,
        config: &LoraConfig,
        rules: &Rules,
    ) -> Result<Vec<Linear>, Error> {
        // Paths as transformers has them in memory today; else those of its earlier versions, some of which are the hub's.
        for naming in 0..NAMINGS {
            let chosen = self.select_by(rules, naming)?;
            if !chosen.is_empty() {
                return Ok(chosen);
            }
        }
        let what = match &config.target_modules {
            TargetModules::One(text) => format!("{text:?} matches the whole path of no linear layer"),
            TargetModules::Many(_) => "with layers_to_transform, exclude_modules and modules_to_save no linear layer is left".into(),
        };
        let message = format!("{what}{}", self.help());
        Err(lora_error("target_modules", message).into())
    }

    /// The layers that the rules select by one of their names.
    pub(crate) fn select_by(&self, rules: &Rules, naming: usize) -> Result<Vec<Linear>, Error> {
        let mut chosen = Vec::new();
        for linear in &self.linears {
            if rules.select(&self.modules(linear)[naming])? {
                chosen.push(*linear);
            }
        }
        Ok(chosen)
    }

    fn refuse_useless(&self, names: &[String]) -> Result<(), Error> {
        let modules: Vec<String> = self.linears.iter().flat_map(|l| self.modules(l)).collect();
        let useless = names
            .iter()
            .find(|name| !modules.iter().any(|module| ends_with(name, module)));
        let Some(target) = useless
            .map(String::as_str)
            .or(names.is_empty().then_some(""))
        else {
            return Ok(());
        };
        let mut message = format!("{target:?} selects no linear layer{}", self.help());
        if target.ends_with("g_proj") {
            message += "; g_proj are the gates of attention \"nsa\", which this model does \
                        not have: choose it first";
        }
        Err(lora_error("target_modules", message).into())
    }

    fn help(&self) -> String {
        let modules: Vec<String> = self.linears.iter().map(|l| self.module(l)).collect();
        let mut ends: Vec<&str> = modules
            .iter()
            .filter_map(|m| m.rsplit('.').next())
            .collect();
        ends.sort_unstable();
        ends.dedup();
        let first = modules.first().map_or("", String::as_str);
        format!(
            "\n  help: use \"all-linear\", a list of ends of layer paths such as {}, or a regular expression for whole \
             paths such as {first}",
            ends.join(", ")
        )
    }

    /// Parameters that are trained whole.
    pub(crate) fn saved(&self, config: &LoraConfig) -> Result<Vec<usize>, Error> {
        let mut saved = Vec::new();
        for name in &config.modules_to_save {
            let before = saved.len();
            for (index, param) in self.params.iter().enumerate() {
                let path = memory_name(self.config.family, param.name());
                // PEFT wraps every module whose path ends so, with all that is in it.
                let mut modules = path.match_indices('.').map(|(at, _)| &path[..at]);
                if !name.is_empty() && modules.any(|module| module.ends_with(name.as_str())) {
                    saved.push(index);
                }
            }
            let tied = self.config.tie_word_embeddings;
            let table = saved[before..].contains(&self.text.embed_tokens);
            if tied && (table || "lm_head".ends_with(name.as_str())) {
                let message = format!(
                    "{name:?}: the model's head and embedding table are one (tie_word_embeddings), and a copy would \
                     untie them\n  help: train adapters of the layers alone, or all weights without LoRA"
                );
                return Err(lora_error("modules_to_save", message).into());
            }
            if saved.len() == before {
                let message = format!(
                    "{name:?} is no module of this model\n  help: lm_head, embed_tokens, norm{}",
                    match self.config.vision {
                        Some(VisionConfig::Qwen2Vl(_)) => ", merger, visual",
                        Some(VisionConfig::Llava(_)) => ", multi_modal_projector, vision_tower",
                        None => "",
                    }
                );
                return Err(lora_error("modules_to_save", message).into());
            }
        }
        saved.sort_unstable();
        saved.dedup();
        Ok(saved)
    }

    /// The paths that a linear layer has had in `transformers`: in memory, on the hub, and in memory before.
    pub(crate) fn modules(&self, linear: &Linear) -> [String; NAMINGS] {
        let name = self.params[linear.weight].name();
        let (family, name) = (self.config.family, name.trim_end_matches(".weight"));
        [
            memory_name(family, name),
            file_name(family, name),
            earlier_memory_name(family, name),
        ]
    }

    /// The path of a linear layer in a `transformers` model in memory, which is what PEFT names.
    pub(crate) fn module(&self, linear: &Linear) -> String {
        let name = self.params[linear.weight]
            .name()
            .trim_end_matches(".weight");
        memory_name(self.config.family, name)
    }
}
