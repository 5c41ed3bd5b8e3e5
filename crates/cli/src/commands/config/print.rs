//! A recipe as TOML with comments. What is set is printed as it is; what is not set is printed as a
//! comment that can be made a setting by removing the `#`.

use serde_json::Value;
use toml::Table;

use super::schema::Place;

/// Documentation is wrapped at this width.
const WIDTH: usize = 96;

/// The recipe with the documentation of every field.
pub fn recipe(table: &Table, schema: &Value) -> String {
    let mut page = Page::default();
    page.table(table, Place::root(schema), "");
    page.text.trim_start().to_owned()
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// The fields of a table that is set: values first, as TOML wants it, then tables.
    fn table(&mut self, table: &Table, place: Place<'_>, path: &str) {
        let fields =
            place.fields(|key, value| table.get(key).and_then(|v| v.as_str()) == Some(value));
        let field = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|f| f.1);
        for (key, value) in table.iter().filter(|(_, value)| !is_table(value)) {
            self.document(field(key).and_then(Place::doc));
            self.kinds(place, key);
            self.text.push_str(&format!("{key} = {value}\n"));
        }
        let unset = || fields.iter().filter(|(key, _)| !table.contains_key(*key));
        for (key, place) in unset().filter(|(_, place)| !place.is_table()) {
            self.document(place.doc());
            self.choices(*place);
            self.line(&unset_note(*place));
            self.line(&format!("{key} = {}", example(*place)));
        }
        for (key, value) in table.iter().filter(|(_, value)| is_table(value)) {
            let path = below(path, key);
            let place = field(key).unwrap_or(place);
            match value {
                toml::Value::Table(inner) => {
                    self.head(place.doc(), &format!("[{path}]\n"));
                    self.table(inner, place, &path);
                }
                toml::Value::Array(items) => {
                    for inner in items.iter().filter_map(toml::Value::as_table) {
                        self.head(place.doc(), &format!("[[{path}]]\n"));
                        self.table(inner, place.item(), &path);
                    }
                }
                _ => {}
            }
        }
        for (key, place) in unset().filter(|(_, place)| place.is_table()) {
            self.unset_table(*place, &below(path, key));
        }
    }

    /// A table that is not set, as comments.
    fn unset_table(&mut self, place: Place<'_>, path: &str) {
        let (open, close, place, doc) = match place.is_list() {
            true => ("[[", "]]", place.item(), place.doc()),
            false => ("[", "]", place, place.doc()),
        };
        self.head(doc, "");
        self.line("Not set.");
        self.line(&format!("{open}{path}{close}"));
        let fields = place.fields(|_, _| false);
        if let Some((key, ..)) = place.kinds().first() {
            self.kinds(place, key);
            self.line(&format!("{key} = …"));
        }
        let (tables, values): (Vec<_>, Vec<_>) =
            fields.into_iter().partition(|(_, place)| place.is_table());
        for (key, place) in values {
            self.document(place.doc());
            self.choices(place);
            self.line(&format!("{key} = {}", example(place)));
        }
        for (key, place) in tables {
            self.unset_table(place, &below(path, key));
        }
    }

    /// The kinds that the value of `key` chooses between, each with its options.
    fn kinds(&mut self, place: Place<'_>, key: &str) {
        if place.kinds().iter().any(|(name, ..)| *name == key) {
            self.line("One of:");
            self.options(place);
        }
    }

    /// The same for a field that is not set, or for the elements of its list.
    fn choices(&mut self, place: Place<'_>) {
        let place = if place.is_list() { place.item() } else { place };
        if !place.kinds().is_empty() {
            self.line("A name, or a table with options:");
            self.options(place);
        }
    }

    fn options(&mut self, place: Place<'_>) {
        for (name, value, kind) in place.kinds() {
            let mut options = vec![format!("{name} = {value:?}")];
            // Its own fields only: those that all kinds share are printed with the table.
            for (key, node) in kind.node["properties"].as_object().into_iter().flatten() {
                if key != name {
                    let place = Place { node, ..kind };
                    options.push(format!("{key} = {}", example(place)));
                }
            }
            self.line(&format!("  {{ {} }}", options.join(", ")));
        }
    }

    fn head(&mut self, doc: Option<&str>, head: &str) {
        self.text.push('\n');
        self.document(doc);
        self.text.push_str(head);
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(&format!("# {text}\n"));
    }

    fn document(&mut self, doc: Option<&str>) {
        let Some(doc) = doc else { return };
        for paragraph in doc.split("\n\n") {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let length = line.chars().count() + 1 + word.chars().count();
                if !line.is_empty() && length + 2 > WIDTH {
                    self.line(&line);
                    line.clear();
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            self.line(&line);
        }
    }
}

fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

fn is_table(value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(_) => true,
        toml::Value::Array(items) => items.iter().any(toml::Value::is_table),
        _ => false,
    }
}

/// `Not set. Type: integer.`
fn unset_note(place: Place<'_>) -> String {
    match place.type_name() {
        name if name.is_empty() => "Not set.".to_owned(),
        name => format!("Not set. Type: {name}."),
    }
}

/// The default as TOML; of a field without one, its type in angle brackets.
fn example(place: Place<'_>) -> String {
    match place.default().map(inline) {
        Some(Some(value)) => value,
        _ => match place.type_name() {
            // The note above it names the choices.
            name if name.is_empty() || name.contains(" or ") => "…".to_owned(),
            name => format!("<{name}>"),
        },
    }
}

/// A JSON value in one line of TOML.
fn inline(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() => toml::Value::Float(x).to_string(),
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let pair = |(key, value)| Some(format!("{key} = {}", inline(value)?));
            let fields: Vec<String> = fields.iter().filter_map(pair).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::quickstart_recipe;
    use percept_train::Recipe;

    fn printed() -> (Recipe, String) {
        let recipe = percept_train::parse(quickstart_recipe::RECIPE, "test", &[]).unwrap();
        let table: Table = toml::from_str(&recipe.to_toml().unwrap()).unwrap();
        let text = super::recipe(&table, &Recipe::json_schema());
        (recipe, text)
    }

    #[test]
    fn every_field_of_the_quick_start_recipe_is_documented_and_reads_back() {
        let (recipe, out) = printed();
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

    // F5
    #[test]
    fn every_key_of_a_recipe_is_printed_whether_it_is_set_or_not() {
        let (_, out) = printed();
        let missing: Vec<String> = Recipe::keys()
            .into_iter()
            .filter(|key| {
                let name = key.rsplit('.').next().unwrap();
                let value = format!("{name} =");
                let tables = [format!("{key}]"), format!("{key}.")];
                !out.contains(&value) && !tables.iter().any(|table| out.contains(table))
            })
            .collect();
        assert!(missing.is_empty(), "{missing:?}\n{out}");
        for line in ["# max_pixels = <integer>", "# [model.lora]", "# r = 16"] {
            assert!(out.contains(line), "{line}\n{out}");
        }
    }
}
