//! What `config.json` of LLaVA-1.5 has beside its decoder's fields: CLIP's tower, the projector, the placeholder.
//!
//! Absent fields have the class defaults of transformers: `config.json` of llava-hf/llava-1.5-7b-hf gives neither the
//! decoder's width nor its depth.

use serde_json::{Map, Value};

use crate::config::fields::Fields;
use crate::{Error, LlavaVision, VisionTokens};

/// `LlamaConfig`'s sizes.
const TEXT: [(&str, usize); 6] = [
    ("hidden_size", 4096),
    ("intermediate_size", 11008),
    ("num_hidden_layers", 32),
    ("num_attention_heads", 32),
    ("vocab_size", 32000),
    ("max_position_embeddings", 2048),
];

/// `LlamaConfig`'s `bos_token_id` and `eos_token_id`.
pub(super) const ENDS: [u32; 2] = [1, 2];

/// A size of the decoder where `text_config` does not give it.
pub(super) fn text_default(name: &str) -> Option<usize> {
    TEXT.iter()
        .find_map(|(field, size)| (*field == name).then_some(*size))
}

/// Refuses decoders other than Llama's.
pub(super) fn check_text(root: &Fields) -> Result<(), Error> {
    let Some(text) = root.object("text_config")? else {
        return Ok(());
    };
    match text.string("model_type")? {
        None | Some("llama") => Ok(()),
        Some(other) => Err(text.error(
            "model_type",
            format!("found {other:?}; supported is \"llama\" (LLaVA-1.5 on Vicuna)"),
        )),
    }
}

/// The tower of a `config.json`; `text_hidden` is the decoder's width.
pub(super) fn vision(root: &Fields, text_hidden: usize) -> Result<LlavaVision, Error> {
    // Without the object transformers builds CLIP-ViT-L/14-336; inside it, absent fields are CLIPVisionConfig's.
    let none = Map::new();
    let (fields, large) = match root.object("vision_config")? {
        Some(fields) => (fields, false),
        None => (
            Fields {
                map: &none,
                path: "vision_config.".to_owned(),
                file: root.file,
            },
            true,
        ),
    };
    refuse_other_towers(&fields)?;
    let size = |name: &str, class: usize, of_large: usize| {
        let default = if large { of_large } else { class };
        Ok::<_, Error>(fields.opt_size(name)?.unwrap_or(default))
    };
    let num_hidden_layers = size("num_hidden_layers", 12, 24)?;
    let config = LlavaVision {
        num_hidden_layers,
        feature_layers: feature_layers(root, num_hidden_layers)?,
        hidden_size: size("hidden_size", 768, 1024)?,
        intermediate_size: size("intermediate_size", 3072, 4096)?,
        num_attention_heads: size("num_attention_heads", 12, 16)?,
        num_channels: size("num_channels", 3, 3)?,
        image_size: size("image_size", 224, 336)?,
        patch_size: size("patch_size", 32, 14)?,
        layer_norm_eps: fields.number("layer_norm_eps")?.unwrap_or(1e-5),
        keeps_class_token: keeps_class_token(root)?,
        projector_bias: root.bool("multimodal_projector_bias")?.unwrap_or(true),
        out_hidden_size: text_hidden,
    };
    check(root, &fields, &config)?;
    Ok(config)
}

/// The placeholder: `image_token_index`, which transformers also calls `image_token_id`.
pub(super) fn vision_tokens(root: &Fields, vocab_size: usize) -> Result<VisionTokens, Error> {
    let name = match root.map.contains_key("image_token_index") {
        false if root.map.contains_key("image_token_id") => "image_token_id",
        _ => "image_token_index",
    };
    Ok(VisionTokens {
        image: root.token_id(name, 32000, vocab_size)?,
        video: None,
        start: None,
        end: None,
    })
}

fn refuse_other_towers(fields: &Fields) -> Result<(), Error> {
    let only = |name: &str, supported: &str| match fields.string(name)? {
        Some(found) if found != supported => {
            let message = format!("found {found:?}; supported is {supported:?}");
            Err(fields.error(name, message))
        }
        _ => Ok(()),
    };
    match fields.string("model_type")? {
        None | Some("clip_vision_model") => {}
        Some(found) => {
            let message = format!(
                "found {found:?}; supported is \"clip_vision_model\", the tower of LLaVA-1.5 (CLIP-ViT-L/14-336)"
            );
            return Err(fields.error("model_type", message));
        }
    }
    only("hidden_act", "quick_gelu")?;
    match fields.number("attention_dropout")?.unwrap_or(0.0) == 0.0 {
        true => Ok(()),
        false => Err(fields.error(
            "attention_dropout",
            "dropout on attention weights is not supported; set it to 0",
        )),
    }
}

/// Blocks up to the one whose output is read: index `vision_feature_layer` into (embeddings, output of the first block,
/// …, output of the last), from behind where it is negative.
fn feature_layers(root: &Fields, layers: usize) -> Result<usize, Error> {
    let name = "vision_feature_layer";
    let index = match root.map.get(name) {
        None | Some(Value::Null) => -2,
        Some(Value::Array(_)) => {
            let message = format!(
                "found {}; supported is one layer, such as -2 (LLaVA-1.5), not several side by side",
                root.map[name]
            );
            return Err(root.error(name, message));
        }
        Some(value) => value.as_i64().ok_or_else(|| {
            root.error(
                name,
                format!("found {value}, expected an integer such as -2"),
            )
        })?,
    };
    let outputs = layers as i64 + 1;
    let place = if index < 0 { outputs + index } else { index };
    match (0..outputs).contains(&place) {
        true => Ok(place as usize),
        false => Err(root.error(
            name,
            format!(
                "found {index}; with {layers} layers expected {} to {layers}",
                -outputs
            ),
        )),
    }
}

fn keeps_class_token(root: &Fields) -> Result<bool, Error> {
    let name = "vision_feature_select_strategy";
    match root.string(name)?.unwrap_or("default") {
        "default" => Ok(false),
        "full" => Ok(true),
        other => Err(root.error(
            name,
            format!(
                "found {other:?}; supported are \"default\" (without the class token) and \"full\""
            ),
        )),
    }
}

fn check(root: &Fields, fields: &Fields, config: &LlavaVision) -> Result<(), Error> {
    if config.side() == 0 {
        let message = format!(
            "found {}, above image_size = {}",
            config.patch_size, config.image_size
        );
        return Err(fields.error("patch_size", message));
    }
    let (width, heads) = (config.hidden_size, config.num_attention_heads);
    if !width.is_multiple_of(heads) {
        let message = format!("found {heads}, which does not divide hidden_size = {width}");
        return Err(fields.error("num_attention_heads", message));
    }
    if let Some(act) = root
        .string("projector_hidden_act")?
        .filter(|a| *a != "gelu")
    {
        let message = format!("found {act:?}; supported is \"gelu\"");
        return Err(root.error("projector_hidden_act", message));
    }
    let tokens = config.image_tokens();
    if let Some(found) = root.opt_size("image_seq_length")?.filter(|n| *n != tokens) {
        let (side, size, patch) = (config.side(), config.image_size, config.patch_size);
        let class = if config.keeps_class_token { " + 1" } else { "" };
        let message = format!(
            "found {found}, but the tower makes {tokens} tokens of a picture: ({size} / {patch})²{class} = {side}²{class}"
        );
        return Err(root.error("image_seq_length", message));
    }
    Ok(())
}
