"""What users have, as flat arrays of one type: ragged or padded, NumPy, lists or DLPack."""

import numpy as np

PER_ROW = {"group": np.int64, "reward": np.float64, "visual_entropy": np.float64, "is_expert": np.bool_}
PER_TOKEN = {
    "response_mask": np.bool_,
    "advantage": np.float32,
    "log_prob": np.float32,
    "old_log_prob": np.float32,
    "rollout_log_prob": np.float32,
    "ref_log_prob": np.float32,
    "entropy": np.float32,
    "nucleus_entropy": np.float32,
    "log_prob_no_image": np.float32,
}
KEYS = ("offsets", *PER_ROW, *PER_TOKEN)
"""Every key that a batch may have."""


class Ragged:
    """Flat arrays, cut by the caller's own offsets: nothing to restore."""

    def __init__(self, offsets):
        self.offsets, self.rows, self.tokens = offsets, len(offsets) - 1, int(offsets[-1])
        self.shape, self.axes = (self.tokens,), "[tokens]"

    def take(self, array):
        return array

    def restore(self, flat, _fill):
        return flat


class Padded:
    """Rows padded to one width. A row spans its first to its last trained token; padding on either
    side is not part of it, an untrained token between (a tool's output) is."""

    def __init__(self, mask):
        self.shape, self.rows, self.axes = mask.shape, mask.shape[0], "[rows, width]"
        width = mask.shape[1]
        some = mask.any(axis=1)
        first = np.where(some, mask.argmax(axis=1) if width else 0, 0)
        end = np.where(some, width - mask[:, ::-1].argmax(axis=1) if width else 0, 0)
        column = np.arange(width)
        self.inside = (column >= first[:, None]) & (column < end[:, None])
        self.offsets = np.concatenate([[0], np.cumsum(end - first)]).astype(np.int64)
        self.tokens = int(self.offsets[-1])

    def take(self, array):
        return array[self.inside]

    def restore(self, flat, fill):
        out = np.full(self.shape, fill, dtype=flat.dtype)
        out[self.inside] = flat
        return out


def flatten(batch, required=()):
    """The batch as flat arrays, and the form that turns results back."""
    if not isinstance(batch, dict):
        raise TypeError(f"batch: expected a dict of arrays, found {type(batch).__name__}")
    for key in batch:
        if key not in KEYS:
            raise ValueError(f"batch[{key!r}]: unknown key; expected some of {', '.join(KEYS)}")
    for key in required:
        if batch.get(key) is None:
            raise ValueError(f"batch has no {key!r}, which this call needs")
    given = {key: _array(key, value) for key, value in batch.items() if value is not None}
    form = _form(given)
    arrays = {"offsets": form.offsets}
    for key, array in given.items():
        if key in PER_ROW:
            _shape(key, array, (form.rows,), "[rows]")
            arrays[key] = _group(array) if key == "group" else _cast(key, array, PER_ROW[key])
        elif key in PER_TOKEN:
            _shape(key, array, form.shape, form.axes)
            arrays[key] = _cast(key, form.take(array), PER_TOKEN[key])
    if "response_mask" not in arrays:
        arrays["response_mask"] = np.ones(form.tokens, dtype=np.bool_)
    return arrays, form


def _form(given):
    mask = given.get("response_mask")
    if "offsets" in given:
        offsets = given["offsets"]
        if offsets.dtype.kind not in "iu":
            raise TypeError(f"batch['offsets']: expected integers, found {offsets.dtype}")
        if offsets.ndim != 1 or len(offsets) == 0:
            raise ValueError(
                f"batch['offsets']: expected [rows + 1] numbers that start at 0, found shape {offsets.shape}"
            )
        offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        if offsets[0] != 0 or np.any(np.diff(offsets) < 0):
            raise ValueError("batch['offsets']: expected numbers that start at 0 and never decrease (cu_seqlens)")
        return Ragged(offsets)
    if mask is None:
        raise ValueError("batch: expected 'offsets' [rows + 1] or a padded 'response_mask' [rows, width], found neither")
    if mask.ndim != 2:
        raise ValueError(
            f"batch['response_mask']: expected two dimensions [rows, width] when there are no 'offsets', found shape {mask.shape}"
        )
    return Padded(_cast("response_mask", mask, np.bool_))


def _array(key, value):
    """Whatever came, as a NumPy array; no copy where the memory can be shared."""
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        return _dlpack(key, value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"batch[{key!r}]: expected an array, found {type(value).__name__} ({error})") from None
    if array.dtype.kind == "O" and key != "group":
        raise TypeError(f"batch[{key!r}]: expected an array of numbers, found {type(value).__name__} of objects")
    return array


def _dlpack(key, value):
    if getattr(value, "requires_grad", False):
        value = value.detach()  # only the numbers are read
    try:
        on_cpu = value.__dlpack_device__()[0] == 1
        if not on_cpu:
            raise TypeError(f"batch[{key!r}]: expected an array on the CPU, found one on {value.device}; call .cpu() first")
        return np.from_dlpack(value)
    except (BufferError, RuntimeError) as error:
        kind = getattr(value, "dtype", type(value).__name__)
        raise TypeError(
            f"batch[{key!r}]: expected numbers that NumPy knows, found {kind} ({error}); convert it to float32"
        ) from None


def _shape(key, array, expected, axes):
    if array.shape != expected:
        raise ValueError(f"batch[{key!r}]: expected shape {expected} {axes}, found {array.shape}")


def _group(array):
    """Prompt numbers; names of any kind (verl's `uid`) are numbered in order of first appearance."""
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array, dtype=np.int64)
    if array.dtype.kind in "OUS":
        numbers = {}
        return np.array([numbers.setdefault(str(name), len(numbers)) for name in array], dtype=np.int64)
    raise TypeError(f"batch['group']: expected integers or strings, found {array.dtype}")


def _cast(key, array, dtype):
    kind = array.dtype.kind
    if dtype is np.bool_:
        if kind == "b":
            return np.ascontiguousarray(array)
        if kind not in "iuf" or not np.isin(array, (0, 1)).all():
            raise TypeError(f"batch[{key!r}]: expected booleans (or 0 and 1), found {array.dtype}")
    elif kind not in "fiu":
        raise TypeError(f"batch[{key!r}]: expected numbers, found {array.dtype}")
    return np.ascontiguousarray(array, dtype=dtype)
