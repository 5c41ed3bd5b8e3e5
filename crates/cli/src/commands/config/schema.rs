//! Looking up fields of a recipe in its JSON Schema.

use serde_json::Value;

/// References in references in choices: no field hides deeper.
const DEEPEST: usize = 8;

/// A node of the schema and the definitions that its references point to.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub node: &'a Value,
    pub defs: &'a Value,
}

impl<'a> Place<'a> {
    /// The root of a schema.
    pub fn root(schema: &'a Value) -> Self {
        Self {
            node: schema,
            defs: &schema["$defs"],
        }
    }

    fn at(self, node: &'a Value) -> Self {
        Self { node, ..self }
    }

    /// The elements of a list.
    pub fn item(self) -> Self {
        let list = self
            .branches()
            .into_iter()
            .find(|p| p.node["items"].is_object());
        self.at(&list.unwrap_or(self).node["items"])
    }

    /// What a field says of itself.
    pub fn doc(self) -> Option<&'a str> {
        self.node["description"].as_str()
    }

    /// This node and all that it refers to or chooses between, outermost first.
    fn branches(self) -> Vec<Self> {
        let mut found = vec![self];
        let mut next = 0;
        while next < found.len() && found.len() < 1 << DEEPEST {
            let here = found[next];
            next += 1;
            let target = here.node["$ref"]
                .as_str()
                .and_then(|r| r.rsplit('/').next());
            found.extend(target.and_then(|t| here.defs.get(t)).map(|n| here.at(n)));
            for key in ["anyOf", "oneOf", "allOf"] {
                let nodes = here.node[key].as_array().into_iter().flatten();
                found.extend(nodes.map(|n| here.at(n)));
            }
        }
        found
    }

    /// The kinds of a table that a constant tells apart: the constant's key, its value, the kind.
    pub fn kinds(self) -> Vec<(&'a str, &'a str, Self)> {
        let of = |place: Self| {
            let fields = place.node["properties"].as_object()?;
            fields.iter().find_map(|(key, node)| {
                let value = node["const"].as_str()?;
                Some((key.as_str(), value, place))
            })
        };
        self.branches().into_iter().filter_map(of).collect()
    }

    /// All fields of a table, in the order of the schema; of several kinds, those of the kind that
    /// `is_kind` (key, value) accepts.
    pub fn fields(self, is_kind: impl Fn(&str, &str) -> bool) -> Vec<(&'a str, Self)> {
        let kinds = self.kinds();
        let other = |place: &Self| {
            let kind = kinds
                .iter()
                .find(|(_, _, kind)| std::ptr::eq(kind.node, place.node));
            kind.is_some_and(|(key, value, _)| !is_kind(key, value))
        };
        let mut found: Vec<(&str, Self)> = Vec::new();
        for place in self.branches().into_iter().filter(|place| !other(place)) {
            for (key, node) in place.node["properties"].as_object().into_iter().flatten() {
                if !found.iter().any(|(known, _)| known == key) {
                    found.push((key, self.at(node)));
                }
            }
        }
        found
    }

    /// Whether the field is a table, or a list of tables.
    pub fn is_table(self) -> bool {
        if self.is_list() {
            return self.item().is_table();
        }
        let own = self.branches();
        let table = |place: &Self| place.node["properties"].is_object();
        // What may also be a bare name or a number is written in one line.
        own.iter().any(table)
            && !own
                .iter()
                .any(|p| ["string", "boolean"].iter().any(|t| p.node["type"] == *t))
    }

    /// Whether the field is a list.
    pub fn is_list(self) -> bool {
        self.branches()
            .iter()
            .any(|place| place.node["type"] == "array")
    }

    /// The type of a value, in words.
    pub fn type_name(self) -> String {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: String| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        for place in self.branches() {
            for value in place.node["enum"].as_array().into_iter().flatten() {
                add(value.to_string());
            }
            if let Some(value) = place.node["const"].as_str() {
                add(format!("{value:?}"));
                continue;
            }
            let types: Vec<&str> = match &place.node["type"] {
                Value::String(name) => vec![name],
                Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            for name in types {
                match name {
                    "null" => {}
                    "string" if place.node["enum"].is_array() => {}
                    "object" => add("table".into()),
                    "array" => {
                        let inner = place.item().type_name();
                        add(if inner.is_empty() {
                            "list".into()
                        } else {
                            format!("list of {inner}")
                        });
                    }
                    name => add(name.to_owned()),
                }
            }
        }
        names.join(" or ")
    }

    /// The value that the field has where it is not given.
    pub fn default(self) -> Option<&'a Value> {
        self.node.get("default").filter(|value| !value.is_null())
    }
}
