//! The registry of verifier kinds, one line each.

use serde::{Deserialize, Serialize};

use crate::{
    Accuracy, Choice, Exact, ExternalCommand, Format, Iou, Kind, Length, Math, PythonFunction,
    ReactAttribution, ReactPreference,
};

/// What the options of a kind say of themselves: the first paragraph, as in the JSON Schema.
fn about<T: schemars::JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    let text = schema.get("description").and_then(|text| text.as_str());
    let first = text.and_then(|text| text.split("\n\n").next());
    first.unwrap_or_default().to_owned()
}

macro_rules! kinds {
    ($($name:literal => $kind:ident,)+) => {
        /// Kind of a reward function with its options, told apart by `name`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(tag = "name")]
        pub enum FunctionKind {
            $(
                #[doc = concat!("`", $name, "`: see [`", stringify!($kind), "`].")]
                #[serde(rename = $name)]
                #[schemars(extend("description" = about::<$kind>()))]
                $kind($kind),
            )+
        }

        impl FunctionKind {
            /// Names of all kinds.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// Name of this kind, as in the recipe.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)+
                }
            }

            /// Whether it looks at this column of a row, beside the answer.
            pub fn reads(&self, column: &str) -> bool {
                self.kind().reads(column)
            }

            /// Its options.
            pub(crate) fn kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$kind(kind) => kind,)+
                }
            }
        }
    };
}

kinds! {
    "accuracy" => Accuracy,
    "math" => Math,
    "exact" => Exact,
    "choice" => Choice,
    "iou" => Iou,
    "format" => Format,
    "length" => Length,
    "react_attribution" => ReactAttribution,
    "react_preference" => ReactPreference,
    "python" => PythonFunction,
    "command" => ExternalCommand,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_looks_at_is_not_called_unused() {
        let reads = |text: &str, column: &str| {
            let kind: FunctionKind = serde_json::from_str(text).unwrap();
            kind.reads(column)
        };
        let iou = r#"{"name": "iou", "coordinates": "fractions"}"#;
        assert!(reads(iou, "width") && reads(iou, "resized_height") && !reads(iou, "level"));
        let choice = r#"{"name": "choice", "options": "choices"}"#;
        assert!(reads(choice, "choices") && !reads(choice, "options"));
        assert!(reads(r#"{"name": "accuracy"}"#, "options"));
        assert!(!reads(r#"{"name": "math"}"#, "options"));
        assert!(reads(
            r#"{"name": "command", "command": ["x"]}"#,
            "anything"
        ));
    }
}
