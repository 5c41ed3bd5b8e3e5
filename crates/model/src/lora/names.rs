//! Names of modules in memory, which PEFT uses, and on the hub.

use crate::Family;

/// The name that `transformers` has in memory for a hub name.
pub(crate) fn memory_name(family: Family, name: &str) -> String {
    if !family.is_vision() {
        return name.to_string();
    }
    if name.starts_with("lm_head.") {
        return name.to_owned();
    }
    match name.strip_prefix("model.") {
        Some(rest) => format!("model.language_model.{rest}"),
        None => format!("model.{name}"),
    }
}
