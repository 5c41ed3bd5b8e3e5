//! The recipe's `[algorithm]` table, as a Python dict.

use percept_credit::{AdvantageConfig, CreditConfig, LossConfig, TokenWeightConfig};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// What of `[algorithm]` is mathematics. `filter` and `overlong` decide which
/// prompts and rewards reach the batch; a trainer reads them, and a recipe may be passed as it is.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Algorithm {
    advantage: AdvantageConfig,
    token_weight: Vec<TokenWeightConfig>,
    renormalize_weight: bool,
    pub loss: LossConfig,
    #[serde(rename = "filter")]
    _filter: Option<IgnoredAny>,
    #[serde(rename = "overlong")]
    _overlong: Option<IgnoredAny>,
    #[serde(rename = "image_ablation")]
    _image_ablation: Option<IgnoredAny>,
}

impl Algorithm {
    pub fn read(config: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut algorithm: Self = read_table(config)?;
        let refused =
            |error: percept_credit::Error| PyValueError::new_err(format!("config: {error}"));
        algorithm.credit().check().map_err(refused)?;
        algorithm.loss.check().map_err(refused)?;
        let (advantage, weights) = (&algorithm.advantage, &mut algorithm.token_weight);
        algorithm.loss.settle(advantage, weights).map_err(refused)?;
        Ok(algorithm)
    }

    pub fn credit(&self) -> CreditConfig {
        CreditConfig {
            advantage: self.advantage.clone(),
            token_weight: self.token_weight.clone(),
            renormalize_weight: self.renormalize_weight,
        }
    }
}

/// A table of options from a Python object; an error says where in it.
pub(crate) fn read_table<T: DeserializeOwned>(config: &Bound<'_, PyAny>) -> PyResult<T> {
    let mut reader = pythonize::Depythonizer::from_object(config);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let dot = if path == "." { "" } else { "." };
        let path = if path == "." { String::new() } else { path };
        PyValueError::new_err(format!("config{dot}{path}: {}", error.into_inner()))
    })
}
