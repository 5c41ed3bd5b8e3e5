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


VERLS_DEFAULTS = {"loss_agg_mode": "token-mean", "clip_ratio_c": 3.0}
"""What verl's options say when nobody has set them: then a method's own come first."""

VERLS_OWN = {
    "use_kl_loss": "actor.use_kl_loss",
    "entropy_coeff": "actor.entropy_coeff",
    "tis_imp_ratio_cap": "algorithm.rollout_correction",
}
"""Terms of the [algorithm.loss] table that verl computes itself, and its options for them."""


def first(*values):
    """The first that is not None."""
    return next(value for value in values if value is not None)


def loss_table(name, table, loss_agg_mode, config, width):
    """The table of `percept_rl.policy_loss` for verl's ``loss_mode=percept_<name>``.

    `table` is what `configure` says, and has the last word; `config` and `loss_agg_mode` are verl's actor
    options. Where both say nothing (verl's options have their defaults) the method's authors decide:
    GSPO and SAPO average each response first, FIPO has a dual clip of 10.
    """
    own = dict(table.get("loss", {}))
    for key, option in VERLS_OWN.items():
        if own.get(key):
            raise ValueError(
                f"PERCEPT_RL: loss.{key} = {own[key]} is not read by loss_mode=percept_{name}: that term is verl's; "
                f"set {option}"
            )
    kind = "ppo" if name == "fipo" else name
    options = {"name": kind}
    if kind in ("ppo", "gspo", "cispo"):
        options["clip_ratio_low"] = first(config.clip_ratio_low, config.clip_ratio)
        options["clip_ratio_high"] = first(config.clip_ratio_high, config.clip_ratio)
    weights = [part(w) for w in table.get("token_weight", ()) if part(w)["name"] == "fipo"]
    fipo = weights[0] if weights else {"name": "fipo"}
    if kind == "ppo":
        clip = config.get("clip_ratio_c", VERLS_DEFAULTS["clip_ratio_c"])
        # The dual clip of the loss and the participation threshold are one number in FIPO's code, 10.
        if name != "fipo" or (clip != VERLS_DEFAULTS["clip_ratio_c"] and "clip_ratio_c" not in fipo):
            options["clip_ratio_c"] = clip
    if kind == "sapo":
        options["tau_pos"], options["tau_neg"] = config.get("tau_pos", 1.0), config.get("tau_neg", 1.05)
    configured = part(own.get("policy_loss", kind))
    if configured["name"] != kind:
        raise ValueError(f"loss_mode=percept_{name} is {kind}, but the configured policy_loss is {configured['name']}")
    loss = {"policy_loss": {**options, **configured}}
    mode = own.get("loss_agg_mode")
    if mode is None and loss_agg_mode != VERLS_DEFAULTS["loss_agg_mode"]:
        mode = loss_agg_mode
    if mode is not None:
        loss["loss_agg_mode"] = mode
    # Read by seq-mean-token-sum-norm alone.
    given = config.global_batch_info.get("loss_scale_factor")
    loss["loss_scale_factor"] = float(own.get("loss_scale_factor") or given or width)
    found = {"loss": loss}
    if "advantage" in table:
        found["advantage"] = table["advantage"]
    return {**found, "token_weight": [fipo]} if name == "fipo" else found
