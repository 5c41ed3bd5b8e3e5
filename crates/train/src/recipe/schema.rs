//! The JSON Schema of the recipe, as editors and `percept config` use it.

use serde_json::Value;

use crate::Recipe;

impl Recipe {
    /// JSON Schema of the recipe, for editors. Its descriptions are plain text: links between Rust
    /// items, which lead nowhere outside the source, become the names that they show.
    pub fn json_schema() -> Value {
        let mut schema = schemars::schema_for!(Recipe).to_value();
        without_links(&mut schema);
        schema
    }

    /// Every key of a recipe, dotted: `rl.optim.lr`. Lists of tables have no number in it, and the
    /// options of all kinds of a part stand side by side.
    pub fn keys() -> Vec<String> {
        let schema = Self::json_schema();
        let mut found = Vec::new();
        collect(&schema, &schema["$defs"], "", &mut found, 0);
        found
    }
}

/// Deeper than any key; a schema that refers to itself ends here.
const DEEPEST: usize = 24;

fn collect(node: &Value, defs: &Value, path: &str, found: &mut Vec<String>, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let mut deeper = |node: &Value, path: &str| collect(node, defs, path, found, depth + 1);
    if let Some(target) = node["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        deeper(&defs[target], path);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        for node in node[choice].as_array().into_iter().flatten() {
            deeper(node, path);
        }
    }
    if node["items"].is_object() {
        deeper(&node["items"], path);
    }
    for (key, node) in node["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        if !found.contains(&path) {
            found.push(path.clone());
        }
        collect(node, defs, &path, found, depth + 1);
    }
}

fn without_links(node: &mut Value) {
    match node {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" || key == "title" => {
                        *text = plain(text);
                    }
                    value => without_links(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_links),
        _ => {}
    }
}

/// `` [`Name`] `` and `` [text](path::Item) `` without the brackets and the target; web addresses stay.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        out.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let Some(end) = after.find(']') else {
            rest = &rest[start..];
            break;
        };
        let (label, tail) = (&after[..end], &after[end + 1..]);
        let target = tail.strip_prefix('(').and_then(|t| t.split_once(')'));
        match target {
            Some((to, tail)) if !to.contains("://") => {
                out.push_str(label);
                rest = tail;
            }
            None if label.len() > 2 && label.starts_with('`') && label.ends_with('`') => {
                out.push_str(label);
                rest = tail;
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_items_become_their_names_and_others_stay() {
        assert_eq!(plain("see [`Math`]."), "see `Math`.");
        assert_eq!(plain("[rules](crate::Rules) hold"), "rules hold");
        let kept = "`[rl]`, [[reward.functions]], [0, 1], [page](https://a.b) [";
        assert_eq!(plain(kept), kept);
    }

    // F5
    #[test]
    fn no_description_leads_nowhere() {
        let text = Recipe::json_schema().to_string();
        for dead in ["[`", "`](", "see `", "crate::", "super::"] {
            let near = text.find(dead).map(|at| &text[at..text.len().min(at + 80)]);
            assert_eq!(near, None, "{dead}");
        }
    }

    #[test]
    fn keys_reach_into_lists_and_kinds() {
        let keys = Recipe::keys();
        for key in [
            "rl.optim.lr",
            "reward.functions.weight",
            "reward.functions.path",
            "algorithm.loss.policy_loss.clip_ratio_low",
            "model.tiny.vision.depth",
        ] {
            assert!(keys.iter().any(|k| k == key), "{key}");
        }
    }
}
