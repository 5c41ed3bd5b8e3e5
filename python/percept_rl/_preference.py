"""Preference pairs as flat arrays: sums over responses, ragged or padded tokens."""

from typing import NamedTuple

import numpy as np

from percept_rl import _native
from percept_rl._batch import Ragged, _array, _cast, _form, _shape

KINDS = (
    "chosen",
    "rejected",
    "chosen_rejected_image",
    "chosen_no_image",
    "rejected_no_image",
    "corrected",
    "corrected_rejected_image",
    "general",
)
"""Kinds of response that a batch may have."""

PER_TOKEN = {"log_prob": np.float32, "ref_log_prob": np.float32, "weight": np.float32, "ref_kl": np.float32, "phrase": np.uint32}
PER_PAIR = {"clip_gap": np.float32, "confidence": np.float32, "draw": np.float64}


class PreferenceLoss(NamedTuple):
    """What `preference_loss` returns."""

    loss: float
    gradients: dict
    metrics: dict
    state: dict


class Sums(Ragged):
    """One number per response."""

    def __init__(self, rows):
        super().__init__(np.arange(rows + 1, dtype=np.int64))
        self.axes = "[rows]"


def preference_loss(config, batch, *, totals=None, state=None):
    """The loss on preference pairs and its exact gradient with respect to every log-probability.

    Parameters
    ----------
    config : str or dict
        The loss: ``"adavip"``, ``"dpo"``, ``{"name": "dpo", "loss_type": "ipo", "beta": 0.2}``, ...; names are in
        ``methods()["preference"]``, options in docs/methods.
    batch : dict
        For each kind of response that the loss contrasts (`preference_needs`) a dict of arrays:
        ``log_prob`` and ``ref_log_prob``, either one sum per response (``[rows]``, with ``length`` ``[rows]`` where the
        loss divides by tokens), or one per token, ragged (``offsets`` ``[rows + 1]``) or padded
        (``response_mask`` ``[rows, width]``); where needed ``weight``, ``ref_kl``, ``phrase`` in the same form. Row i
        belongs to pair i, unless ``rows`` ``[pairs]`` says how many rows each pair has. And per pair ``clip_gap``,
        ``confidence``, ``draw``.
    totals : dict, optional
        `preference_totals` of the whole mini-batch, when `batch` is a part of it: losses, gradients and metrics of
        the parts then add up.
    state : dict, optional
        What the last mini-batch returned (DAMA's running mean).

    Returns
    -------
    PreferenceLoss
        ``loss`` (a mean over pairs), ``gradients`` (``{"chosen": {"log_prob": ...}, ...}``, float32, in the form of the
        input), ``metrics`` (TRL's names), ``state``.

    Raises
    ------
    TypeError, ValueError
        An array or option of the wrong type, shape or range, by name.
    """
    pairs, arrays, forms = _flatten(batch)
    gap_mean = float((state or {}).get("gap_mean", 0.0))
    loss, gradients, metrics, gap_mean = _native.preference_loss(config, pairs, arrays, totals, gap_mean)
    restored = {
        kind: {name: forms[kind].restore(values, 0.0) for name, values in own.items()} for kind, own in gradients.items()
    }
    return PreferenceLoss(loss, restored, metrics, {"gap_mean": gap_mean})


def preference_totals(batch):
    """Counts of a batch: ``{"pairs": 4, "chosen_tokens": 93, ...}``; those of a mini-batch are the sums of its parts'."""
    pairs, arrays, _ = _flatten(batch)
    return _native.preference_totals(pairs, arrays)


def preference_needs(config):
    """What a loss reads: ``{"kinds": {"chosen": {"log_prob": True, "gradient": True, ...}, ...}, "per_token": False, ...}``."""
    return _native.preference_needs(config)


def _flatten(batch):
    if not isinstance(batch, dict):
        raise TypeError(f"batch: expected a dict of dicts of arrays, found {type(batch).__name__}")
    for key in batch:
        if key not in KINDS and key not in PER_PAIR:
            raise ValueError(f"batch[{key!r}]: unknown key; expected some of {', '.join((*KINDS, *PER_PAIR))}")
    arrays, forms, counts = {}, {}, {}
    for kind in KINDS:
        if batch.get(kind) is not None:
            arrays[kind], forms[kind] = _responses(kind, batch[kind])
            rows = arrays[kind].get("rows")
            counts[kind] = forms[kind].rows if rows is None else len(rows)
    pairs = next((count for kind, count in counts.items() if kind != "general"), 0)
    for key, dtype in PER_PAIR.items():
        if batch.get(key) is not None:
            array = _array(key, batch[key])
            _shape(key, array, (pairs,), "[pairs]")
            arrays[key] = _cast(key, array, dtype)
    return pairs, arrays, forms


def _responses(kind, given):
    if not isinstance(given, dict):
        raise TypeError(f"batch[{kind!r}]: expected a dict of arrays, found {type(given).__name__}")
    known = ("offsets", "response_mask", "rows", "length", *PER_TOKEN)
    for key in given:
        if key not in known:
            raise ValueError(f"batch[{kind!r}][{key!r}]: unknown key; expected some of {', '.join(known)}")
    found = {key: _array(f"{kind}.{key}", value) for key, value in given.items() if value is not None}
    form = _sums(kind, found) if "offsets" not in found and "response_mask" not in found else _form(found)
    arrays = {"offsets": form.offsets}
    for key, array in found.items():
        name = f"{kind}.{key}"
        if key in PER_TOKEN:
            _shape(name, array, form.shape, form.axes)
            arrays[key] = _cast(name, form.take(array), PER_TOKEN[key])
        elif key in ("rows", "length"):
            if array.dtype.kind not in "iu" or array.ndim != 1:
                raise TypeError(f"batch[{name!r}]: expected a flat array of integers, found {array.dtype} {array.shape}")
            arrays[key] = np.ascontiguousarray(array, dtype=np.int64)
    return arrays, form


def _sums(kind, found):
    for key in PER_TOKEN:
        if key in found:
            if found[key].ndim != 1:
                raise ValueError(
                    f"batch['{kind}.{key}']: expected one number per response [rows], or 'offsets' or 'response_mask' "
                    f"beside it, found shape {found[key].shape}"
                )
            return Sums(len(found[key]))
    return Sums(0)
