"""Golden numbers of SAPO, the loss that tools/credit_goldens.py does not cover.

Proves: value and gradient of percept's `sapo` are those of verl `compute_policy_loss_sapo` (with
truncated importance sampling and KL beside it) and of TRL's GRPOTrainer._compute_loss with
`loss_type = "sapo"`; both are run, not copied. Batches, padding and the stub trainer are those of
tools/credit_goldens.py, and so are versions and precision (float64).

Run from the root: python tools/credit_sapo_goldens.py        writes crates/credit/tests/golden/sapo.json
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import credit_goldens as goldens

MODE = "seq-mean-token-mean"  # verl aggregates SAPO so whatever it is asked for; TRL too
TAUS = [(1.0, 1.05), (2.0, 0.7)]


def sapo(tau_pos, tau_neg):
    return {"name": "sapo", "tau_pos": tau_pos, "tau_neg": tau_neg}


def verl_case(b, taus, **more):
    plain = goldens.ActorConfig
    goldens.VERL_LOSS["sapo"] = "sapo"
    goldens.ActorConfig = lambda **options: plain(**options, tau_pos=taus[0], tau_neg=taus[1])
    # The ratio's clip is no part of SAPO, but the shared code hands one to verl's configuration.
    policy = sapo(*taus) | {"clip_ratio_low": 0.2, "clip_ratio_high": 0.2}
    case = goldens.verl_loss(b, goldens.recipe(policy, MODE, **more))
    goldens.ActorConfig = plain
    return case | {"config": case["config"] | {"policy_loss": sapo(*taus)}}


def trl_case(b, taus, **more):
    plain = goldens.SimpleNamespace
    temperatures = {"sapo_temperature_pos": taus[0], "sapo_temperature_neg": taus[1]}
    goldens.TRL_AGGREGATION["sapo"] = MODE
    goldens.SimpleNamespace = lambda **options: SimpleNamespace(**options, **temperatures)
    case = goldens.trl_loss(b, "sapo", **more)
    goldens.SimpleNamespace = plain
    return case | {"config": case["config"] | {"policy_loss": sapo(*taus)}}


def main():
    rng = np.random.default_rng(2511)
    kl = {"use_kl_loss": True, "kl_coef": 0.04, "entropy_coeff": 0.01, "tis_imp_ratio_cap": 1.5}
    data = []
    for spread in (0.1, 0.6):
        b = goldens.batch(rng, spread)
        cases = [verl_case(b, taus, **more) for taus in TAUS for more in ({}, kl)]
        data.append({"batch": goldens.stored(b), "cases": cases})
    b = goldens.extreme(rng)
    data.append({"batch": goldens.stored(b), "cases": [verl_case(b, TAUS[0])]})
    b = goldens.batch(rng, 0.5, per_row_advantage=True)
    cases = [trl_case(b, taus) for taus in TAUS] + [trl_case(b, TAUS[0], beta=0.04)]
    data.append({"batch": goldens.stored(b), "cases": cases})
    made_by = {"script": "tools/credit_sapo_goldens.py", "dtype": "float64"}
    made_by |= {name: goldens.version(name) for name in ["verl", "trl", "torch"]}
    text = json.dumps({"made_by": made_by, "data": data}, separators=(",", ":"))
    (Path(__file__).parents[1] / "crates/credit/tests/golden/sapo.json").write_text(text + "\n")
    print(f"{sum(len(entry['cases']) for entry in data)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
