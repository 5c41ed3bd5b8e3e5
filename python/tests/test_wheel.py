"""The functions themselves: forms of input, errors, and what must stay equal between forms."""

import numpy as np
import pytest

import percept_rl

CONFIG = {"advantage": "grpo", "token_weight": ["direction"]}
LENGTHS = [3, 1, 4, 2]


def ragged(seed=0):
    rng = np.random.default_rng(seed)
    tokens = sum(LENGTHS)
    old = -rng.exponential(1.0, tokens).astype(np.float32)
    return {
        "offsets": np.cumsum([0] + LENGTHS),
        "group": np.array([5, 5, 2, 2]),
        "reward": np.array([1.0, 0.0, 0.5, 0.25]),
        "old_log_prob": old,
        "log_prob": old + rng.normal(0, 0.3, tokens).astype(np.float32),
    }


def pad(flat, side="right", fill=0.0):
    width, out, start = max(LENGTHS) + 2, [], 0
    for length in LENGTHS:
        row, gap = list(flat[start : start + length]), [fill] * (width - length)
        out.append(row + gap if side == "right" else gap + row)
        start += length
    return np.array(out, dtype=np.asarray(flat).dtype)


def padded(batch, side="right"):
    out = {key: value for key, value in batch.items() if key in ("group", "reward")}
    out |= {key: pad(value, side) for key, value in batch.items() if key.endswith("log_prob")}
    out["response_mask"] = pad(np.ones(sum(LENGTHS), dtype=bool), side, False)
    return out


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_nothing(side):
    flat, square = ragged(), padded(ragged(), side)
    one, two = percept_rl.credit(CONFIG, flat), percept_rl.credit(CONFIG, square)
    assert two["advantage"].shape == square["response_mask"].shape
    assert np.array_equal(two["advantage"], pad(one["advantage"], side))
    assert np.array_equal(two["loss_mask"], square["response_mask"])
    assert np.all(two["weight"][~square["response_mask"]] == 1.0)
    assert one["stats"] == two["stats"]
    loss_a, slope_a, _ = percept_rl.policy_loss(CONFIG, {**flat, "advantage": one["advantage"]})
    loss_b, slope_b, _ = percept_rl.policy_loss(CONFIG, {**square, "advantage": two["advantage"]})
    assert loss_a == loss_b and np.array_equal(slope_b, pad(slope_a, side))


def test_a_gap_inside_a_row_is_kept_and_not_trained():
    batch = padded(ragged())
    batch["response_mask"][2, 1] = False
    found = percept_rl.credit(CONFIG, batch)
    assert found["advantage"][2, 1] == 0.0 and found["advantage"][2, 2] != 0.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_type_is_read(dtype):
    batch = ragged()
    batch["old_log_prob"] = batch["old_log_prob"].astype(dtype)
    assert percept_rl.credit(CONFIG, batch)["advantage"].dtype == np.float32


def test_torch_tensors_are_read_through_dlpack():
    torch = pytest.importorskip("torch")
    arrays = padded(ragged())
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    tensors["log_prob"].requires_grad_()
    expected, found = percept_rl.credit(CONFIG, arrays), percept_rl.credit(CONFIG, tensors)
    assert np.array_equal(found["advantage"], expected["advantage"])
    strided = {**tensors, "old_log_prob": tensors["old_log_prob"].t().contiguous().t()}
    assert np.array_equal(percept_rl.credit(CONFIG, strided)["advantage"], expected["advantage"])
    with pytest.raises(TypeError, match="old_log_prob.*bfloat16.*float32"):
        percept_rl.credit(CONFIG, {**tensors, "old_log_prob": tensors["old_log_prob"].bfloat16()})


def test_groups_may_be_names():
    batch = ragged()
    named = {**batch, "group": np.array(["b", "b", "a", "a"], dtype=object)}
    assert np.array_equal(percept_rl.credit(CONFIG, named)["advantage"], percept_rl.credit(CONFIG, batch)["advantage"])


def test_nan_means_not_graded():
    batch = {**ragged(), "reward": np.array([1.0, 0.0, 0.5, np.nan])}
    found = percept_rl.credit(CONFIG, batch)
    assert not found["loss_mask"][-2:].any() and found["loss_mask"][:-2].all()
    assert found["stats"]["reward/ungraded"] == 1.0


def test_micro_batches_add_up():
    batch = ragged()
    batch["advantage"] = percept_rl.credit(CONFIG, batch)["advantage"]
    loss, slope, _ = percept_rl.policy_loss(CONFIG, batch)
    cut = int(batch["offsets"][2])
    parts = []
    for tokens, offsets in ((slice(0, cut), batch["offsets"][:3]), (slice(cut, None), batch["offsets"][2:] - cut)):
        part = {key: batch[key][tokens] for key in ("log_prob", "old_log_prob", "advantage")}
        parts.append(percept_rl.policy_loss(CONFIG, {**part, "offsets": offsets}, total=(sum(LENGTHS), len(LENGTHS))))
    assert np.isclose(sum(p[0] for p in parts), loss, atol=1e-12)
    assert np.allclose(np.concatenate([p[1] for p in parts]), slope, atol=1e-9)


def test_the_entropy_bonus_is_not_lost_silently():
    batch = {**ragged(), "entropy": np.ones(sum(LENGTHS)), "advantage": np.ones(sum(LENGTHS))}
    config = {"loss": {"entropy_coeff": 0.01}}
    with pytest.raises(ValueError, match="entropy_gradient=True"):
        percept_rl.policy_loss(config, batch)
    _, _, slope, _ = percept_rl.policy_loss(config, batch, entropy_gradient=True)
    assert np.allclose(slope, -0.01 / sum(LENGTHS))


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"rewards": [1, 2]}, ValueError, "'rewards'.*unknown key.*reward"),
        ({"reward": None}, ValueError, "no 'reward'"),
        ({"reward": [1.0, 0.0]}, ValueError, r"'reward'.*\(4,\).*\[rows\].*found \(2,\)"),
        ({"old_log_prob": np.zeros(3)}, ValueError, r"'old_log_prob'.*\(10,\).*\[tokens\].*found \(3,\)"),
        ({"old_log_prob": np.zeros((4, 6))}, ValueError, r"'old_log_prob'.*found \(4, 6\)"),
        ({"old_log_prob": ["a"] * 10}, TypeError, "'old_log_prob'.*expected numbers"),
        ({"old_log_prob": object()}, TypeError, "'old_log_prob'"),
        ({"offsets": [0, 3, 2, 4, 10]}, ValueError, "'offsets'.*never decrease"),
        ({"offsets": [1, 3, 4, 8, 10]}, ValueError, "'offsets'.*start at 0"),
        ({"offsets": [0.0, 3.0]}, TypeError, "'offsets'.*integers.*float64"),
        ({"offsets": None}, ValueError, "'offsets'.*'response_mask'"),
        ({"group": [0.5] * 4}, TypeError, "'group'.*integers or strings.*float64"),
        ({"response_mask": np.full(10, 2)}, TypeError, "'response_mask'.*booleans"),
        ({"reward": [np.inf, 0, 0, 0]}, ValueError, "inf"),
    ],
)
def test_what_is_wrong_with_a_batch_is_said(change, kind, message):
    with pytest.raises(kind, match=message):
        percept_rl.credit(CONFIG, {**ragged(), **change})


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        ("grpo", TypeError, "config: expected a dict"),
        ({"advantage": "durain"}, ValueError, "config.advantage.*durain.*durian"),
        ({"advantages": "durian"}, ValueError, "advantages"),
        ({"advantage": {"name": "grpo", "eps": "small"}}, ValueError, "config.advantage"),
        ({"advantage": {"name": "grpo", "eps": -1.0}}, ValueError, "eps.*-1"),
        ({"token_weight": ["direction", "direction"]}, ValueError, "direction"),
        ({"loss": {"loss_agg_mode": "mean"}}, ValueError, "config.loss.loss_agg_mode.*token-mean"),
    ],
)
def test_what_is_wrong_with_a_config_is_said(config, kind, message):
    with pytest.raises(kind, match=message):
        percept_rl.credit(config, ragged())


def test_a_missing_signal_is_named():
    with pytest.raises(ValueError, match="tor.*nucleus_entropy|nucleus_entropy.*tor"):
        percept_rl.credit({"token_weight": ["tor"]}, ragged())


def test_needs_says_what_to_compute():
    found = percept_rl.needs({"token_weight": ["tor"]})
    assert found["nucleus_entropy"] == 0.95 and found["log_prob_no_image"]
    assert not any(percept_rl.needs({"advantage": "grpo"}).values())
    assert percept_rl.needs({"advantage": "durian"})["visual_entropy"]


def test_every_method_of_the_recipe_is_there():
    found = percept_rl.methods()
    assert {"grpo", "durian", "tgrl"} <= set(found["advantage"])
    assert {"tor", "direction", "tgrl", "fipo"} <= set(found["token_weight"])
    assert {"ppo", "gspo", "cispo", "sapo"} <= set(found["policy_loss"])


def test_an_empty_batch_is_no_error():
    found = percept_rl.credit({}, {"offsets": [0], "group": np.zeros(0, int), "reward": np.zeros(0)})
    assert found["advantage"].shape == (0,)


def test_visual_entropy_counts_directions():
    assert percept_rl.visual_entropy(np.ones((6, 4))) == 0.0
    two = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    assert np.isclose(percept_rl.visual_entropy(two), np.log(2))
    with pytest.raises(ValueError, match="patches, width"):
        percept_rl.visual_entropy(np.zeros(3))


def test_the_wheel_agrees_with_the_numpy_reading():
    import credit_reference

    report = credit_reference.check(60, seed=7)
    assert report["cases"] > 100 and report["worst"] <= 1e-6, report
