"""percept's methods inside verl (checked with verl 0.9.1).

verl imports this module by itself through the entry-point group ``verl.plugins``. It then knows

* ``algorithm.adv_estimator=percept_grpo``, ``percept_durian``, ... (every advantage), ``percept_tor``,
  ``percept_direction`` (GRPO times the token weight), ``percept_tgrl`` (both parts of TGRL), and
  ``percept`` (whatever `configure` says);
* ``actor_rollout_ref.actor.policy_loss.loss_mode=percept_ppo``, ``percept_gspo``, ``percept_cispo``,
  ``percept_sapo``, and ``percept_fipo`` (PPO's loss under FIPO's weights).

Options: environment variable ``PERCEPT_RL``, the recipe's [algorithm] table as JSON, in every process
(verl forwards ``ray_init.runtime_env.env_vars``), or `configure` in a module of one's own. verl's
configuration has no room for them: its loss sees a dataclass with a fixed set of fields.

verl hands an estimator only rewards, mask and group. Methods that need more (Durian: log-probabilities
and visual entropy; ToR and TGRL: a pass without the image) take it from the surrounding `signals`:
`percept_rl.verl_trainer.PerceptTrainer` supplies them; `compute_advantage` here does so for a DataProto.
"""

import json
import logging
import os
from contextlib import contextmanager
from contextvars import ContextVar

import torch

import percept_rl
from percept_rl._recipe import ROLLOUT_NAMES, credit, first, full_entropy, loss_table, names, part

logger = logging.getLogger(__name__)

HINTS = {
    "old_log_prob": "compute old_log_probs and call percept_rl.verl.compute_advantage, or train with "
    "trainer.v1.trainer_mode=percept_sync",
    "log_prob_no_image": "needs the pass without the image: trainer.v1.trainer_mode=percept_sync",
    "entropy": "trainer.v1.trainer_mode=percept_sync keeps the entropies of the old policy",
    "nucleus_entropy": "verl computes the entropy of the whole distribution only: set entropy_top_p = 1.0",
    "visual_entropy": 'add a column "visual_entropy" to the data (percept_rl.visual_entropy computes it once '
    "per image), and train with trainer.v1.trainer_mode=percept_sync",
}

DR_GRPO = (
    "adv_estimator=%s: Dr.GRPO's loss goes with it, and verl's loss does not know the estimator. Set "
    "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-sum-norm, or name dr_grpo as the advantage in PERCEPT_RL "
    "and use a percept_ loss"
)

_told = set()
_signals = ContextVar("percept_signals", default={})
_configured = None
last_stats = {}
"""Statistics of the latest advantage computation of this process, ``credit/<part>/<name>``."""


def configure(table):
    """Set the [algorithm] table for this process; None goes back to ``PERCEPT_RL``."""
    global _configured
    _configured = table


def _table():
    if _configured is not None:
        return dict(_configured)
    text = os.environ.get("PERCEPT_RL", "").strip()
    if not text:
        return {}
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"PERCEPT_RL: expected the [algorithm] table as JSON, found {text!r} ({error})") from None
    if not isinstance(table, dict):
        raise ValueError(f"PERCEPT_RL: expected a JSON object, found {text!r}")
    return table


@contextmanager
def signals(**arrays):
    """Offer signals (``old_log_probs``, ``entropy``, ``log_prob_no_image``, ...; ``[rows, width]`` or
    ``[rows]``) to the estimators called inside the block."""
    token = _signals.set({**_signals.get(), **arrays})
    try:
        yield
    finally:
        _signals.reset(token)


def compute_advantage(data, adv_estimator, **arguments):
    """verl's `compute_advantage` on a DataProto, whose columns the estimator may read as signals."""
    from verl.trainer.ppo.ray_trainer import compute_advantage as of_verl

    known = {*percept_rl.KEYS, *ROLLOUT_NAMES} - {"response_mask", "offsets", "group", "reward", "advantage"}
    found = {key: data.batch[key] for key in data.batch.keys() if key in known}
    found |= {key: data.non_tensor_batch[key] for key in data.non_tensor_batch if key in known}
    with signals(**found):
        return of_verl(data, adv_estimator=adv_estimator, **arguments)


# Advantages ---------------------------------------------------------------------------------------


def _estimators():
    methods = percept_rl.methods()
    table = {name: {"advantage": name} for name in methods["advantage"]}
    for name in methods["token_weight"]:
        if name != "fipo":  # FIPO reads the current policy: it is a policy loss
            table[name] = {"advantage": name if name in table else "grpo", "token_weight": [name]}
    return table


def _recipe(name, default):
    """What `configure` says, on top of what the name says; the two must not contradict."""
    table = {key: value for key, value in _table().items() if key != "loss"}
    if name == "percept":
        if not table:
            raise ValueError("adv_estimator=percept: set PERCEPT_RL, or call percept_rl.verl.configure")
        return full_entropy(table)
    given = part(table.get("advantage", default["advantage"]))["name"]
    if given != default["advantage"]:
        raise ValueError(
            f"adv_estimator={name} is {default['advantage']}, but the configured advantage is {given}: "
            "use adv_estimator=percept"
        )
    return full_entropy({**default, **table})


def _estimator(name, default):
    def estimator(token_level_rewards, response_mask, index=None, config=None, **given):
        table = _recipe(name, default)
        if part(table.get("advantage", "grpo"))["name"] == "dr_grpo" and name not in _told:
            _told.add(name)
            logger.warning(DR_GRPO, name)
        if index is None:
            raise ValueError(f"adv_estimator={name} needs groups, and the batch has no 'uid'")
        width = response_mask.shape[1]
        batch = {
            "response_mask": response_mask.cpu(),
            "group": index,
            "reward": token_level_rewards.detach().sum(dim=-1).double().cpu(),
        }
        for key, value in {**_signals.get(), **given}.items():
            key = ROLLOUT_NAMES.get(key, key)
            if key in percept_rl.KEYS and key not in batch and value is not None:
                batch[key] = _plain(value, width)
        top_p = percept_rl.needs(table)["nucleus_entropy"]
        if top_p == 1.0 and "entropy" in batch:
            batch.setdefault("nucleus_entropy", batch["entropy"])
        found = credit(table, batch, HINTS)
        last_stats.clear()
        last_stats.update(found["stats"])
        advantage = torch.from_numpy(found["advantage"]).to(token_level_rewards)
        return advantage, advantage

    estimator.__name__ = estimator.__qualname__ = f"compute_{name}_advantage"
    estimator.__doc__ = f"percept: {' + '.join(names(default)) if default else 'as configured'}."
    return estimator


def _plain(value, width):
    """A tensor or object array as numbers on the CPU, padded to the response's width."""
    if not isinstance(value, torch.Tensor):
        return [float(entry) for entry in value]
    value = value.detach()
    if value.is_nested:
        value = torch.nested.to_padded_tensor(value, 0.0)
    if value.dim() == 2 and value.shape[1] < width:
        value = torch.nn.functional.pad(value, (0, width - value.shape[1]))
    return (value if value.dtype == torch.bool else value.float()).cpu()


# Policy losses ------------------------------------------------------------------------------------


class _WithGradient(torch.autograd.Function):
    """A scalar whose gradient is already known."""

    @staticmethod
    def forward(ctx, log_prob, gradient, loss):
        ctx.save_for_backward(gradient)
        return log_prob.new_tensor(loss)

    @staticmethod
    def backward(ctx, outer):
        (gradient,) = ctx.saved_tensors
        return outer * gradient, None, None


def _policy_loss(name):
    def policy_loss(old_log_prob, log_prob, advantages, response_mask, loss_agg_mode="token-mean", config=None,
                    rollout_is_weights=None):
        table = loss_table(name, _table(), loss_agg_mode, config, response_mask.shape[1])
        if rollout_is_weights is not None:
            # Every loss here is proportional to |advantage|, so a non-negative weight may sit on it.
            advantages = advantages * rollout_is_weights
        batch = {
            "response_mask": response_mask.detach().cpu(),
            "log_prob": log_prob.detach().float().cpu(),
            "old_log_prob": old_log_prob.detach().float().cpu(),
            "advantage": advantages.detach().float().cpu(),
        }
        info = config.global_batch_info
        tokens, rows = info.get("batch_num_tokens"), info.get("global_batch_size")
        alive = response_mask.sum(dim=-1) > 0
        total = None
        if tokens is not None or rows is not None:
            total = (int(first(tokens, response_mask.sum())), int(first(rows, alive.sum())))
        loss, gradient, stats = percept_rl.policy_loss(table, batch, total=total)
        gradient = torch.from_numpy(gradient).to(log_prob) * info.get("dp_size", 1)
        return _WithGradient.apply(log_prob, gradient, loss * info.get("dp_size", 1)), stats

    policy_loss.__name__ = policy_loss.__qualname__ = f"compute_policy_loss_percept_{name}"
    policy_loss.__doc__ = f"percept: {name}."
    return policy_loss


# Registration -------------------------------------------------------------------------------------


def _register():
    from verl.trainer.ppo import core_algos

    for name, table in {**_estimators(), "": {}}.items():
        name = f"percept_{name}" if name else "percept"
        core_algos.register_adv_est(name)(_estimator(name, table))
    for name in (*percept_rl.methods()["policy_loss"], "fipo"):
        name_in_verl = f"percept_{name}"
        if name_in_verl in core_algos.POLICY_LOSS_REGISTRY:
            raise ValueError(f"policy loss {name_in_verl} is already registered")
        core_algos.register_policy_loss(name_in_verl)(_policy_loss(name))


try:
    _register()
except Exception as error:
    # verl notes a plug-in's failure at debug level only, where nobody would see it.
    logger.error("percept_rl could not register its methods with verl: %s: %s", type(error).__name__, error)
    raise
