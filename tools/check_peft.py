"""An adapter that percept saves is what PEFT loads, and the other way round.

For every golden case, `crates/model/examples/save_golden.rs` writes an adapter on all linear
layers (`adapter`) and the same model with the adapter merged (`merged`). PEFT loads the adapter on
the golden checkpoint; its logits must equal those of the merged checkpoint. Then PEFT saves an
adapter of its own, whose tensor names must be the ones that percept wrote.

Run: cargo build --release -p percept-model --example save_golden
     python tools/check_peft.py --save-golden target/release/examples/save_golden
Made with torch 2.15.0, transformers 5.23.0, peft 0.18+.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import peft
import torch
from check_saved import CASES, GOLDEN, distance, load, logits
from safetensors.torch import load_file


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--save-golden", type=Path, required=True)
    args = parser.parse_args()
    worst = 0
    for case in CASES:
        vision = "vl" in case
        inputs = load_file(GOLDEN / case / "inputs.safetensors")
        with tempfile.TemporaryDirectory() as out:
            out = Path(out)
            subprocess.run([args.save_golden, GOLDEN / case, out], check=True)
            plain = load(GOLDEN / case, vision)
            prompt = "images3" if vision else "text"
            before = logits(plain, inputs, prompt, vision)
            model = peft.PeftModel.from_pretrained(plain, out / "adapter").eval()
            found = logits(model, inputs, prompt, vision)
            merged = logits(load(out / "merged", vision), inputs, prompt, vision)
            d = distance(found, merged)
            print(f"{case:12} adapter in PEFT against merged by percept {d:.1e}, effect {distance(found, before):.1e}")
            assert d <= 1e-5 and distance(found, before) > 1e-2
            worst = max(worst, d)

            model.save_pretrained(out / "peft")
            ours = load_file(out / "adapter/adapter_model.safetensors")
            theirs = load_file(out / "peft/adapter_model.safetensors")
            assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
            assert all(torch.equal(ours[k], theirs[k]) for k in ours)
            config = json.loads((out / "adapter/adapter_config.json").read_text())
            unknown = config.keys() - json.loads((out / "peft/adapter_config.json").read_text()).keys()
            assert not unknown, unknown
    print("largest relative difference of logits:", worst)


if __name__ == "__main__":
    main()
