//! `percept_rl._native`: percept-credit on NumPy arrays.
//!
//! Everything here takes flat, contiguous arrays of the right type; `percept_rl` (Python, folder
//! `python/`) makes them out of what users have: padded or ragged, NumPy or DLPack, any float type.
//! The interpreter is free while Rust computes.

mod algorithm;
mod batch;
mod error;
mod preference;
mod stats;

use numpy::{IntoPyArray, PyArray1};
use percept_credit::preference::PreferenceConfig;
use percept_credit::{Credit, Normaliser, policy_loss as credit_policy_loss};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use algorithm::Algorithm;
use batch::Arrays;
use error::refused;
use stats::stats;

/// Advantage (weights included), weight, mask and statistics of a rollout batch.
#[pyfunction]
fn credit<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    arrays: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let algorithm = Algorithm::read(config)?;
    let arrays = Arrays::read(arrays)?;
    let batch = arrays.batch()?;
    let credit = py
        .detach(|| algorithm.credit().credit(&batch.signals()))
        .map_err(refused)?;
    let out = PyDict::new(py);
    out.set_item("advantage", credit.advantage.into_pyarray(py))?;
    out.set_item("weight", credit.weight.into_pyarray(py))?;
    out.set_item("loss_mask", credit.mask.into_pyarray(py))?;
    out.set_item("stats", stats(py, &credit.stats)?)?;
    Ok(out)
}

type LossAndGradients<'py> = (
    f64,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyDict>,
);

/// Loss, `∂loss/∂log_prob`, `∂loss/∂entropy` and statistics of a micro-batch.
#[pyfunction]
#[pyo3(signature = (config, arrays, total=None))]
fn policy_loss<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    arrays: &Bound<'py, PyDict>,
    total: Option<(usize, usize)>,
) -> PyResult<LossAndGradients<'py>> {
    let algorithm = Algorithm::read(config)?;
    let arrays = Arrays::read(arrays)?;
    let batch = arrays.batch()?;
    let (loss, own) = py
        .detach(|| {
            let signals = batch.signals();
            let config = algorithm.credit();
            let credit = match batch.advantage() {
                Some(advantage) => Credit {
                    advantage: advantage.to_vec(),
                    weight: vec![1.0; advantage.len()],
                    mask: signals.mask.to_vec(),
                    ..Credit::default()
                },
                None => config.credit(&signals)?,
            };
            let credit = config.reweight(&signals, &credit)?.unwrap_or(credit);
            let total = total.map_or_else(
                || Normaliser::of(signals.offsets, &credit.mask),
                |(tokens, sequences)| Normaliser { tokens, sequences },
            );
            let loss = credit_policy_loss(&algorithm.loss, &signals, &credit, &total)?;
            Ok::<_, percept_credit::Error>((loss, credit.stats))
        })
        .map_err(refused)?;
    let explained = stats(py, &own)?;
    explained.update(stats(py, &loss.metrics)?.as_mapping())?;
    Ok((
        loss.loss,
        loss.d_log_prob.into_pyarray(py),
        loss.d_entropy.into_pyarray(py),
        explained,
    ))
}

/// Update-stage weights (FIPO) on a given advantage: advantage, weight, mask, statistics; None when
/// the recipe has no such part.
#[pyfunction]
fn reweight<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    arrays: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let algorithm = Algorithm::read(config)?;
    let arrays = Arrays::read(arrays)?;
    let batch = arrays.batch()?;
    let given = batch
        .advantage()
        .ok_or_else(|| PyValueError::new_err("batch has no \"advantage\""))?;
    let credit = py
        .detach(|| {
            let signals = batch.signals();
            let credit = Credit {
                advantage: given.to_vec(),
                weight: vec![1.0; given.len()],
                mask: signals.mask.to_vec(),
                ..Credit::default()
            };
            algorithm.credit().reweight(&signals, &credit)
        })
        .map_err(refused)?;
    let Some(credit) = credit else {
        return Ok(None);
    };
    let out = PyDict::new(py);
    out.set_item("advantage", credit.advantage.into_pyarray(py))?;
    out.set_item("weight", credit.weight.into_pyarray(py))?;
    out.set_item("loss_mask", credit.mask.into_pyarray(py))?;
    out.set_item("stats", stats(py, &credit.stats)?)?;
    Ok(Some(out))
}

/// The signals that a recipe reads, by the names that batches use.
#[pyfunction]
fn needs<'py>(py: Python<'py>, config: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let algorithm = Algorithm::read(config)?;
    let needs = algorithm.credit().needs();
    let out = PyDict::new(py);
    out.set_item("entropy", needs.entropy)?;
    out.set_item("nucleus_entropy", needs.nucleus_entropy)?;
    out.set_item("log_prob_no_image", needs.no_image)?;
    out.set_item("visual_entropy", needs.visual_entropy)?;
    out.set_item("old_log_prob", needs.old_log_prob)?;
    out.set_item("is_expert", needs.experts)?;
    Ok(out)
}

/// Names of the registered parts.
#[pyfunction]
fn methods(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("advantage", percept_credit::AdvantageConfig::NAMES)?;
    out.set_item("token_weight", percept_credit::TokenWeightConfig::NAMES)?;
    out.set_item("policy_loss", percept_credit::PolicyLossConfig::NAMES)?;
    out.set_item("preference", PreferenceConfig::NAMES)?;
    Ok(out)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(credit, module)?)?;
    module.add_function(wrap_pyfunction!(policy_loss, module)?)?;
    module.add_function(wrap_pyfunction!(reweight, module)?)?;
    module.add_function(wrap_pyfunction!(needs, module)?)?;
    module.add_function(wrap_pyfunction!(preference::preference_loss, module)?)?;
    module.add_function(wrap_pyfunction!(preference::preference_totals, module)?)?;
    module.add_function(wrap_pyfunction!(preference::preference_needs, module)?)?;
    module.add_function(wrap_pyfunction!(methods, module)?)
}
