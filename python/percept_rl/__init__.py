"""Credit assignment for reinforcement learning of vision-language models.

From rewards to per-token advantages, and from advantages to the gradient of the policy loss::

    import numpy as np, percept_rl

    batch = {
        "offsets": [0, 3, 5],                 # two responses, of 3 and 2 tokens
        "group": [0, 0],                      # both answer prompt 0
        "reward": [1.0, 0.0],                 # NaN: could not be graded
        "old_log_prob": [-0.1, -0.7, -0.2, -1.1, -0.4],
        "log_prob": [-0.1, -0.6, -0.2, -1.2, -0.4],
    }
    config = {"advantage": "grpo", "token_weight": ["direction", "fipo"], "loss": {"policy_loss": "ppo"}}
    credit = percept_rl.credit(config, batch)
    loss, dloss_dlogp, stats = percept_rl.policy_loss(config, batch | {"advantage": credit["advantage"]})

`config` is the recipe's ``[algorithm]`` table. Every per-token array is ragged, cut by ``offsets``, or
padded, with a two-dimensional ``response_mask``; results come back in the same form. Arrays may be
NumPy arrays, lists, or anything on the CPU that speaks DLPack (``torch.Tensor``, ``jax.Array``, ...).

`preference_loss` does the same for preference pairs, of answers and of pictures (DPO, AdaViP, ...).

`percept_rl.verl` and `percept_rl.trl` connect the same functions to those trainers.
"""

from percept_rl import _native
from percept_rl._batch import KEYS, flatten
from percept_rl._native import __version__
from percept_rl._preference import PreferenceLoss, preference_loss, preference_needs, preference_totals
from percept_rl._visual import visual_entropy

__all__ = [
    "KEYS",
    "PreferenceLoss",
    "__version__",
    "credit",
    "methods",
    "needs",
    "policy_loss",
    "preference_loss",
    "preference_needs",
    "preference_totals",
    "reweight",
    "visual_entropy",
]


def credit(config, batch):
    """Assign credit to every token of a rollout batch; call it on whole groups, once per rollout.

    Parameters
    ----------
    config : dict
        ``advantage`` (a name such as ``"durian"``, or ``{"name": "durian", "reasoning_buckets": 10}``),
        ``token_weight`` (a list of the same), ``renormalize_weight``. See `methods` for names.
    batch : dict
        ``offsets`` ``[rows + 1]``, or a padded ``response_mask`` ``[rows, width]``; ``group`` ``[rows]``;
        ``reward`` ``[rows]`` (NaN: not graded); and the signals that `needs` lists.

    Returns
    -------
    dict
        ``advantage`` (float32, per token, weight included), ``weight`` (float32, per token),
        ``loss_mask`` (bool, per token: ``response_mask`` without ungraded rows), ``stats`` (dict of float).

    Raises
    ------
    TypeError, ValueError
        An array or option of the wrong type, shape or range: the message names the key, what was found
        and what was expected.
    """
    arrays, form = flatten(batch, required=("group", "reward"))
    out = _native.credit(_table(config), arrays)
    return {
        "advantage": form.restore(out["advantage"], 0.0),
        "weight": form.restore(out["weight"], 1.0),
        "loss_mask": form.restore(out["loss_mask"], False),
        "stats": out["stats"],
    }


def reweight(config, batch):
    """Apply the weights that depend on the current policy (FIPO) to ``batch["advantage"]``.

    `policy_loss` does this by itself; this function is for trainers that compute the loss themselves.
    The batch needs ``advantage``, ``log_prob`` and ``old_log_prob``. Returns the same dict as `credit`
    (``loss_mask`` without the responses that FIPO drops), or None when `config` has no such weight.
    """
    arrays, form = flatten(batch, required=("advantage", "log_prob", "old_log_prob"))
    out = _native.reweight(_table(config), arrays)
    if out is None:
        return None
    return {
        "advantage": form.restore(out["advantage"], 0.0),
        "weight": form.restore(out["weight"], 1.0),
        "loss_mask": form.restore(out["loss_mask"], False),
        "stats": out["stats"],
    }


def policy_loss(config, batch, *, total=None, entropy_gradient=False):
    """The loss of a micro-batch and its exact gradient with respect to ``log_prob``.

    Parameters
    ----------
    config : dict
        ``loss`` (``policy_loss``, ``loss_agg_mode``, ``use_kl_loss``, ...) and, for FIPO, ``token_weight``.
    batch : dict
        ``log_prob``, ``old_log_prob`` and ``advantage`` (from `credit`). Without ``advantage`` it is
        computed first, which needs ``group`` and ``reward``, and whole groups.
        ``response_mask`` should then be the ``loss_mask`` that `credit` returned.
    total : (int, int), optional
        Trained tokens and sequences of the whole mini-batch, when `batch` is a part of it: the losses
        and gradients of the parts then add up to the whole's. Default: those of `batch`.
    entropy_gradient : bool
        Whether to return the gradient with respect to ``entropy`` too; required when
        ``loss.entropy_coeff`` is not 0, because the bonus would otherwise be lost.

    Returns
    -------
    (float, numpy.ndarray, dict) or (float, numpy.ndarray, numpy.ndarray, dict)
        Loss, ``dloss_dlogp`` (float32, in the batch's form), [``dloss_dentropy``,] statistics.
    """
    required = ["log_prob", "old_log_prob"]
    if not isinstance(batch, dict) or "advantage" not in batch:
        required += ["group", "reward"]
    arrays, form = flatten(batch, required=tuple(required))
    table = _table(config)
    coefficient = (table.get("loss") or {}).get("entropy_coeff", 0.0)
    if coefficient and not entropy_gradient:
        raise ValueError(
            f"config.loss.entropy_coeff is {coefficient}, and dloss_dlogp does not hold the bonus's "
            "gradient: pass entropy_gradient=True and use dloss_dentropy, or set the coefficient to 0"
        )
    loss, d_log_prob, d_entropy, stats = _native.policy_loss(table, arrays, total)
    d_log_prob = form.restore(d_log_prob, 0.0)
    if entropy_gradient:
        return loss, d_log_prob, form.restore(d_entropy, 0.0), stats
    return loss, d_log_prob, stats


def needs(config):
    """Which signals `config` reads: ``{"log_prob_no_image": True, "nucleus_entropy": 0.95, ...}``.

    ``nucleus_entropy`` is the nucleus (top-p) whose entropy is wanted, or None; the rest are booleans.
    """
    return _native.needs(_table(config))


def methods():
    """Names of the registered parts: ``{"advantage": [...], "token_weight": [...], "policy_loss": [...],
    "preference": [...]}``."""
    return _native.methods()


def _table(config):
    if not isinstance(config, dict):
        raise TypeError(
            f"config: expected a dict, the recipe's [algorithm] table, found {type(config).__name__}"
        )
    return config
