//! `percept config`: the resolved recipe with the documentation of every field.

use percept_train::Recipe;
use serde_json::Value;

use crate::args::Config;
use crate::output::say;
use crate::{Done, Failure, quickstart};

/// Documentation is wrapped at this width.
const WIDTH: usize = 96;

pub fn run(args: &Config) -> Result<Done, Failure> {
    let schema = Recipe::json_schema();
    if args.schema {
        say!("{}", serde_json::to_string_pretty(&schema)?);
        return Ok(Done::Well);
    }
    let recipe = match &args.recipe {
        Some(path) => percept_train::load(path, &args.set)?,
        None => percept_train::parse(quickstart::RECIPE, "the quick-start recipe", &args.set)?,
    };
    let text = recipe.to_toml()?;
    if args.bare {
        crate::output::result(format_args!("{text}"))?;
        return Ok(Done::Well);
    }
    let table: toml::Table = toml::from_str(&text)?;
    let mut out = String::new();
    write_table(
        &mut out,
        &table,
        Place {
            schema: &schema,
            defs: &schema["$defs"],
        },
        "",
    );
    crate::output::result(format_args!("{}", out.trim_start()))?;
    Ok(Done::Well)
}

/// A node of the schema and the definitions that its references point to.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: &'a Value,
    defs: &'a Value,
}

impl<'a> Place<'a> {
    /// The schema of a field, wherever a reference or a choice hides it, and its documentation.
    fn field(self, name: &str) -> Option<(Place<'a>, Option<&'a str>)> {
        let node = self.find(name, 0)?;
        let doc = node["description"].as_str();
        Some((
            Place {
                schema: node,
                ..self
            },
            doc,
        ))
    }

    fn find(self, name: &str, depth: usize) -> Option<&'a Value> {
        if depth > 8 {
            return None;
        }
        if let Some(node) = self.schema["properties"].get(name) {
            return Some(node);
        }
        let inner = |schema| Place { schema, ..self }.find(name, depth + 1);
        if let Some(target) = self.schema["$ref"].as_str() {
            return inner(self.defs.get(target.rsplit('/').next()?)?);
        }
        ["anyOf", "oneOf", "allOf"]
            .iter()
            .filter_map(|key| self.schema[*key].as_array())
            .flatten()
            .find_map(inner)
    }

    /// The values of a field that tells apart the kinds of a table (`name = "grpo"`).
    fn constants(self, name: &str, depth: usize) -> Vec<&'a str> {
        if depth > 8 {
            return Vec::new();
        }
        if let Some(value) = self.schema["properties"][name]["const"].as_str() {
            return vec![value];
        }
        let inner = |schema| Place { schema, ..self }.constants(name, depth + 1);
        let target = self.schema["$ref"]
            .as_str()
            .and_then(|r| r.rsplit('/').next());
        let mut found = target
            .and_then(|t| self.defs.get(t))
            .map(inner)
            .unwrap_or_default();
        for key in ["anyOf", "oneOf", "allOf"] {
            found.extend(
                self.schema[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(inner),
            );
        }
        found
    }

    fn item(self) -> Place<'a> {
        Place {
            schema: &self.schema["items"],
            ..self
        }
    }
}

fn write_table(out: &mut String, table: &toml::Table, place: Place<'_>, path: &str) {
    for (key, value) in table {
        if is_table(value) {
            continue;
        }
        let doc = place.field(key).and_then(|(_, doc)| doc.map(str::to_owned));
        let kinds = place.constants(key, 0);
        let choice = || (!kinds.is_empty()).then(|| format!("One of: {}.", kinds.join(", ")));
        document(out, doc.or_else(choice).as_deref());
        out.push_str(&format!("{key} = {value}\n"));
    }
    for (key, value) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let found = place.field(key);
        let inner = found.map_or(place, |(inner, _)| inner);
        match value {
            toml::Value::Table(table) => {
                out.push('\n');
                document(out, found.and_then(|(_, doc)| doc));
                out.push_str(&format!("[{path}]\n"));
                write_table(out, table, inner, &path);
            }
            toml::Value::Array(items) if is_table(value) => {
                for table in items.iter().filter_map(toml::Value::as_table) {
                    out.push('\n');
                    document(out, found.and_then(|(_, doc)| doc));
                    out.push_str(&format!("[[{path}]]\n"));
                    write_table(out, table, inner.item(), &path);
                }
            }
            _ => {}
        }
    }
}

fn is_table(value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(_) => true,
        toml::Value::Array(items) => items.iter().any(toml::Value::is_table),
        _ => false,
    }
}

fn document(out: &mut String, doc: Option<&str>) {
    let Some(doc) = doc else { return };
    for paragraph in doc.split("\n\n") {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                out.push_str(&line);
                out.push('\n');
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        out.push_str(&line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_quick_start_recipe_is_documented_and_reads_back() {
        let recipe = percept_train::parse(quickstart::RECIPE, "test", &[]).unwrap();
        let table: toml::Table = toml::from_str(&recipe.to_toml().unwrap()).unwrap();
        let schema = Recipe::json_schema();
        let mut out = String::new();
        write_table(
            &mut out,
            &table,
            Place {
                schema: &schema,
                defs: &schema["$defs"],
            },
            "",
        );
        let back = percept_train::parse(&out, "printed", &[]).unwrap();
        assert_eq!(back, recipe.settled().unwrap());
        let lines: Vec<&str> = out.lines().collect();
        for pair in lines.windows(2) {
            let field = pair[1].contains(" = ") && !pair[1].starts_with('#');
            assert!(
                !field || pair[0].starts_with('#'),
                "undocumented: {}",
                pair[1]
            );
        }
    }
}
