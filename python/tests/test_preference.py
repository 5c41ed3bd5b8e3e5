"""Preference losses on arrays: forms of input, micro-batches, errors, and the NumPy reading."""

import numpy as np
import pytest

import percept_rl

LENGTHS = {"chosen": [3, 1, 4], "rejected": [2, 2, 1], "chosen_rejected_image": [3, 1, 4]}


def ragged(seed=0):
    rng = np.random.default_rng(seed)
    batch = {}
    for kind, lengths in LENGTHS.items():
        log_prob = -rng.exponential(1.0, sum(lengths)).astype(np.float32)
        ref = log_prob + rng.normal(0, 1.0, len(log_prob)).astype(np.float32)
        batch[kind] = {"offsets": np.cumsum([0] + lengths), "log_prob": log_prob, "ref_log_prob": ref}
    return batch


def padded(batch):
    out = {}
    for kind, own in batch.items():
        lengths = np.diff(own["offsets"])
        mask = np.arange(max(lengths) + 1) < lengths[:, None]
        out[kind] = {"response_mask": mask}
        for key in ("log_prob", "ref_log_prob"):
            out[kind][key] = np.zeros(mask.shape, np.float32)
            out[kind][key][mask] = own[key]
    return out


def summed(batch):
    def of(own):
        sums = {key: np.add.reduceat(own[key], own["offsets"][:-1]) for key in ("log_prob", "ref_log_prob")}
        return sums | {"length": np.diff(own["offsets"])}

    return {kind: of(own) for kind, own in batch.items()}


@pytest.mark.parametrize("config", ["adavip", "dpo", "ipo", "mdpo", "simpo", "sdpo"])
def test_ragged_padded_and_summed_are_one_loss(config):
    flat = percept_rl.preference_loss(config, ragged())
    square = percept_rl.preference_loss(config, padded(ragged()))
    sums = percept_rl.preference_loss(config, summed(ragged()))
    assert square.loss == flat.loss and square.metrics == flat.metrics
    assert np.isclose(sums.loss, flat.loss, atol=1e-6)
    for kind, gradient in flat.gradients.items():
        mask = padded(ragged())[kind]["response_mask"]
        assert np.array_equal(square.gradients[kind]["log_prob"][mask], gradient["log_prob"])
        assert not square.gradients[kind]["log_prob"][~mask].any()
        first = ragged()[kind]["offsets"][:-1]
        assert np.allclose(sums.gradients[kind]["log_prob"], gradient["log_prob"][first], atol=1e-6)


def test_adavip_is_the_formula():
    batch, beta = ragged(), 0.1
    found = percept_rl.preference_loss({"name": "adavip", "beta": beta}, batch)
    ratio = {k: np.add.reduceat(own["log_prob"] - own["ref_log_prob"], own["offsets"][:-1]) for k, own in batch.items()}
    rewards = beta * np.stack([ratio[kind] for kind in LENGTHS])
    weights = np.exp(rewards) / np.exp(rewards).sum(axis=0)
    assert np.isclose(found.loss, -np.log(weights[0]).mean(), atol=1e-6)
    assert np.isclose(found.metrics["weights/rejected"], weights[1].mean(), atol=1e-6)
    assert np.isclose(found.metrics["weights/chosen_rejected_image"], weights[2].mean(), atol=1e-6)
    assert np.isclose(found.metrics["rewards/margins"], (rewards[0] - rewards[1]).mean(), atol=1e-6)


def test_torch_takes_the_gradient_from_here():
    torch = pytest.importorskip("torch")
    batch = ragged()
    leaf = torch.from_numpy(batch["chosen"]["log_prob"]).requires_grad_()
    batch["chosen"]["log_prob"] = leaf * 1.0
    found = percept_rl.preference_loss("adavip", batch)
    batch["chosen"]["log_prob"].backward(torch.from_numpy(found.gradients["chosen"]["log_prob"]))
    assert np.array_equal(leaf.grad.numpy(), found.gradients["chosen"]["log_prob"])


def test_micro_batches_add_up():
    config = {"name": "dpo", "rpo_alpha": 0.5}
    whole = percept_rl.preference_loss(config, ragged())
    totals, loss, margins = percept_rl.preference_totals(ragged()), 0.0, 0.0
    assert totals["pairs"] == 3 and totals["chosen_tokens"] == 8
    for first, last in ((0, 1), (1, 3)):
        part = {}
        for kind, own in ragged().items():
            bounds = own["offsets"][first : last + 1]
            tokens = slice(bounds[0], bounds[-1])
            part[kind] = {"offsets": bounds - bounds[0]} | {k: own[k][tokens] for k in ("log_prob", "ref_log_prob")}
        found = percept_rl.preference_loss(config, part, totals=totals)
        loss, margins = loss + found.loss, margins + found.metrics["rewards/margins"]
    assert np.isclose(loss, whole.loss) and np.isclose(margins, whole.metrics["rewards/margins"])


def test_a_pair_without_a_rejected_picture_is_trained_by_its_answers():
    batch = summed(ragged())
    none = np.zeros(0, np.float32)
    batch["chosen_rejected_image"] = {"rows": [0, 0, 0], "log_prob": none, "ref_log_prob": none}
    found, dpo = (percept_rl.preference_loss(name, batch) for name in ("adavip", "dpo"))
    assert np.isclose(found.loss, dpo.loss)
    batch["rejected"] = {"rows": [2, 0, 1], "log_prob": [-1.0, -2.0, -1.5], "ref_log_prob": [-1.0, -1.0, -1.0]}
    assert percept_rl.preference_loss("sdpo", batch).gradients["rejected"]["log_prob"].shape == (3,)


def test_the_state_of_dama_is_handed_on():
    batch = ragged() | {"clip_gap": [0.1, 0.0, -0.2], "draw": [0.3, 0.9, 0.5]}
    first = percept_rl.preference_loss("dama", batch)
    second = percept_rl.preference_loss("dama", batch, state=first.state)
    assert np.isclose(second.state["gap_mean"], 1.9 * first.state["gap_mean"])
    assert second.loss != first.loss


def test_divergences_have_a_gradient_where_they_are_read():
    batch = ragged()
    for kind in ("chosen", "rejected"):
        batch[kind]["ref_kl"] = np.full(sum(LENGTHS[kind]), 0.2)
    found = percept_rl.preference_loss("chip", batch)
    assert (found.gradients["rejected"]["ref_kl"] > 0).all()
    assert "ref_kl" not in found.gradients["chosen_rejected_image"]


def test_needs_says_what_to_compute():
    kinds = percept_rl.preference_needs("adavip")["kinds"]
    assert set(kinds) == {"chosen", "rejected", "chosen_rejected_image"}
    assert not percept_rl.preference_needs("simpo")["kinds"]["chosen"]["ref_log_prob"]
    assert percept_rl.preference_needs({"name": "dpo", "ld_alpha": 0.5})["per_token"]
    assert {"dpo", "adavip", "mdpo", "dama"} <= set(percept_rl.methods()["preference"])


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"chosn": {}}, ValueError, "chosn.*unknown key.*chosen"),
        ({"chosen": [1.0]}, TypeError, "chosen.*dict of arrays"),
        ({"rejected": None}, ValueError, "adavip.*rejected"),
        ({"rejected": {"log_prob": [-1.0], "ref_log_prob": [-1.0]}}, ValueError, "rejected.*1.*3 pairs"),
        ({"rejected": {"log_prob": [-1.0] * 3}}, ValueError, "adavip.*ref_log_prob"),
        ({"rejected": {"log_prob": np.zeros((3, 2))}}, ValueError, r"rejected.log_prob.*\(3, 2\)"),
        ({"rejected": {"log_prob": [-1.0] * 3, "ref_log_prob": [-1.0] * 2}}, ValueError, r"rejected.ref_log_prob.*\(2,\)"),
        ({"rejected": {"logp": [-1.0] * 3}}, ValueError, "logp.*unknown key.*log_prob"),
        ({"clip_gap": [0.0]}, ValueError, r"clip_gap.*\(3,\).*found \(1,\)"),
    ],
)
def test_what_is_wrong_with_a_batch_is_said(change, kind, message):
    with pytest.raises(kind, match=message):
        percept_rl.preference_loss("adavip", {**ragged(), **change})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("adavipp", "adavipp.*adavip"),
        ({"name": "adavip", "gamma": 1}, "gamma.*anchor_weight"),
        ({"name": "dpo", "loss_type": "kto"}, "kto.*bco_pair"),
        ({"name": "dpo", "beta": -1.0}, "beta.*-1"),
        ({"name": "dama"}, "dama.*clip_gap"),
    ],
)
def test_what_is_wrong_with_a_config_is_said(config, message):
    with pytest.raises(ValueError, match=message):
        percept_rl.preference_loss(config, ragged())


def test_the_wheel_agrees_with_the_numpy_reading():
    import preference_reference as reference

    rng = np.random.default_rng(3)
    for form in reference.FORMS:
        b = reference.make_batch(rng, form)
        batch = {"clip_gap": b.clip_gap, "confidence": b.confidence, "draw": b.draw}
        for name in reference.KINDS:
            r = getattr(b, name)
            batch[name] = {"offsets": np.cumsum([0] + r.lengths), "rows": r.rows, "weight": r.weight}
            batch[name] |= {key: getattr(r, key) for key in ("log_prob", "ref_log_prob", "ref_kl", "phrase")}
        for config in reference.CONFIGS:
            if form == "many" and config["name"] not in reference.SOFTMAX:
                continue
            expected = reference.case(b, config, None, {})
            found = percept_rl.preference_loss(config, batch, state={"gap_mean": b.gap_mean})
            assert np.isclose(found.loss, expected["loss"], rtol=1e-6, atol=1e-6), config
            for kind, own in found.gradients.items():
                for key, slope in own.items():
                    other = expected["gradients"].get(kind, {}).get(f"d_{key}", np.zeros(len(slope)))
                    assert np.allclose(slope, other, rtol=1e-5, atol=1e-5), (config, kind)
