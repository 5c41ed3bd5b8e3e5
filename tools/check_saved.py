"""What percept saves is what transformers loads: same logits, nothing missing, nothing left over.

For every golden case, `crates/model/examples/save_golden.rs` writes the checkpoint again (float32,
bfloat16, and merged LoRA adapters); here `transformers` loads each folder strictly. The float32
logits of every prompt are compared with the golden ones, the bfloat16 weights with torch's rounding.

Run: cargo build --release -p percept-model --example save_golden
     python tools/check_saved.py --save-golden target/release/examples/save_golden
Made with torch 2.15.0, transformers 5.23.0.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

GOLDEN = Path(__file__).parent.parent / "crates/model/tests/golden"
CASES = ["llama", "llama3_rope", "qwen2", "qwen2_tied", "qwen3", "qwen2_vl", "qwen2_5_vl"]


def load(folder, vision, dtype=torch.float32):
    cls = AutoModelForImageTextToText if vision else AutoModelForCausalLM
    model, info = cls.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    leftovers = {k: v for k, v in info.items() if v}
    assert not leftovers, f"{folder}: {leftovers}"
    return model.eval()


def prompt_kwargs(inputs, prompt):
    names = ["pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw"]
    kwargs = {n: inputs[f"{prompt}.{n}"] for n in names if f"{prompt}.{n}" in inputs}
    kwargs["input_ids"] = inputs[f"{prompt}.input_ids"][None]
    kwargs["position_ids"] = inputs[f"{prompt}.position_ids"][:, None]
    return kwargs


@torch.no_grad()
def logits(model, inputs, prompt, vision):
    kwargs = prompt_kwargs(inputs, prompt)
    if not vision:
        kwargs = {"input_ids": kwargs["input_ids"]}
    elif prompt != "text":
        kwargs["mm_token_type_ids"] = inputs[f"{prompt}.mm_token_type_ids"][None]
    return model(**kwargs).logits[0].float()


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--save-golden", type=Path, required=True)
    args = parser.parse_args()
    worst = 0
    for case in CASES:
        vision = "vl" in case
        inputs = load_file(GOLDEN / case / "inputs.safetensors")
        expected = load_file(GOLDEN / case / "expected.safetensors")
        with tempfile.TemporaryDirectory() as out:
            subprocess.run([args.save_golden, GOLDEN / case, out], check=True)
            model = load(Path(out) / "float32", vision)
            for prompt in ["text", "image", "images3", "video", "mixed"] if vision else ["text"]:
                rows = expected[f"{prompt}.logit_rows"]
                found = logits(model, inputs, prompt, vision)[rows]
                d = distance(found, expected[f"{prompt}.logits"])
                print(f"{case:12} {prompt:8} {d:.1e}")
                assert d <= 1e-5, f"{case} {prompt}: {d}"
                worst = max(worst, d)
            # bfloat16: the golden weights as torch rounds them, and a folder that loads.
            golden = load_file(GOLDEN / case / "model.safetensors")
            halved = load_file(Path(out) / "bfloat16/model.safetensors")
            assert golden.keys() == halved.keys()
            assert all(torch.equal(golden[k].bfloat16(), halved[k]) for k in golden), case
            assert load(Path(out) / "bfloat16", vision, "auto").dtype == torch.bfloat16
            load(Path(out) / "merged", vision)
    print("largest relative difference of logits:", worst)


if __name__ == "__main__":
    main()
