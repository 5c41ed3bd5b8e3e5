"""percept's parts in verl's own registries, run by verl's own functions on its DataProto."""

import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")
from verl import DataProto  # noqa: E402
from verl.trainer.ppo import core_algos  # noqa: E402
from verl.workers.config import ActorConfig  # noqa: E402

import percept_rl  # noqa: E402
import percept_rl.verl as plugin  # noqa: E402

ROWS, WIDTH = 24, 6


@pytest.fixture(autouse=True)
def unconfigured():
    plugin.configure(None)
    yield
    plugin.configure(None)


def data(seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, WIDTH + 1, ROWS)
    mask = torch.arange(WIDTH) < torch.from_numpy(lengths)[:, None]
    scores = torch.zeros(ROWS, WIDTH)
    scores[torch.arange(ROWS), torch.from_numpy(lengths) - 1] = torch.from_numpy(rng.integers(0, 2, ROWS)).float()
    old = -torch.from_numpy(rng.exponential(1.0, (ROWS, WIDTH))).float() * mask
    tensors = {
        "response_mask": mask.long(),
        "token_level_rewards": scores,
        "old_log_probs": old,
        "entropy": torch.from_numpy(rng.exponential(1.0, (ROWS, WIDTH))).float(),
        "log_prob_no_image": old - torch.from_numpy(rng.exponential(1.0, (ROWS, WIDTH))).float(),
    }
    uid = np.array([f"prompt-{row // 4}" for row in range(ROWS)], dtype=object)
    visual = np.repeat(rng.uniform(1, 4, ROWS // 4), 4)
    return DataProto.from_dict(tensors=tensors, non_tensors={"uid": uid, "visual_entropy": visual})


def test_every_method_is_registered():
    methods = percept_rl.methods()
    for name in [*methods["advantage"], "tor", "direction", "tgrl"]:
        assert callable(core_algos.get_adv_estimator_fn(f"percept_{name}"))
    for name in [*methods["policy_loss"], "fipo"]:
        assert callable(core_algos.get_policy_loss_fn(f"percept_{name}"))


def test_importing_verl_is_enough_when_the_wheel_is_installed():
    """verl finds the entry point by itself: needs an installed wheel, not just the sources on a path."""
    from importlib.metadata import entry_points

    if not any(entry.value == "percept_rl.verl" for entry in entry_points(group="verl.plugins")):
        pytest.skip("percept-rl is on the path but not installed")
    code = "import verl, sys; from verl.trainer.ppo import core_algos; core_algos.get_adv_estimator_fn('percept_durian')"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_failed_registration_is_loud():
    """verl itself notes it at debug level only."""
    code = (
        "import verl.trainer.ppo.core_algos as c\n"
        "c.ADV_ESTIMATOR_REGISTRY['percept_grpo'] = print\n"
        "import sys; sys.modules.pop('percept_rl.verl', None)\n"
        "import percept_rl.verl\n"
    )
    env = {**os.environ, "VERL_USE_EXTERNAL_PLUGINS": "none"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode != 0
    assert "percept_rl could not register" in done.stderr and "percept_grpo" in done.stderr


def test_percept_grpo_is_verls_grpo():
    from verl.trainer.ppo.ray_trainer import compute_advantage

    ours = compute_advantage(data(), adv_estimator="percept_grpo", config={})
    theirs = compute_advantage(data(), adv_estimator=core_algos.AdvantageEstimator.GRPO)
    assert torch.allclose(ours.batch["advantages"], theirs.batch["advantages"], atol=1e-6)
    assert ours.batch["advantages"].dtype == theirs.batch["advantages"].dtype


@pytest.mark.parametrize("name", ["durian", "tor", "direction", "tgrl"])
def test_methods_read_the_columns_of_the_dataproto(name):
    out = plugin.compute_advantage(data(), f"percept_{name}", config={})
    advantages = out.batch["advantages"]
    assert advantages.shape == (ROWS, WIDTH) and torch.isfinite(advantages).all()
    assert (advantages[out.batch["response_mask"] == 0] == 0).all()
    plain = plugin.compute_advantage(data(), "percept_grpo", config={}).batch["advantages"]
    assert torch.equal(advantages, plain) == (name == "tgrl"), "TGRL without experts is GRPO; the others are not"


def test_durian_in_verl_is_durian():
    out = plugin.compute_advantage(data(), "percept_durian", config={})
    source = data()
    expected = percept_rl.credit(
        {"advantage": "durian"},
        {
            "response_mask": source.batch["response_mask"],
            "group": source.non_tensor_batch["uid"],
            "reward": source.batch["token_level_rewards"].sum(-1),
            "old_log_prob": source.batch["old_log_probs"],
            "visual_entropy": source.non_tensor_batch["visual_entropy"],
        },
    )
    assert np.array_equal(out.batch["advantages"].numpy(), expected["advantage"])
    assert plugin.last_stats == expected["stats"]


def test_a_missing_signal_is_named_with_the_remedy():
    from verl.trainer.ppo.ray_trainer import compute_advantage

    with pytest.raises(ValueError, match="log_prob_no_image.*percept_sync"):
        compute_advantage(data(), adv_estimator="percept_tor", config={})


def test_options_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PERCEPT_RL", '{"token_weight": [{"name": "direction", "alpha": 0.0}]}')
    neutral = plugin.compute_advantage(data(), "percept_direction", config={}).batch["advantages"]
    monkeypatch.setenv("PERCEPT_RL", '{"advantage": "grpo"}')
    plain = plugin.compute_advantage(data(), "percept", config={}).batch["advantages"]
    assert torch.equal(neutral, plain)
    with pytest.raises(ValueError, match="percept_durian is durian.*configured advantage is grpo"):
        plugin.compute_advantage(data(), "percept_durian", config={})
    monkeypatch.setenv("PERCEPT_RL", "{")
    with pytest.raises(ValueError, match="PERCEPT_RL.*JSON"):
        plugin.compute_advantage(data(), "percept_grpo", config={})


# Policy losses ------------------------------------------------------------------------------------


def actor(**options):
    options = {"clip_ratio_low": 0.2, "clip_ratio_high": 0.28, "clip_ratio_c": 10.0, **options}
    return ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, **options)


def losses(name, spread, config, mode="token-mean", **more):
    source = data(3)
    generator = torch.Generator().manual_seed(5)
    old = source.batch["old_log_probs"]
    log_prob = (old + spread * torch.randn(old.shape, generator=generator)).requires_grad_()
    advantages = torch.randn(old.shape, generator=generator)
    loss, stats = core_algos.get_policy_loss_fn(name)(
        old_log_prob=old, log_prob=log_prob, advantages=advantages, response_mask=source.batch["response_mask"],
        loss_agg_mode=mode, config=config, **more,
    )
    loss.backward()
    return loss.item(), log_prob.grad, stats


@pytest.mark.parametrize(
    ("ours", "theirs", "mode"),
    [
        ("ppo", "vanilla", "token-mean"),
        ("ppo", "vanilla", "seq-mean-token-sum"),
        ("gspo", "gspo", "seq-mean-token-mean"),
        ("cispo", "cispo", "token-mean"),
        ("sapo", "sapo", "seq-mean-token-mean"),
    ],
)
@pytest.mark.parametrize("info", [{}, {"dp_size": 2, "batch_num_tokens": 150, "global_batch_size": 36}])
def test_losses_are_those_of_verl(ours, theirs, mode, info):
    a = losses(f"percept_{ours}", 0.4, actor(global_batch_info=dict(info)), mode)
    b = losses(theirs, 0.4, actor(global_batch_info=dict(info)), mode)
    assert np.isclose(a[0], b[0], rtol=1e-5, atol=1e-7)
    assert torch.allclose(a[1], b[1], rtol=1e-4, atol=1e-6)


def test_importance_weights_of_the_sampler_are_applied():
    weights = torch.rand(ROWS, WIDTH, generator=torch.Generator().manual_seed(1)) * 2
    a = losses("percept_ppo", 0.4, actor(), rollout_is_weights=weights)
    b = losses("vanilla", 0.4, actor(), rollout_is_weights=weights)
    assert np.isclose(a[0], b[0], rtol=1e-5) and torch.allclose(a[1], b[1], rtol=1e-4, atol=1e-6)


def test_fipo_on_policy_is_ppo_and_off_policy_is_not():
    still = losses("percept_fipo", 0.0, actor()), losses("vanilla", 0.0, actor())
    assert np.isclose(still[0][0], still[1][0], rtol=1e-6) and torch.allclose(still[0][1], still[1][1], atol=1e-7)
    moved = losses("percept_fipo", 0.3, actor()), losses("vanilla", 0.3, actor())
    assert not torch.allclose(moved[0][1], moved[1][1], atol=1e-4)
    assert any(key.startswith("credit/fipo/") for key in moved[0][2])


# The trainer --------------------------------------------------------------------------------------


def test_taking_the_image_out_of_a_prompt():
    trainer = pytest.importorskip("percept_rl.verl_trainer", reason="needs transfer_queue")
    ids = torch.tensor([1, 90, 91, 91, 92, 5, 91, 7])  # the last two are the response: an id is just an id there
    found = trainer.without_image(ids, 2, {90, 91, 92})
    assert found.tolist() == [1, 5, 91, 7]
    assert trainer.text_positions(4, torch.zeros(4, 8, dtype=torch.long)).tolist() == [[0, 1, 2, 3]] * 4
    assert trainer.text_positions(3, torch.zeros(8, dtype=torch.long)).tolist() == [0, 1, 2]


def test_the_trainer_is_registered_and_makes_the_extra_pass(monkeypatch):
    trainer = pytest.importorskip("percept_rl.verl_trainer", reason="needs transfer_queue")
    from types import SimpleNamespace

    from verl.trainer.ppo.v1 import get_trainer_cls

    assert get_trainer_cls("percept_sync") is trainer.PerceptTrainer
    queue = Queue()
    monkeypatch.setattr(trainer, "tq", queue)
    nested = lambda rows: torch.nested.as_nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)
    rows = [[1, 90, 91, 92, 5, 6, 7], [1, 5, 8, 9, 3]]  # the second has no image
    lengths = [2, 3]
    queue.store["train"] = {
        "a_0_0": {}, "b_0_0": {},
    }
    queue.put("train", ["a_0_0", "b_0_0"], {
        "input_ids": nested(rows),
        "position_ids": nested([list(range(len(row))) for row in rows]),
        "prompts": nested([row[: len(row) - n] for row, n in zip(rows, lengths)]),
        "responses": nested([row[len(row) - n :] for row, n in zip(rows, lengths)]),
        "response_mask": nested([[1] * n for n in lengths]),
        "multi_modal_inputs": nested([[0], [0]]),
    })

    class Workers:
        seen = None

        def compute_log_prob(self, batch):
            ids = queue.kv_batch_get(batch.keys, batch.partition_id, ["input_ids"])["input_ids"].unbind()
            self.seen = [row.tolist() for row in ids]
            # "log-probability" at t: minus the id of token t + 1, as a model's output is aligned
            scores = [torch.cat([-row[1:].float(), torch.zeros(1)]) for row in ids]
            queue.put(batch.partition_id, batch.keys, {"log_probs": torch.nested.as_nested_tensor(scores, layout=torch.jagged)})
            return batch

    made = trainer.PerceptTrainer.__new__(trainer.PerceptTrainer)
    made.actor_rollout_wg = Workers()
    made._vision_ids = lambda: {90, 91, 92}
    batch = SimpleNamespace(
        keys=["a_0_0", "b_0_0"], partition_id="train", extra_info={"temperature": 1.0},
        tags=[{"seq_len": len(row)} for row in rows],
    )
    made._compute_log_prob_no_image(batch)
    assert made.actor_rollout_wg.seen == [[1, 5, 6, 7], [1, 5, 8, 9, 3]]
    found = queue.kv_batch_get(batch.keys, "train", ["log_prob_no_image"])["log_prob_no_image"].unbind()
    assert found[0].tolist() == [-6.0, -7.0]
    assert torch.isnan(found[1]).all(), "a row without an image has no perception score"
    assert queue.store[trainer.BLIND] == {}, "nothing is left in the queue"


def test_the_trainers_own_advantage_step_sees_the_signals(monkeypatch):
    """verl's `_compute_advantage`, from its queue to its queue, with ToR and Durian."""
    trainer = pytest.importorskip("percept_rl.verl_trainer", reason="needs transfer_queue")
    from omegaconf import OmegaConf
    from transfer_queue import KVBatchMeta
    from verl.trainer.ppo.v1 import trainer_base

    queue, source = Queue(), data(2)
    monkeypatch.setattr(trainer, "tq", queue)
    monkeypatch.setattr(trainer_base, "tq", queue)
    mask = source.batch["response_mask"].bool()
    cut = lambda name: torch.nested.as_nested_tensor(
        [row[keep] for row, keep in zip(source.batch[name], mask)], layout=torch.jagged
    )
    keys = [f"{uid}_{row}_0" for row, uid in enumerate(source.non_tensor_batch["uid"])]
    fields = {name: cut(name) for name in ("response_mask", "old_log_probs", "entropy", "log_prob_no_image")}
    fields["rm_scores"] = cut("token_level_rewards")
    fields |= {name: list(source.non_tensor_batch[name]) for name in ("uid", "visual_entropy")}
    queue.put("train", keys, fields)
    plugin.configure({"advantage": "durian", "token_weight": ["tor"]})
    made = trainer.PerceptTrainer.__new__(trainer.PerceptTrainer)
    made.config = OmegaConf.create({
        "algorithm": {"adv_estimator": "percept", "use_kl_in_reward": False, "gamma": 1.0, "lam": 1.0},
        "actor_rollout_ref": {"rollout": {"n": 4}},
    })
    metrics = {}
    made._compute_advantage(KVBatchMeta(keys=keys, tags=[{} for _ in keys], partition_id="train"), metrics)
    expected = plugin.compute_advantage(data(2), "percept", config={}).batch["advantages"]
    found = queue.kv_batch_get(keys, "train", ["advantages"])["advantages"].unbind()
    for row, keep, want in zip(found, mask, expected, strict=True):
        assert torch.equal(row, want[keep])
    assert {"credit/tor/weight/mean", "credit/durian/group_std"} <= set(metrics)


class Queue:
    """The part of transfer_queue that the trainer uses, in memory."""

    def __init__(self):
        self.store = {}

    def put(self, partition, keys, fields):
        for name, value in fields.items():
            rows = value.unbind() if isinstance(value, torch.Tensor) else value
            for key, row in zip(keys, rows, strict=True):
                self.store.setdefault(partition, {}).setdefault(key, {})[name] = row

    def kv_batch_put(self, keys, partition_id, fields=None, tags=None):
        from types import SimpleNamespace

        self.put(partition_id, keys, dict(fields.items()))
        return SimpleNamespace(keys=keys, partition_id=partition_id, tags=tags, extra_info={})

    def kv_batch_get(self, keys, partition_id, select_fields):
        from tensordict import NonTensorStack, TensorDict

        rows = [self.store[partition_id][key] for key in keys]
        out = TensorDict({}, batch_size=len(keys))
        for name in select_fields:
            values = [row[name] for row in rows if name in row]
            if not values:
                continue
            tensors = all(isinstance(value, torch.Tensor) for value in values)
            out[name] = torch.nested.as_nested_tensor(values, layout=torch.jagged) if tensors else NonTensorStack(*values)
        return out

    def kv_clear(self, keys, partition_id):
        for key in keys:
            del self.store[partition_id][key]
