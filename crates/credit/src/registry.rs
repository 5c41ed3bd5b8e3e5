//! The registry: a configuration enum whose variants are methods, one line each.

use schemars::Schema;
use serde_json::{Value, json};

/// Declares `$config`, an enum read from `"name"` or from `{ name = "…", …the method's own options }`.
/// Each line names one method; its options are a struct of the variant's name that implements
/// `$method`. An unknown name is refused with the list of those that exist, an unknown option likewise.
macro_rules! methods {
    (
        $(#[$meta:meta])*
        $config:ident dispatches to $method:ident:
        $($name:literal => $variant:ident,)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "name", remote = "Self")]
        #[schemars(transform = crate::registry::or_name)]
        pub enum $config {
            $(
                #[doc = concat!("`", $name, "`: see [`", stringify!($variant), "`].")]
                #[serde(rename = $name)]
                #[schemars(extend("description" = crate::registry::about::<$variant>()))]
                $variant($variant),
            )+
        }

        impl $config {
            /// Names of all methods.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// Name of this method, as in the recipe.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// The method with its options.
            #[allow(dead_code)]
            pub(crate) fn method(&self) -> &dyn $method {
                match self {
                    $(Self::$variant(method) => method,)+
                }
            }

            /// The method, to be changed.
            #[allow(dead_code)]
            pub(crate) fn method_mut(&mut self) -> &mut dyn $method {
                match self {
                    $(Self::$variant(method) => method,)+
                }
            }
        }

        impl serde::Serialize for $config {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // The derived function, which the trait's name hides.
                <$config>::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $config {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct NameOrTable;

                impl<'de> serde::de::Visitor<'de> for NameOrTable {
                    type Value = $config;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("the name of a method, or a table with `name` and its options")
                    }

                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$config, E> {
                        let table = std::iter::once(("name", name));
                        <$config>::deserialize(serde::de::value::MapDeserializer::new(table))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$config, A::Error> {
                        <$config>::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_any(NameOrTable)
            }
        }
    };
}

pub(crate) use methods;

/// What the options of a method say of themselves: the first paragraph, as in the JSON Schema.
pub(crate) fn about<T: schemars::JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    let text = schema.get("description").and_then(Value::as_str);
    let first = text.and_then(|text| text.split("\n\n").next());
    first.unwrap_or_default().to_owned()
}

/// The schema of a registry also allows a method's bare name.
pub(crate) fn or_name(schema: &mut Schema) {
    let Some(tables) = schema.remove("oneOf") else {
        return;
    };
    let names: Vec<Value> = tables
        .as_array()
        .into_iter()
        .flatten()
        .map(|table| table["properties"]["name"]["const"].clone())
        .collect();
    let either = json!([{ "type": "string", "enum": names }, { "oneOf": tables }]);
    schema.insert("anyOf".to_owned(), either);
}
