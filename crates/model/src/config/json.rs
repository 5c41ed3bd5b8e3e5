//! Reading `config.json`: the flat style of transformers 4 and the nested one of 5.

use std::path::Path;

use serde_json::Value;

use crate::config::fields::{Fields, config_error};
use crate::config::{llava, qwen2vl};
use crate::{
    Attention, Error, Family, ModelConfig, RopeConfig, RopeScaling, TextConfig, VisionConfig,
    VisionTokens,
};

impl ModelConfig {
    /// Reads `config.json` of a checkpoint folder.
    ///
    /// # Errors
    /// A missing file, an unknown architecture, a missing field, an option percept does not have.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("config.json");
        if !path.exists() && dir.join("adapter_config.json").exists() {
            let message = "this folder holds a LoRA adapter, not a model\n  help: load the base \
                           model that adapter_config.json names, then the adapter";
            return Err(Error::checkpoint(dir, message));
        }
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(Error::json(&path))?;
        Self::from_json(value, &path.display().to_string())
    }

    /// Reads the parsed content of a `config.json`; `file` is named in errors.
    ///
    /// # Errors
    /// An unknown architecture, a missing field, an option percept does not have.
    pub fn from_json(value: Value, file: &str) -> Result<Self, Error> {
        let Value::Object(json) = value else {
            return Err(config_error(file, "", "expected a JSON object"));
        };
        let root = Fields {
            map: &json,
            path: String::new(),
            file,
        };
        let family = family(&root)?;
        refuse_quantised(&root)?;
        let text_fields = root.object("text_config")?.unwrap_or_else(|| root.clone());
        let text = text(&text_fields, family)?;
        let (vision, vision_tokens) = vision(&root, family, &text)?.unzip();
        let tie_word_embeddings = root.bool("tie_word_embeddings")?.unwrap_or(false)
            || text_fields.bool("tie_word_embeddings")?.unwrap_or(false);
        let bos_token_id = text_fields
            .ids("bos_token_id")?
            .or(root.ids("bos_token_id")?);
        let eos_token_id = text_fields
            .ids("eos_token_id")?
            .or(root.ids("eos_token_id")?);
        let [bos, eos] = match family {
            Family::Llava => llava::ENDS.map(|id| Some(vec![id])),
            _ => [None, None],
        };
        let (bos_token_id, eos_token_id) = (bos_token_id.or(bos), eos_token_id.or(eos));
        Ok(Self {
            family,
            text,
            vision,
            vision_tokens,
            tie_word_embeddings,
            bos_token_id: bos_token_id.and_then(|ids| ids.first().copied()),
            eos_token_id: eos_token_id.unwrap_or_default(),
            attention: Attention::from_fields(&root)?,
            json,
        })
    }
}

fn family(root: &Fields) -> Result<Family, Error> {
    let architecture = match root.map.get("architectures").and_then(|a| a.get(0)) {
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    let model_type = root.map.get("model_type").and_then(Value::as_str);
    let known = |f: &&Family| match architecture {
        Some(name) => f.architecture() == name,
        None => model_type == Some(f.model_type()),
    };
    Family::ALL
        .iter()
        .find(known)
        .copied()
        .ok_or_else(|| Error::UnknownArchitecture {
            file: root.file.to_string(),
            found: architecture
                .or(model_type)
                .unwrap_or("(none named)")
                .to_string(),
            supported: Family::ALL.map(Family::architecture).join(", "),
        })
}

fn refuse_quantised(root: &Fields) -> Result<(), Error> {
    match root.map.get("quantization_config") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(root.error(
            "quantization_config",
            "quantised checkpoints cannot be trained; use the checkpoint in bf16, f16 or f32",
        )),
    }
}

/// The tower and its tokens; none of a text model.
fn vision(
    root: &Fields,
    family: Family,
    text: &TextConfig,
) -> Result<Option<(VisionConfig, VisionTokens)>, Error> {
    match family {
        Family::Llama | Family::Qwen2 | Family::Qwen3 => Ok(None),
        Family::Llava => {
            llava::check_text(root)?;
            let config = VisionConfig::Llava(llava::vision(root, text.hidden_size)?);
            Ok(Some((config, llava::vision_tokens(root, text.vocab_size)?)))
        }
        Family::Qwen2Vl | Family::Qwen25Vl => {
            let Some(fields) = root.object("vision_config")? else {
                return Err(root.error("vision_config", "missing"));
            };
            let config = qwen2vl::vision(&fields, family, text.hidden_size)?;
            let tokens = qwen2vl::vision_tokens(root, text.vocab_size)?;
            Ok(Some((VisionConfig::Qwen2Vl(config), tokens)))
        }
    }
}

fn text(fields: &Fields, family: Family) -> Result<TextConfig, Error> {
    let size = |name: &str| match family {
        Family::Llava => {
            let found = fields.opt_size(name)?.or(llava::text_default(name));
            found.map_or_else(|| fields.size(name), Ok)
        }
        _ => fields.size(name),
    };
    let hidden_size = size("hidden_size")?;
    let num_hidden_layers = size("num_hidden_layers")?;
    let num_attention_heads = size("num_attention_heads")?;
    let num_key_value_heads = fields
        .opt_size("num_key_value_heads")?
        .unwrap_or(num_attention_heads);
    if !num_attention_heads.is_multiple_of(num_key_value_heads) {
        let message = format!(
            "{num_key_value_heads} does not divide num_attention_heads = {num_attention_heads}"
        );
        return Err(fields.error("num_key_value_heads", message));
    }
    let head_dim = head_dim(fields, family, hidden_size, num_attention_heads)?;
    refuse_options(fields, num_hidden_layers)?;
    let max_position_embeddings = match family {
        Family::Llava => size("max_position_embeddings")?,
        _ => fields.opt_size("max_position_embeddings")?.unwrap_or(32768),
    };
    let optional_bias = matches!(family, Family::Llama | Family::Llava | Family::Qwen3);
    let attention_bias = optional_bias && fields.bool("attention_bias")?.unwrap_or(false);
    let default_eps = if family.has_mrope() { 1e-5 } else { 1e-6 };
    Ok(TextConfig {
        vocab_size: size("vocab_size")?,
        hidden_size,
        intermediate_size: size("intermediate_size")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(default_eps),
        rope: rope(fields, family, head_dim, max_position_embeddings)?,
        qkv_bias: attention_bias || !optional_bias,
        o_bias: attention_bias,
        qk_norm: family == Family::Qwen3,
        max_position_embeddings,
        initializer_range: fields.number("initializer_range")?.unwrap_or(0.02),
    })
}

fn head_dim(
    fields: &Fields,
    family: Family,
    hidden_size: usize,
    heads: usize,
) -> Result<usize, Error> {
    let default = match family {
        Family::Qwen3 => Some(128), // the class default of transformers, not hidden_size / heads
        _ if hidden_size.is_multiple_of(heads) => Some(hidden_size / heads),
        _ => None,
    };
    let head_dim = fields.opt_size("head_dim")?.or(default).ok_or_else(|| {
        let message = format!("{heads} does not divide hidden_size = {hidden_size}");
        fields.error("num_attention_heads", message)
    })?;
    match head_dim.is_multiple_of(2) {
        true => Ok(head_dim),
        false => Err(fields.error(
            "head_dim",
            format!("found {head_dim}, expected an even number"),
        )),
    }
}

/// Options of the families that change the arithmetic and that percept does not have.
fn refuse_options(fields: &Fields, layers: usize) -> Result<(), Error> {
    let act = fields.string("hidden_act")?.unwrap_or("silu");
    if act != "silu" {
        return Err(fields.error(
            "hidden_act",
            format!("found {act:?}, only \"silu\" is supported"),
        ));
    }
    if fields.bool("mlp_bias")?.unwrap_or(false) {
        return Err(fields.error("mlp_bias", "biases in the MLP are not supported"));
    }
    if fields.number("attention_dropout")?.unwrap_or(0.0) != 0.0 {
        let message = "dropout on attention weights is not supported; set it to 0";
        return Err(fields.error("attention_dropout", message));
    }
    let sliding = "sliding-window attention is not supported";
    if let Some(Value::Array(types)) = fields.map.get("layer_types") {
        if let Some(other) = types.iter().find(|t| t.as_str() != Some("full_attention")) {
            let message = format!("found {other}, only \"full_attention\" is supported");
            return Err(fields.error("layer_types", message));
        }
        if types.len() != layers {
            let message = format!("{} entries for {layers} layers", types.len());
            return Err(fields.error("layer_types", message));
        }
    } else if fields.bool("use_sliding_window")?.unwrap_or(false)
        && fields.opt_size("sliding_window")?.is_some()
        && fields.opt_size("max_window_layers")?.unwrap_or(0) < layers
    {
        return Err(fields.error("use_sliding_window", sliding));
    }
    Ok(())
}

fn rope(
    fields: &Fields,
    family: Family,
    head_dim: usize,
    max_positions: usize,
) -> Result<RopeConfig, Error> {
    let parameters = match fields.object("rope_parameters")? {
        Some(parameters) => Some(parameters),
        None => fields.object("rope_scaling")?,
    };
    let inner = parameters.as_ref().unwrap_or(fields);
    let partial = match inner.number("partial_rotary_factor")? {
        None => fields.number("partial_rotary_factor")?,
        found => found,
    };
    if partial.unwrap_or(1.0) != 1.0 {
        return Err(inner.error("partial_rotary_factor", "only 1.0 is supported"));
    }
    let default_theta = if family.has_mrope() { 1e6 } else { 1e4 };
    let theta = match inner.number("rope_theta")? {
        None => fields.number("rope_theta")?,
        found => found,
    };
    if let Some(found) = theta.filter(|theta| !theta.is_finite() || *theta <= 0.0) {
        let message = format!("found {found}, expected a positive number");
        return Err(fields.error("rope_theta", message));
    }
    let scaling = match &parameters {
        Some(parameters) => rope_scaling(parameters, max_positions)?,
        None => RopeScaling::Default,
    };
    let mrope_section = match family.has_mrope() {
        true => Some(mrope_section(inner, head_dim)?),
        false => None,
    };
    Ok(RopeConfig {
        theta: theta.unwrap_or(default_theta),
        scaling,
        mrope_section,
    })
}

fn rope_scaling(fields: &Fields, max_positions: usize) -> Result<RopeScaling, Error> {
    let kind = match fields.string("rope_type")? {
        None => fields.string("type")?,
        found => found,
    };
    let number = |name: &str| match fields.number(name)? {
        Some(found) if found > 0.0 && found < 1e12 => Ok(found),
        Some(found) => {
            Err(fields.error(name, format!("found {found}, expected a positive number")))
        }
        None => Err(fields.error(name, "missing; expected a number")),
    };
    match kind.unwrap_or("default") {
        "default" | "mrope" => Ok(RopeScaling::Default),
        "linear" => Ok(RopeScaling::Linear {
            factor: number("factor")?,
        }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: fields
                .number("original_max_position_embeddings")?
                .unwrap_or(max_positions as f64),
        }),
        other => Err(fields.error(
            "rope_type",
            format!("found {other:?}; supported are \"default\", \"linear\", \"llama3\""),
        )),
    }
}

fn mrope_section(fields: &Fields, head_dim: usize) -> Result<[usize; 3], Error> {
    let name = "mrope_section";
    let section = match fields.map.get(name) {
        None | Some(Value::Null) => [16, 24, 24],
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| fields.error(name, format!("found {value}, expected three integers")))?,
    };
    let sum = section
        .iter()
        .try_fold(0usize, |sum, n| sum.checked_add(*n));
    if sum != Some(head_dim / 2) {
        let message = format!("{section:?} must add up to head_dim / 2 = {}", head_dim / 2);
        return Err(fields.error(name, message));
    }
    Ok(section)
}
