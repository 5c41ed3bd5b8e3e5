"""What percept saves of a LLaVA-1.5 is what transformers and PEFT load: same logits, nothing missing, nothing left over.

For the golden cases `llava` (float16) and `llava_full`, `crates/model/examples/save_golden.rs` writes the checkpoint again
(float32, bfloat16), an adapter on all linear layers, and the model with it merged. Here transformers loads each folder
strictly and its logits are compared with the golden ones; PEFT loads the adapter on the golden checkpoint, whose logits
must be those of the merged folder, and saves an adapter whose tensors must be the ones that percept wrote. With
`--checkpoint DIR`, a checkpoint of `percept train` on `processor_llava`, AutoProcessor loads that folder and must make of
the golden conversations what it makes of them with the original.

Run: cargo build --release -p percept-model --example save_golden
     python tools/check_llava.py --save-golden target/release/examples/save_golden [--checkpoint DIR]
Made with torch 2.15.0, transformers 5.10.4, peft 0.21.2.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import peft
import torch
from llava_goldens import CASES, PROMPTS, image_tokens, load, make_inputs
from llava_processor_goldens import CASES as CONVERSATIONS
from llava_processor_goldens import run
from safetensors.torch import load_file
from transformers import AutoProcessor

GOLDEN = Path(__file__).parent.parent / "crates/model/tests/golden"


def inputs_of(model, stored, prompt):
    """The golden prompt: ids as stored, pixels put together again from their patches."""
    inputs = {"input_ids": stored[f"{prompt}.input_ids"][None]}
    if f"{prompt}.pixel_values" in stored:
        side = int(stored[f"{prompt}.image_grid_thw"][0, 1])
        patches = stored[f"{prompt}.pixel_values"]
        patch = round((patches.shape[1] / 3) ** 0.5)
        x = patches.reshape(-1, side, side, 3, patch, patch).permute(0, 3, 1, 4, 2, 5)
        inputs["pixel_values"] = x.reshape(-1, 3, side * patch, side * patch)
    return inputs


@torch.no_grad()
def logits(model, stored, prompt):
    return model(**inputs_of(model, stored, prompt), use_cache=False).logits[0].float()


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def check(case, save_golden):
    stored = load_file(GOLDEN / case / "inputs.safetensors")
    expected = load_file(GOLDEN / case / "expected.safetensors")
    with tempfile.TemporaryDirectory() as out:
        out = Path(out)
        subprocess.run([save_golden, GOLDEN / case, out], check=True)
        model = load(out / "float32")
        for prompt in PROMPTS:
            found = logits(model, stored, prompt)[expected[f"{prompt}.logit_rows"]]
            d = distance(found, expected[f"{prompt}.logits"])
            print(f"{case:12} {prompt:8} {d:.1e}")
            assert d <= 1e-5, (case, prompt, d)
        assert load(out / "bfloat16", "auto").dtype == torch.bfloat16
        plain = load(GOLDEN / case)
        before = logits(plain, stored, "images3")
        adapted = peft.PeftModel.from_pretrained(plain, out / "adapter").eval()
        found = logits(adapted, stored, "images3")
        merged = logits(load(out / "merged"), stored, "images3")
        print(f"{case:12} adapter in PEFT against merged by percept {distance(found, merged):.1e}, effect {distance(found, before):.1e}")
        assert distance(found, merged) <= 1e-5 and distance(found, before) > 1e-2
        adapted.save_pretrained(out / "peft")
        ours = load_file(out / "adapter/adapter_model.safetensors")
        theirs = load_file(out / "peft/adapter_model.safetensors")
        assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
        assert all(torch.equal(ours[k], theirs[k]) for k in ours)
        print(f"{case:12} {len(ours)} tensors of the adapter are PEFT's")


def check_checkpoint(folder):
    ours, original = AutoProcessor.from_pretrained(folder), AutoProcessor.from_pretrained(GOLDEN / "processor_llava")
    model = load(folder)
    for name, messages in CONVERSATIONS.items():
        found, expected = run(ours, messages, True), run(original, messages, True)
        assert found == expected, name
    inputs, _ = make_inputs([4], 0, image_tokens(model.config))
    with torch.no_grad():
        assert model(**inputs).logits.isfinite().all()
    print(f"{folder}: {len(CONVERSATIONS)} conversations alike, weights load")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--save-golden", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    for case in CASES:
        check(case, args.save_golden)
    if args.checkpoint:
        check_checkpoint(args.checkpoint)


if __name__ == "__main__":
    main()
