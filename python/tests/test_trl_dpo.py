"""Real DPO steps of a tiny vision-language model on the CPU, in TRL's own trainer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
from datasets import Dataset  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402
from trl import DPOConfig  # noqa: E402
from trl import DPOTrainer as Plain  # noqa: E402

from percept_rl.trl import DPOTrainer  # noqa: E402


def dataset(rejected_images="other"):
    rng = np.random.default_rng(0)
    rows = []
    for index in range(8):
        user = [{"type": "image"}, {"type": "text", "text": f"what is {index}?"}]
        pictures = [Image.fromarray(rng.integers(0, 255, (56, 28 * (1 + index % 2), 3), dtype=np.uint8)) for _ in range(2)]
        row = {
            "prompt": [{"role": "user", "content": user}],
            "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "three red boxes"}]}],
            "rejected": [{"role": "assistant", "content": [{"type": "text", "text": f"{index} cats"}]}],
            "images": [pictures[0]],
        }
        if rejected_images:
            row["rejected_images"] = [pictures[rejected_images == "other"]]
        rows.append(row)
    return Dataset.from_list(rows)


def trainer(folder, out, cls=DPOTrainer, rejected_images="other", own=None, **options):
    config = dict(
        output_dir=str(out), per_device_train_batch_size=4, max_steps=3, learning_rate=1e-3, report_to=[], max_length=None,
        save_strategy="no", logging_steps=1, use_cpu=True, bf16=False, seed=1, gradient_checkpointing=False, disable_tqdm=True,
    )
    return cls(
        AutoModelForImageTextToText.from_pretrained(folder),
        AutoModelForImageTextToText.from_pretrained(folder),
        args=DPOConfig(**config | options),
        train_dataset=dataset(rejected_images),
        processing_class=AutoProcessor.from_pretrained(folder),
        **(own or {}),
    )


def history(run):
    run.train()
    return [entry for entry in run.state.log_history if "loss" in entry]


def test_adavip_learns_both_contrasts(tiny_vlm, tmp_path):
    log = history(trainer(tiny_vlm, tmp_path, max_steps=6, beta=0.5))
    assert np.isclose(log[0]["loss"], np.log(3), atol=1e-3), "policy and reference are equal"
    assert np.isclose(log[0]["weights/rejected"], 1 / 3, atol=1e-3)
    assert log[-1]["loss"] < log[0]["loss"]
    assert log[-1]["rewards/margins"] > 0
    assert "rewards/chosen_rejected_image/margins" in log[-1] and "mean_token_accuracy" in log[-1]


def test_dpo_is_that_of_trl(tiny_vlm, tmp_path):
    own, plain = (
        history(trainer(tiny_vlm, tmp_path, cls=cls, rejected_images=None, own=options))
        for cls, options in ((DPOTrainer, {"loss": "dpo"}), (Plain, {}))
    )
    for mine, theirs in zip(own, plain):
        for name in ("loss", "grad_norm", "rewards/chosen", "rewards/margins", "logps/chosen"):
            assert np.isclose(mine[name], theirs[name], rtol=1e-3, atol=1e-4), name


def test_with_the_picture_itself_nothing_is_learnt_about_pictures(tiny_vlm, tmp_path):
    log = history(trainer(tiny_vlm, tmp_path, rejected_images="same"))
    assert all(abs(entry["rewards/chosen_rejected_image/margins"]) < 1e-5 for entry in log)


def test_what_cannot_work_is_refused(tiny_vlm, tmp_path):
    for loss, message in (("vdpo", "chosen_no_image"), ("chip", "ref_kl"), ("adavipp", "adavip")):
        with pytest.raises(ValueError, match=message):
            trainer(tiny_vlm, tmp_path, own={"loss": loss})
    with pytest.raises(ValueError, match="rejected_images"):
        trainer(tiny_vlm, tmp_path, rejected_images=None).train()
