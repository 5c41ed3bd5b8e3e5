//! `--attention`: another attention than the checkpoint's, or other options of its own.

use std::str::FromStr;

use percept_kernels::sparse::AttentionConfig;
use percept_model::{Model, Processor};
use serde::Deserialize;

use crate::shared::Failure;
use crate::shared::output::note;

/// The value of `--attention`.
#[derive(Debug, Clone)]
pub struct AttentionArg {
    text: String,
    table: toml::Table,
}

impl FromStr for AttentionArg {
    type Err = String;

    /// A name, or a TOML table, whose braces may be left out.
    fn from_str(text: &str) -> Result<Self, String> {
        let value = match text.trim_start().starts_with('{') || !text.contains('=') {
            true => text.trim().to_owned(),
            false => format!("{{ {text} }}"),
        };
        let table = match value.starts_with('{') {
            true => toml::from_str::<toml::Table>(&format!("attention = {value}"))
                .map_err(|e| e.message().to_owned())?
                .remove("attention")
                .and_then(|value| value.try_into().ok())
                .unwrap_or_default(),
            false => toml::Table::from_iter([("name".to_owned(), value.into())]),
        };
        let arg = Self {
            text: text.to_owned(),
            table,
        };
        if arg.table.contains_key("name") {
            arg.of(&AttentionConfig::Full)?;
        }
        Ok(arg)
    }
}

impl AttentionArg {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What becomes of `before`.
    fn of(&self, before: &AttentionConfig) -> Result<AttentionConfig, String> {
        let mut table = match self.table.contains_key("name") {
            true => toml::Table::new(),
            false => toml::Table::try_from(before).map_err(|e| e.to_string())?,
        };
        table.extend(self.table.clone());
        AttentionConfig::deserialize(table).map_err(|e| e.message().to_owned())
    }

    /// Changes the model's attention.
    pub fn apply(&self, model: &mut Model, processor: &Processor) -> Result<(), Failure> {
        let before = model.config().attention.config();
        let after = self.of(before).map_err(|e| {
            let name = before.name();
            Failure::new(format!(
                "--attention {}: {e}\n  help: the checkpoint's attention is \"{name}\"; name another, for \
                 example '{{ name = \"phsa\", top_k = 4 }}'",
                self.text
            ))
        })?;
        let without_gates = before.branches().is_ok_and(|branches| branches.is_none());
        let after = processor.attention(after)?;
        if without_gates && after.config().name() == "nsa" {
            note!(
                "the model has no NSA gates: until they are trained, every branch has weight 0.5"
            );
        }
        Ok(model.set_attention(after)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use percept_kernels::sparse::{InfLlm2, Phsa};

    #[test]
    fn a_name_begins_anew_and_options_alone_change_what_is_there() {
        let phsa = |top_k, init| {
            AttentionConfig::Phsa(Phsa {
                top_k,
                init,
                ..Phsa::default()
            })
        };
        let of = |text: &str| text.parse::<AttentionArg>().unwrap().of(&phsa(2, 16));
        assert_eq!(
            of("infllm2"),
            Ok(AttentionConfig::InfLlm2(InfLlm2::default()))
        );
        assert_eq!(of("{ name = \"phsa\", top_k = 4 }"), Ok(phsa(4, 128)));
        assert_eq!(of("{ top_k = 4 }"), Ok(phsa(4, 16)));
        assert_eq!(of("top_k=4"), Ok(phsa(4, 16)));
        assert!(of("window=4").unwrap_err().contains("window"));
        assert!(
            "phsaa"
                .parse::<AttentionArg>()
                .unwrap_err()
                .contains("moba")
        );
        assert!("{ top_k = ".parse::<AttentionArg>().is_err());
    }
}
