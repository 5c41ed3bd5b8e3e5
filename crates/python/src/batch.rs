//! Flat NumPy arrays as the [`Signals`] of percept-credit.

use numpy::{Element, PyArrayMethods, PyReadonlyArray1};
use percept_credit::{Offsets, Signals};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Borrowed arrays: Python cannot write to them while this lives.
pub(crate) struct Arrays<'py> {
    offsets: PyReadonlyArray1<'py, i64>,
    group: Option<PyReadonlyArray1<'py, i64>>,
    reward: Option<PyReadonlyArray1<'py, f64>>,
    mask: PyReadonlyArray1<'py, bool>,
    advantage: Option<PyReadonlyArray1<'py, f32>>,
    log_prob: Option<PyReadonlyArray1<'py, f32>>,
    old_log_prob: Option<PyReadonlyArray1<'py, f32>>,
    rollout_log_prob: Option<PyReadonlyArray1<'py, f32>>,
    ref_log_prob: Option<PyReadonlyArray1<'py, f32>>,
    entropy: Option<PyReadonlyArray1<'py, f32>>,
    nucleus_entropy: Option<PyReadonlyArray1<'py, f32>>,
    log_prob_no_image: Option<PyReadonlyArray1<'py, f32>>,
    visual_entropy: Option<PyReadonlyArray1<'py, f64>>,
    is_expert: Option<PyReadonlyArray1<'py, bool>>,
}

pub(crate) fn array<'py, T: Element>(
    arrays: &Bound<'py, PyDict>,
    key: &str,
) -> PyResult<Option<PyReadonlyArray1<'py, T>>> {
    let Some(value) = arrays.get_item(key)? else {
        return Ok(None);
    };
    let array = value.cast::<numpy::PyArray1<T>>().map_err(|_| {
        PyTypeError::new_err(format!(
            "batch[{key:?}]: expected a flat array of the native type, found {}",
            value.get_type()
        ))
    })?;
    Ok(Some(array.try_readonly().map_err(|error| {
        PyValueError::new_err(format!("batch[{key:?}]: {error}"))
    })?))
}

pub(crate) fn needed<T>(key: &str, found: Option<T>) -> PyResult<T> {
    found.ok_or_else(|| PyValueError::new_err(format!("batch has no {key:?}")))
}

impl<'py> Arrays<'py> {
    pub fn read(arrays: &Bound<'py, PyDict>) -> PyResult<Self> {
        Ok(Self {
            offsets: needed("offsets", array(arrays, "offsets")?)?,
            mask: needed("response_mask", array(arrays, "response_mask")?)?,
            group: array(arrays, "group")?,
            reward: array(arrays, "reward")?,
            advantage: array(arrays, "advantage")?,
            log_prob: array(arrays, "log_prob")?,
            old_log_prob: array(arrays, "old_log_prob")?,
            rollout_log_prob: array(arrays, "rollout_log_prob")?,
            ref_log_prob: array(arrays, "ref_log_prob")?,
            entropy: array(arrays, "entropy")?,
            nucleus_entropy: array(arrays, "nucleus_entropy")?,
            log_prob_no_image: array(arrays, "log_prob_no_image")?,
            visual_entropy: array(arrays, "visual_entropy")?,
            is_expert: array(arrays, "is_expert")?,
        })
    }

    pub fn batch(&self) -> PyResult<Batch<'_>> {
        let offsets = offsets(&self.offsets)?;
        let rows = offsets.rows();
        let group = match &self.group {
            // The losses read no groups and no rewards.
            None => vec![0; rows],
            Some(group) => slice("group", group)?
                .iter()
                .map(|&group| group as u64 as usize)
                .collect(),
        };
        let rewards = match &self.reward {
            None => vec![Some(0.0); rows],
            Some(reward) => slice("reward", reward)?
                .iter()
                .map(|&reward| (!reward.is_nan()).then_some(reward))
                .collect(),
        };
        Ok(Batch {
            offsets,
            group,
            rewards,
            mask: slice("response_mask", &self.mask)?,
            advantage: optional("advantage", &self.advantage)?,
            log_prob: optional("log_prob", &self.log_prob)?,
            old_log_prob: optional("old_log_prob", &self.old_log_prob)?,
            rollout_log_prob: optional("rollout_log_prob", &self.rollout_log_prob)?,
            ref_log_prob: optional("ref_log_prob", &self.ref_log_prob)?,
            entropy: optional("entropy", &self.entropy)?,
            nucleus_entropy: optional("nucleus_entropy", &self.nucleus_entropy)?,
            log_prob_no_image: optional("log_prob_no_image", &self.log_prob_no_image)?,
            visual_entropy: optional("visual_entropy", &self.visual_entropy)?,
            is_expert: optional("is_expert", &self.is_expert)?,
        })
    }
}

/// Row boundaries in the `cu_seqlens` form.
pub(crate) fn offsets(array: &PyReadonlyArray1<'_, i64>) -> PyResult<Offsets> {
    Offsets::from_cu_seqlens(&counts("offsets", array)?).map_err(crate::error::refused)
}

/// Numbers that cannot be negative.
pub(crate) fn counts(key: &str, array: &PyReadonlyArray1<'_, i64>) -> PyResult<Vec<usize>> {
    let count = |&count: &i64| {
        usize::try_from(count)
            .map_err(|_| PyValueError::new_err(format!("batch[{key:?}] holds {count}")))
    };
    slice(key, array)?.iter().map(count).collect()
}

pub(crate) fn slice<'a, T: Element>(
    key: &str,
    array: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<&'a [T]> {
    array
        .as_slice()
        .map_err(|error| PyValueError::new_err(format!("batch[{key:?}]: {error}")))
}

pub(crate) fn optional<'a, T: Element>(
    key: &str,
    array: &'a Option<PyReadonlyArray1<'_, T>>,
) -> PyResult<Option<&'a [T]>> {
    array.as_ref().map(|array| slice(key, array)).transpose()
}

/// The same as plain slices, free of the interpreter.
pub(crate) struct Batch<'a> {
    offsets: Offsets,
    group: Vec<usize>,
    rewards: Vec<Option<f64>>,
    mask: &'a [bool],
    advantage: Option<&'a [f32]>,
    log_prob: Option<&'a [f32]>,
    old_log_prob: Option<&'a [f32]>,
    rollout_log_prob: Option<&'a [f32]>,
    ref_log_prob: Option<&'a [f32]>,
    entropy: Option<&'a [f32]>,
    nucleus_entropy: Option<&'a [f32]>,
    log_prob_no_image: Option<&'a [f32]>,
    visual_entropy: Option<&'a [f64]>,
    is_expert: Option<&'a [bool]>,
}

impl<'a> Batch<'a> {
    pub fn advantage(&self) -> Option<&'a [f32]> {
        self.advantage
    }

    pub fn signals(&self) -> Signals<'_> {
        Signals {
            offsets: &self.offsets,
            group: &self.group,
            rewards: &self.rewards,
            mask: self.mask,
            log_prob: self.log_prob.unwrap_or(&[]),
            old_log_prob: self.old_log_prob.unwrap_or(&[]),
            rollout_log_prob: self.rollout_log_prob,
            ref_log_prob: self.ref_log_prob,
            ref_kl: None,
            entropy: self.entropy,
            nucleus_entropy: self.nucleus_entropy,
            log_prob_no_image: self.log_prob_no_image,
            visual_entropy: self.visual_entropy,
            is_expert: self.is_expert,
        }
    }
}
