from typing import Any, Literal, NamedTuple, Protocol, TypedDict, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

class _DLPack(Protocol):
    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

_Array = ArrayLike | _DLPack

class Batch(TypedDict, total=False):
    offsets: _Array
    group: _Array
    reward: _Array
    response_mask: _Array
    advantage: _Array
    log_prob: _Array
    old_log_prob: _Array
    rollout_log_prob: _Array
    ref_log_prob: _Array
    entropy: _Array
    nucleus_entropy: _Array
    log_prob_no_image: _Array
    visual_entropy: _Array
    is_expert: _Array

class Credit(TypedDict):
    advantage: NDArray[np.float32]
    weight: NDArray[np.float32]
    loss_mask: NDArray[np.bool_]
    stats: dict[str, float]

class Needs(TypedDict):
    entropy: bool
    nucleus_entropy: float | None
    log_prob_no_image: bool
    visual_entropy: bool
    old_log_prob: bool
    is_expert: bool

class Responses(TypedDict, total=False):
    offsets: _Array
    response_mask: _Array
    rows: _Array
    length: _Array
    log_prob: _Array
    ref_log_prob: _Array
    weight: _Array
    ref_kl: _Array
    phrase: _Array

class PreferenceBatch(TypedDict, total=False):
    chosen: Responses
    rejected: Responses
    chosen_rejected_image: Responses
    chosen_no_image: Responses
    rejected_no_image: Responses
    corrected: Responses
    corrected_rejected_image: Responses
    general: Responses
    clip_gap: _Array
    confidence: _Array
    draw: _Array

class PreferenceLoss(NamedTuple):
    loss: float
    gradients: dict[str, dict[str, NDArray[np.float32]]]
    metrics: dict[str, float]
    state: dict[str, float]

KEYS: tuple[str, ...]
__version__: str

def credit(config: dict[str, Any], batch: Batch | dict[str, Any]) -> Credit: ...
def reweight(config: dict[str, Any], batch: Batch | dict[str, Any]) -> Credit | None: ...
@overload
def policy_loss(
    config: dict[str, Any],
    batch: Batch | dict[str, Any],
    *,
    total: tuple[int, int] | None = None,
    entropy_gradient: Literal[False] = False,
) -> tuple[float, NDArray[np.float32], dict[str, float]]: ...
@overload
def policy_loss(
    config: dict[str, Any],
    batch: Batch | dict[str, Any],
    *,
    total: tuple[int, int] | None = None,
    entropy_gradient: Literal[True],
) -> tuple[float, NDArray[np.float32], NDArray[np.float32], dict[str, float]]: ...
def preference_loss(
    config: str | dict[str, Any],
    batch: PreferenceBatch | dict[str, Any],
    *,
    totals: dict[str, Any] | None = None,
    state: dict[str, float] | None = None,
) -> PreferenceLoss: ...
def preference_totals(batch: PreferenceBatch | dict[str, Any]) -> dict[str, Any]: ...
def preference_needs(config: str | dict[str, Any]) -> dict[str, Any]: ...
def needs(config: dict[str, Any]) -> Needs: ...
def methods() -> dict[str, list[str]]: ...
def visual_entropy(features: ArrayLike) -> float: ...
