//! Preference pairs: flat NumPy arrays by kind of response, and the loss on them.

use std::collections::BTreeMap;

use numpy::{IntoPyArray, PyReadonlyArray1};
use percept_credit::Offsets;
use percept_credit::preference::{
    Kind, PreferenceBatch, PreferenceConfig, PreferenceState, PreferenceTotals, Responses,
    preference_loss as credit_preference_loss,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::algorithm::read_table;
use crate::batch::{array, counts, needed, offsets, optional};
use crate::error::refused;
use crate::stats::stats;

/// Borrowed arrays of one kind of response.
struct Arrays<'py> {
    offsets: Offsets,
    rows: Option<Offsets>,
    length: Option<Vec<usize>>,
    log_prob: Option<PyReadonlyArray1<'py, f32>>,
    ref_log_prob: Option<PyReadonlyArray1<'py, f32>>,
    weight: Option<PyReadonlyArray1<'py, f32>>,
    ref_kl: Option<PyReadonlyArray1<'py, f32>>,
    phrase: Option<PyReadonlyArray1<'py, u32>>,
}

impl<'py> Arrays<'py> {
    fn read(arrays: &Bound<'py, PyDict>) -> PyResult<Self> {
        let numbers = |key| -> PyResult<Option<Vec<usize>>> {
            let found = array::<i64>(arrays, key)?;
            found.map(|found| counts(key, &found)).transpose()
        };
        Ok(Self {
            offsets: offsets(&needed("offsets", array(arrays, "offsets")?)?)?,
            rows: numbers("rows")?.map(Offsets::from_lengths),
            length: numbers("length")?,
            log_prob: array(arrays, "log_prob")?,
            ref_log_prob: array(arrays, "ref_log_prob")?,
            weight: array(arrays, "weight")?,
            ref_kl: array(arrays, "ref_kl")?,
            phrase: array(arrays, "phrase")?,
        })
    }

    fn responses(&self) -> PyResult<Responses<'_>> {
        Ok(Responses {
            rows: self.rows.as_ref(),
            log_prob: optional("log_prob", &self.log_prob)?,
            ref_log_prob: optional("ref_log_prob", &self.ref_log_prob)?,
            weight: optional("weight", &self.weight)?,
            ref_kl: optional("ref_kl", &self.ref_kl)?,
            phrase: optional("phrase", &self.phrase)?,
            length: self.length.as_deref(),
            ..Responses::new(&self.offsets)
        })
    }
}

/// Borrowed arrays of a batch: a dict of them for each kind, and arrays per pair.
struct Pairs<'py> {
    pairs: usize,
    responses: BTreeMap<Kind, Arrays<'py>>,
    clip_gap: Option<PyReadonlyArray1<'py, f32>>,
    confidence: Option<PyReadonlyArray1<'py, f32>>,
    draw: Option<PyReadonlyArray1<'py, f64>>,
}

impl<'py> Pairs<'py> {
    fn read(pairs: usize, arrays: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut responses = BTreeMap::new();
        for &kind in Kind::ALL {
            if let Some(own) = arrays.get_item(kind.name())? {
                responses.insert(kind, Arrays::read(own.cast::<PyDict>()?)?);
            }
        }
        Ok(Self {
            pairs,
            responses,
            clip_gap: array(arrays, "clip_gap")?,
            confidence: array(arrays, "confidence")?,
            draw: array(arrays, "draw")?,
        })
    }

    fn batch(&self) -> PyResult<PreferenceBatch<'_>> {
        let responses = self.responses.iter();
        let responses = responses.map(|(&kind, arrays)| Ok((kind, arrays.responses()?)));
        Ok(PreferenceBatch {
            pairs: self.pairs,
            responses: responses.collect::<PyResult<_>>()?,
            clip_gap: optional("clip_gap", &self.clip_gap)?,
            confidence: optional("confidence", &self.confidence)?,
            draw: optional("draw", &self.draw)?,
        })
    }
}

fn read(config: &Bound<'_, PyAny>) -> PyResult<PreferenceConfig> {
    let config: PreferenceConfig = read_table(config)?;
    config
        .check()
        .map_err(|error| PyValueError::new_err(format!("config: {error}")))?;
    Ok(config)
}

type LossAndGradients<'py> = (f64, Bound<'py, PyDict>, Bound<'py, PyDict>, f64);

/// Loss, gradients by kind of response (`log_prob`, and `ref_kl` where it is read), metrics, and the
/// running mean that DAMA keeps.
#[pyfunction]
#[pyo3(signature = (config, pairs, arrays, totals=None, gap_mean=0.0))]
pub(crate) fn preference_loss<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    pairs: usize,
    arrays: &Bound<'py, PyDict>,
    totals: Option<&Bound<'py, PyAny>>,
    gap_mean: f64,
) -> PyResult<LossAndGradients<'py>> {
    let config = read(config)?;
    let pairs = Pairs::read(pairs, arrays)?;
    let batch = pairs.batch()?;
    let given = totals.map(|totals| {
        pythonize::depythonize(totals)
            .map_err(|error| PyValueError::new_err(format!("totals: {error}")))
    });
    let given: Option<PreferenceTotals> = given.transpose()?;
    let found = py
        .detach(|| {
            batch.check_shapes()?;
            let totals = given.unwrap_or_else(|| PreferenceTotals::of(&batch));
            credit_preference_loss(&config, &batch, &PreferenceState { gap_mean }, &totals)
        })
        .map_err(refused)?;
    let gradients = PyDict::new(py);
    for (kind, gradient) in found.gradients {
        let own = PyDict::new(py);
        own.set_item("log_prob", gradient.d_log_prob.into_pyarray(py))?;
        if !gradient.d_ref_kl.is_empty() {
            own.set_item("ref_kl", gradient.d_ref_kl.into_pyarray(py))?;
        }
        gradients.set_item(kind.name(), own)?;
    }
    Ok((
        found.loss,
        gradients,
        stats(py, &found.metrics)?,
        found.state.gap_mean,
    ))
}

/// Counts of a batch, to be added up over a mini-batch.
#[pyfunction]
pub(crate) fn preference_totals<'py>(
    py: Python<'py>,
    pairs: usize,
    arrays: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let pairs = Pairs::read(pairs, arrays)?;
    let batch = pairs.batch()?;
    batch.check_shapes().map_err(refused)?;
    Ok(pythonize::pythonize(py, &PreferenceTotals::of(&batch))?)
}

/// What a loss reads.
#[pyfunction]
pub(crate) fn preference_needs<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(pythonize::pythonize(py, &read(config)?.needs())?)
}
