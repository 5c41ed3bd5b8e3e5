"""A tiny Qwen2.5-VL with a real processor: the golden folder of crate `model`, random weights."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
PROCESSOR = ROOT / "crates/model/tests/golden/processor"


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory):
    """Folder of the model."""
    torch = pytest.importorskip("torch")
    from transformers import AutoProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    folder = tmp_path_factory.mktemp("tiny-qwen2_5_vl")
    fields = json.loads((PROCESSOR / "config.json").read_text())
    fields.pop("model_type")
    fields["text_config"]["rope_parameters"]["mrope_section"] = [2, 3, 3]
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**fields))
    with torch.no_grad():  # sharper than a fresh model, so that log-probabilities differ
        model.lm_head.weight.mul_(20)
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(PROCESSOR).save_pretrained(folder)
    return folder
