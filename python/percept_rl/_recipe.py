"""The [algorithm] table that a trainer's plug-in works with, and the checks both plug-ins share."""

import percept_rl

ROLLOUT_NAMES = {
    "old_log_probs": "old_log_prob",
    "rollout_log_probs": "rollout_log_prob",
    "entropys": "entropy",
}
"""verl's spelling of our signals."""


def part(config):
    """``"tor"`` as ``{"name": "tor"}``."""
    return {"name": config} if isinstance(config, str) else dict(config)


def names(table):
    """Names of the parts of a table: the advantage, then the token weights."""
    return [part(table.get("advantage", "grpo"))["name"], *(part(w)["name"] for w in table.get("token_weight", ()))]


def full_entropy(table):
    """The table with ToR's score taken from the whole distribution instead of its nucleus."""
    weights = [part(w) for w in table.get("token_weight", ())]
    for weight in weights:
        if weight["name"] == "tor":
            weight.setdefault("entropy_top_p", 1.0)
    return {**table, "token_weight": weights} if weights else table


def credit(table, batch, hints):
    """`percept_rl.credit`, with a message of what to do when the trainer lacks a signal."""
    missing = [key for key, wanted in percept_rl.needs(table).items() if wanted and batch.get(key) is None]
    missing = [key for key in missing if key != "is_expert"]  # absent means that there are none
    if missing:
        told = "; ".join(f"{key}: {hints.get(key, 'not available here')}" for key in missing)
        raise ValueError(f"{' + '.join(names(table))} needs signals that this trainer did not supply. {told}")
    return percept_rl.credit(table, batch)
