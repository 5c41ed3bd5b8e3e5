//! The vision tower in `config.json` of Qwen2-VL and Qwen2.5-VL.

use serde_json::Value;

use crate::config::fields::Fields;
use crate::{Error, Family, Qwen2VlVision, VisionTokens, WindowConfig};

/// The tower of a `vision_config`; `text_hidden` is the decoder's width.
pub(super) fn vision(
    fields: &Fields,
    family: Family,
    text_hidden: usize,
) -> Result<Qwen2VlVision, Error> {
    let size =
        |name: &str, default: usize| Ok::<_, Error>(fields.opt_size(name)?.unwrap_or(default));
    let new = family == Family::Qwen25Vl;
    let width = if new { "hidden_size" } else { "embed_dim" };
    let out = if new {
        "out_hidden_size"
    } else {
        "hidden_size"
    };
    let hidden_size = size(width, if new { 3584 } else { 1280 })?;
    let default_act = if new { "silu" } else { "quick_gelu" };
    let act = fields.string("hidden_act")?.unwrap_or(default_act);
    if act != default_act {
        let message = format!("found {act:?}, only {default_act:?} is supported in this family");
        return Err(fields.error("hidden_act", message));
    }
    let rope = fields.object("rope_parameters")?;
    let rope = rope.as_ref().unwrap_or(fields);
    if let Some(kind) = rope.string("rope_type")?.filter(|kind| *kind != "axial") {
        let message = format!("found {kind:?}, only \"axial\" is supported");
        return Err(rope.error("rope_type", message));
    }
    let config = Qwen2VlVision {
        depth: size("depth", 32)?,
        hidden_size,
        intermediate_size: match new {
            true => size("intermediate_size", 3420)?,
            false => mlp_width(fields, hidden_size)?,
        },
        num_heads: size("num_heads", 16)?,
        in_channels: match fields.opt_size("in_channels")? {
            Some(channels) => channels,
            None => size("in_chans", 3)?,
        },
        patch_size: size("patch_size", 14)?,
        temporal_patch_size: size("temporal_patch_size", 2)?,
        spatial_merge_size: size("spatial_merge_size", 2)?,
        out_hidden_size: size(out, 3584)?,
        rope_theta: rope.number("rope_theta")?.unwrap_or(10000.0),
        windows: match new {
            true => Some(windows(fields)?),
            false => None,
        },
        tokens_per_second: if new {
            size("tokens_per_second", 4)?
        } else {
            1
        },
    };
    if config.out_hidden_size != text_hidden {
        let found = config.out_hidden_size;
        let message = format!("found {found}, expected the decoder's hidden_size = {text_hidden}");
        return Err(fields.error(out, message));
    }
    if !config.hidden_size.is_multiple_of(config.num_heads * 4) {
        let (width_found, heads) = (config.hidden_size, config.num_heads);
        let message =
            format!("found {width_found}, expected a multiple of 4 × num_heads = {heads}");
        return Err(fields.error(width, message));
    }
    Ok(config)
}

/// Qwen2-VL gives the width inside the MLP as a multiple.
fn mlp_width(fields: &Fields, hidden_size: usize) -> Result<usize, Error> {
    let ratio = fields.number("mlp_ratio")?.unwrap_or(4.0);
    match (0.0..=1000.0).contains(&ratio) && hidden_size as f64 * ratio >= 1.0 {
        true => Ok((hidden_size as f64 * ratio) as usize),
        false => Err(fields.error("mlp_ratio", format!("found {ratio}, expected 4 or so"))),
    }
}

fn windows(fields: &Fields) -> Result<WindowConfig, Error> {
    let name = "fullatt_block_indexes";
    let fullatt_block_indexes = match fields.map.get(name) {
        None | Some(Value::Null) => vec![7, 15, 23, 31],
        Some(value) => serde_json::from_value(value.clone()).map_err(|_| {
            fields.error(name, format!("found {value}, expected a list of integers"))
        })?,
    };
    let window_size = fields.opt_size("window_size")?.unwrap_or(112);
    Ok(WindowConfig {
        window_size,
        fullatt_block_indexes,
    })
}

/// Placeholders and markers.
pub(super) fn vision_tokens(root: &Fields, vocab_size: usize) -> Result<VisionTokens, Error> {
    let id = |name: &str, default: u32| root.token_id(name, default, vocab_size);
    Ok(VisionTokens {
        image: id("image_token_id", 151655)?,
        video: Some(id("video_token_id", 151656)?),
        start: Some(id("vision_start_token_id", 151652)?),
        end: Some(id("vision_end_token_id", 151653)?),
    })
}
