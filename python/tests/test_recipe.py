"""What a plug-in makes of a trainer's options; needs neither torch nor the trainer."""

import numpy as np
import pytest

import percept_rl
from percept_rl._recipe import loss_table


class Actor(dict):
    """verl's ActorConfig: attributes, and `get`."""

    def __init__(self, **options):
        super().__init__({
            "clip_ratio": 0.2, "clip_ratio_low": None, "clip_ratio_high": None, "clip_ratio_c": 3.0,
            "tau_pos": 1.0, "tau_neg": 1.05, "global_batch_info": {}, **options,
        })

    __getattr__ = dict.__getitem__


LENGTHS = [2, 6]


def batch():
    """A short good response and a long bad one."""
    return {
        "offsets": np.cumsum([0] + LENGTHS),
        "log_prob": np.full(8, -1.0, np.float32),
        "old_log_prob": np.full(8, -1.0, np.float32),
        "advantage": np.array([1.0] * 2 + [-1.0] * 6, np.float32),
    }


def slope(name, table=None, mode="token-mean", **options):
    made = loss_table(name, table or {}, mode, Actor(**options), 8)
    return percept_rl.policy_loss(made, batch())[1]


TOKEN_MEAN = np.array([-1 / 8] * 2 + [1 / 8] * 6)
SEQUENCE_MEAN = np.array([-1 / 4] * 2 + [1 / 12] * 6)
NORM = np.array([-1 / 16] * 2 + [1 / 16] * 6)


# C7, C13: verl's own gspo and sapo average each response first, whatever loss_agg_mode says.
@pytest.mark.parametrize(
    ("name", "expected"),
    [("ppo", TOKEN_MEAN), ("cispo", TOKEN_MEAN), ("gspo", SEQUENCE_MEAN), ("sapo", SEQUENCE_MEAN), ("fipo", TOKEN_MEAN)],
)
def test_a_loss_is_averaged_as_its_authors_do(name, expected):
    assert np.allclose(slope(name), expected, atol=1e-6)


def test_what_somebody_sets_comes_first():
    assert np.allclose(slope("sapo", mode="seq-mean-token-sum-norm"), NORM, atol=1e-6)
    assert np.allclose(slope("sapo", {"loss": {"loss_agg_mode": "token-mean"}}), TOKEN_MEAN, atol=1e-6)
    assert np.allclose(slope("ppo", mode="seq-mean-token-mean"), SEQUENCE_MEAN, atol=1e-6)


def test_dr_grpo_brings_its_loss():
    assert np.allclose(slope("ppo", {"advantage": "dr_grpo"}), NORM, atol=1e-6)
    with pytest.raises(ValueError, match="loss_scale_factor.*max_completion_length"):
        percept_rl.policy_loss({"advantage": "dr_grpo"}, batch())


# C6: the dual clip of the loss and FIPO's threshold are one number, 10 unless somebody says otherwise.
def test_fipo_has_one_dual_clip():
    far = batch()
    far["log_prob"] = far["old_log_prob"] + np.float32(np.log(5.0))
    loss = lambda table: percept_rl.policy_loss(table, far)[0]
    clip = {"loss": {"policy_loss": {"name": "ppo", "clip_ratio_c": 4.0}}, "token_weight": ["fipo"]}
    ten = {"loss": {"policy_loss": {"name": "ppo", "clip_ratio_c": 10.0}}, "token_weight": ["fipo"]}
    assert loss(loss_table("fipo", {}, "token-mean", Actor(), 8)) == loss(ten) != loss(clip)
    assert loss(loss_table("fipo", {}, "token-mean", Actor(clip_ratio_c=4.0), 8)) == loss(clip)
    own = {"token_weight": [{"name": "fipo", "clip_ratio_c": 4.0}]}
    assert loss(loss_table("fipo", own, "token-mean", Actor(), 8)) == loss(clip)
    with pytest.raises(ValueError, match="clip_ratio_c.*3.*clip_ratio_c.*10"):
        loss({
            "loss": {"policy_loss": {"name": "ppo", "clip_ratio_c": 3.0}},
            "token_weight": [{"name": "fipo", "clip_ratio_c": 10.0}],
        })


def test_an_option_that_verl_decides_is_refused():
    with pytest.raises(ValueError, match="loss.use_kl_loss.*actor.use_kl_loss"):
        loss_table("ppo", {"loss": {"use_kl_loss": True, "kl_coef": 0.1}}, "token-mean", Actor(), 8)
    # A recipe's table may be passed as it is printed, with what is off spelled out.
    whole = {"loss": {"use_kl_loss": False, "kl_coef": 0.001, "kl_loss_type": "k3", "entropy_coeff": 0.0}}
    loss_table("ppo", whole, "token-mean", Actor(), 8)
