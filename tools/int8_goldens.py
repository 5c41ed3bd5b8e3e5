"""Golden logits for weights of eight bits in the sampler.

Proves: a percept decoder with `int8` weights equals `transformers` run on the same checkpoint whose linear
layers (and head; the embedding table too where it is tied to the head) were rounded to a scale for each output,
`w -> s * round(w / s)` with `s = max |w| / 127`: torch's arithmetic on rounded f32 weights, not our kernel.

Made with torch 2.15.0, transformers 5.23.0, safetensors 0.8.0 (tools/requirements.txt); float32, eager
attention, one thread.

Run: python tools/int8_goldens.py
Output: crates/model/tests/golden/CASE/int8.safetensors, the logits of the last rows of the prompt `text`.
"""

import argparse
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

CASES = ["qwen2_tied", "qwen3", "qwen2_5_vl"]
ROWS = 6


def rounded(weight):
    largest = weight.abs().amax(dim=1, keepdim=True)
    scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return scale * (weight / scale).round()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", type=Path, default=Path("crates/model/tests/golden"))
    folder = parser.parse_args().golden
    torch.set_num_threads(1)
    for case in CASES:
        auto = transformers.AutoModelForImageTextToText if "vl" in case else transformers.AutoModelForCausalLM
        model = auto.from_pretrained(folder / case, dtype=torch.float32, attn_implementation="eager").eval()
        inputs = load_file(folder / case / "inputs.safetensors")
        ids = inputs["text.input_ids"][None]
        with torch.no_grad():
            exact = model(input_ids=ids, use_cache=False).logits[0, -ROWS:]
            for name, module in model.named_modules():
                if isinstance(module, torch.nn.Linear) and "visual" not in name:
                    module.weight.copy_(rounded(module.weight))
            logits = model(input_ids=ids, use_cache=False).logits[0, -ROWS:].contiguous()
        tied = model.get_input_embeddings().weight.data_ptr() == model.get_output_embeddings().weight.data_ptr()
        gap = ((logits - exact).abs().max() / exact.abs().max()).item()
        print(f"{case}: tied {tied}, largest difference to f32 {gap:.4f} of the largest logit")
        save_file({"logits": logits}, folder / case / "int8.safetensors")


if __name__ == "__main__":
    main()
