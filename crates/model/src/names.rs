//! Names of parameters and modules in memory, which PEFT uses, and in files.

use crate::Family;

/// The name that `transformers` 5 has in memory for a parameter or module.
pub(crate) fn memory_name(family: Family, name: &str) -> String {
    if !family.is_vision() {
        return name.to_string();
    }
    if name.starts_with("lm_head.") {
        return name.to_owned();
    }
    if let Some(rest) = name.strip_prefix("vision_tower.vision_model.") {
        return format!("model.vision_tower.{rest}");
    }
    match name.strip_prefix("model.") {
        Some(rest) => format!("model.language_model.{rest}"),
        None => format!("model.{name}"),
    }
}

/// The name that files of the hub have for a parameter or module; that of `transformers` before 4.52 in memory, too.
pub(crate) fn file_name(family: Family, name: &str) -> String {
    let decoder = name.starts_with("model.") || name.starts_with("lm_head.");
    match family == Family::Llava && decoder {
        true => format!("language_model.{name}"),
        false => name.to_owned(),
    }
}

/// The name that `transformers` 4.52 to 5 had in memory while CLIP's tower still had a model around it.
pub(crate) fn earlier_memory_name(family: Family, name: &str) -> String {
    match name.starts_with("vision_tower.vision_model.") {
        true => format!("model.{name}"),
        false => memory_name(family, name),
    }
}
