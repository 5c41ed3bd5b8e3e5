//! `docs/methods/` says what the module docs say: one page per method, made from them.
//! `UPDATE_DOCS=1 cargo test -p percept-credit --test method_pages` writes the pages anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::Schema;
use serde_json::Value;

/// A folder of methods, what the recipe calls their table, and the schema of their registry.
type Registry = (&'static str, &'static str, fn() -> Schema);

/// All of them.
const FOLDERS: [Registry; 5] = [
    ("advantage", "algorithm.advantage", || {
        schemars::schema_for!(percept_credit::AdvantageConfig)
    }),
    ("weight", "algorithm.token_weight", || {
        schemars::schema_for!(percept_credit::TokenWeightConfig)
    }),
    ("filter", "algorithm.filter", || {
        schemars::schema_for!(percept_credit::FilterConfig)
    }),
    ("loss", "algorithm.loss.policy_loss", || {
        schemars::schema_for!(percept_credit::PolicyLossConfig)
    }),
    ("preference", "preference.loss", || {
        schemars::schema_for!(percept_credit::preference::PreferenceConfig)
    }),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Options by method name: (option, default, description), from the schema of a registry.
fn options(schema: &Value) -> BTreeMap<String, Vec<(String, String)>> {
    let definitions = &schema["$defs"];
    let resolve = |node: &Value| -> Value {
        let name = node["$ref"].as_str().and_then(|r| r.rsplit('/').next());
        name.map_or_else(|| node.clone(), |name| definitions[name].clone())
    };
    let mut found = BTreeMap::new();
    let mut open = vec![schema.clone()];
    while let Some(node) = open.pop() {
        for key in ["oneOf", "anyOf"] {
            open.extend(node[key].as_array().into_iter().flatten().map(&resolve));
        }
        let Some(name) = node["properties"]["name"]["const"].as_str() else {
            continue;
        };
        // The tag stands beside the method's own struct.
        let own = resolve(&node);
        let mut fields = Vec::new();
        for source in [&node, &own] {
            for (field, value) in source["properties"].as_object().into_iter().flatten() {
                let text = value["description"].as_str().unwrap_or_default();
                let known = fields
                    .iter()
                    .any(|(name, _): &(String, String)| name == field);
                if field != "name" && !known {
                    fields.push((field.clone(), text.replace('\n', " ")));
                }
            }
        }
        found.insert(name.to_owned(), fields);
    }
    found
}

/// The `//!` lines of a file as Markdown: rustdoc links become code.
fn module_docs(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| line.starts_with("//!"));
    let docs: Vec<&str> = lines
        .map(|line| line.trim_start_matches("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    docs.join("\n").replace("[`", "`").replace("`]", "`")
}

/// All pages: name of the method to its text.
fn pages() -> BTreeMap<String, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for (folder, table, schema) in FOLDERS {
        let schema = serde_json::to_value(schema()).unwrap();
        for (name, fields) in options(&schema) {
            let file = source.join(folder).join(format!("{name}.rs"));
            assert!(file.exists(), "{name} is not in {}", file.display());
            let page = pages
                .entry(name.clone())
                .or_insert_with(|| format!("# {name}\n"));
            page.push_str(&format!("\n## `{table} = \"{name}\"`\n\n"));
            page.push_str(&module_docs(&file));
            page.push_str("\n\n");
            if fields.is_empty() {
                page.push_str("No options.\n");
                continue;
            }
            page.push_str("| option | what it is |\n|---|---|\n");
            for (field, text) in fields {
                page.push_str(&format!("| `{field}` | {} |\n", text.replace('|', "\\|")));
            }
        }
    }
    pages
}

#[test]
fn the_pages_are_those_of_the_module_docs() {
    let folder = root().join("docs/methods");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        fs::create_dir_all(&folder).unwrap();
    }
    let pages = pages();
    assert!(pages.len() >= 10, "{:?}", pages.keys());
    for (name, text) in &pages {
        let path = folder.join(format!("{name}.md"));
        if update {
            fs::write(&path, text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == *text,
            "{} is out of date: UPDATE_DOCS=1 cargo test -p percept-credit --test method_pages",
            path.display()
        );
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            pages.contains_key(&name),
            "{} is of no method",
            path.display()
        );
    }
}
