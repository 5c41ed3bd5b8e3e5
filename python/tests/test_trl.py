"""Real GRPO steps of a tiny vision-language model on the CPU, in TRL's own trainer."""

import math
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
from datasets import Dataset  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402
from trl import GRPOConfig  # noqa: E402
from trl import GRPOTrainer as Plain  # noqa: E402

import percept_rl  # noqa: E402
from percept_rl.trl import GRPOTrainer, nucleus_entropy  # noqa: E402


def dataset(images=True):
    rng = np.random.default_rng(0)
    rows = []
    for index in range(8):
        content = [{"type": "image"}] * images + [{"type": "text", "text": f"what is {index}?"}]
        row = {"prompt": [{"role": "user", "content": content}]}
        if images:
            row["images"] = [Image.fromarray(rng.integers(0, 255, (56, 28 * (1 + index % 2), 3), dtype=np.uint8))]
        rows.append(row)
    return Dataset.from_list(rows)


def length_reward(completions, completion_ids, **_):
    """Differs inside a group, so that there is something to learn."""
    return [float(sum(ids) % 7) for ids in completion_ids]


def trainer(folder, out, cls=GRPOTrainer, images=True, reward=length_reward, **options):
    own = {key: options.pop(key) for key in ("advantage", "token_weight", "renormalize_weight") if key in options}
    config = dict(
        output_dir=str(out), per_device_train_batch_size=4, num_generations=4, max_completion_length=8, max_steps=3,
        learning_rate=1e-3, report_to=[], save_strategy="no", logging_steps=1, use_cpu=True, bf16=False, seed=1,
        gradient_checkpointing=False, disable_tqdm=True,
    )
    config |= options
    return cls(
        AutoModelForImageTextToText.from_pretrained(folder),
        reward,
        args=GRPOConfig(**config),
        train_dataset=dataset(images),
        processing_class=AutoProcessor.from_pretrained(folder),
        **own,
    )


def weights_of(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_three_steps_with_tor_and_fipo_move_the_model(tiny_vlm, tmp_path):
    chosen = ["tor", {"name": "fipo", "clip_high_only": False}]
    run = trainer(tiny_vlm, tmp_path, token_weight=chosen, num_iterations=3, delta=10.0)
    before = weights_of(run.model)
    run.train()
    assert run.state.global_step == 3
    moved = [not torch.equal(value, before[name]) for name, value in run.model.named_parameters()]
    assert any(moved)
    logged = [entry for entry in run.state.log_history if "loss" in entry]
    assert len(logged) == 3 and all(math.isfinite(entry["loss"]) for entry in logged)
    keys = {key for entry in logged for key in entry}
    assert any(key.startswith("credit/tor/") for key in keys), sorted(keys)
    assert any(key.startswith("credit/fipo/") for key in keys), sorted(keys)


def test_durian_reads_the_image_features(tiny_vlm, tmp_path):
    run = trainer(tiny_vlm, tmp_path, advantage="durian", token_weight=["direction"])
    run.train()
    assert run.state.global_step == 3


def test_grpo_is_trls_own(tiny_vlm, tmp_path):
    """The same estimator (TRL's eps) takes the same three steps."""
    ours = trainer(tiny_vlm, tmp_path / "a", advantage={"name": "grpo", "eps": 1e-4})
    theirs = trainer(tiny_vlm, tmp_path / "b", cls=Plain)
    for run in (ours, theirs):
        torch.manual_seed(3)
        run.train()
    for (name, a), (_, b) in zip(ours.model.named_parameters(), theirs.model.named_parameters()):
        assert torch.allclose(a, b, atol=1e-5), name


def test_a_response_without_a_grade_teaches_nothing(tiny_vlm, tmp_path):
    def never(completions, **_):
        return [None] * len(completions)

    run = trainer(tiny_vlm, tmp_path, reward=never, token_weight=["direction"])
    before = weights_of(run.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.train()
    assert all(torch.equal(value, before[name]) for name, value in run.model.named_parameters())


def test_without_an_image_tor_says_what_is_missing(tiny_vlm, tmp_path):
    run = trainer(tiny_vlm, tmp_path, images=False, token_weight=["tor"])
    with pytest.raises(ValueError, match="log_prob_no_image.*no images"):
        run.train()


def test_liger_is_refused_with_the_reason(tiny_vlm, tmp_path):
    with pytest.raises(ValueError, match="one advantage per response"):
        trainer(tiny_vlm, tmp_path, token_weight=["direction"], use_liger_kernel=True)


def test_fipo_with_one_update_per_rollout_warns(tiny_vlm, tmp_path):
    with pytest.warns(UserWarning, match="FIPO has no effect"):
        trainer(tiny_vlm, tmp_path, token_weight=["fipo"])


def test_an_unknown_method_is_refused_before_the_model_is_touched(tiny_vlm, tmp_path):
    with pytest.raises(ValueError, match="durain"):
        trainer(tiny_vlm, tmp_path, advantage="durain")


def test_the_nucleus_is_the_smallest_set_that_holds_top_p():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.97, 0.01, 0.01, 0.01]]))
    kept = torch.tensor([0.5, 0.3, 0.15]) / 0.95
    expected = torch.tensor([-(kept * kept.log()).sum(), 0.0])
    assert torch.allclose(nucleus_entropy(logits, 0.94), expected, atol=1e-6)
    whole = -(logits.exp() * logits).sum(-1)
    assert torch.allclose(nucleus_entropy(logits, 1.0), whole, atol=1e-5)


def test_the_image_changes_log_probabilities_and_blind_rows_are_nan(tiny_vlm, tmp_path):
    """The extra pass equals the model's own on a prompt written without the image."""
    run = trainer(tiny_vlm, tmp_path, token_weight=["tor"])
    inputs = [row for row in dataset() for _ in range(4)][:4]
    seen = {}
    original = run._percept_signals

    def spy(batch, rows):
        seen["signals"], seen["batch"] = original(batch, rows), batch
        return seen["signals"]

    run._percept_signals = spy
    run.model.train()
    run._generate_and_score_completions([{**row, "image": row["images"]} for row in inputs])
    signals, batch = seen["signals"], seen["batch"]
    mask = batch["completion_mask"].bool()
    difference = (signals["old_log_prob"] - signals["log_prob_no_image"])[mask]
    assert difference.abs().max() > 1e-3
    assert set(percept_rl.needs(run.algorithm)) >= {"log_prob_no_image"}
    # By hand, for the first row: text ids without the three kinds of vision tokens.
    config = run.model.config
    vision = [config.image_token_id, config.vision_start_token_id, config.vision_end_token_id]
    prompt = batch["prompt_ids"][0][batch["prompt_mask"][0].bool()]
    prompt = prompt[~torch.isin(prompt, torch.tensor(vision))]
    completion = batch["completion_ids"][0][mask[0]]
    with torch.no_grad():
        logits = run.model(input_ids=torch.cat([prompt, completion])[None]).logits[0]
    expected = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, completion[:, None])[:, 0]
    assert torch.allclose(signals["log_prob_no_image"][0][mask[0]], expected, atol=1e-4)
