//! The registry: a configuration enum whose variants are methods, one line each.

/// Declares `$config`, an enum read from `{ name = "…", …the method's own options }`. Each line
/// names one method; its options are a struct of the variant's name that implements `$method`.
/// An unknown name is refused with the list of those that exist, an unknown option likewise.
macro_rules! methods {
    (
        $(#[$meta:meta])*
        $config:ident dispatches to $method:ident, by default $default:ident:
        $($name:literal => $variant:ident,)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "name")]
        pub enum $config {
            $(
                #[doc = concat!("`", $name, "`: see [`", stringify!($variant), "`].")]
                #[serde(rename = $name)]
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
            pub(crate) fn method(&self) -> &dyn $method {
                match self {
                    $(Self::$variant(method) => method,)+
                }
            }
        }

        impl Default for $config {
            fn default() -> Self {
                Self::$default($default::default())
            }
        }
    };
}

pub(crate) use methods;
