"""The memory estimate of `percept data check` against the measured peak of `percept train`.

Proves: for ten recipes (tiny to 135 M weights, all weights and LoRA, with and without images, preference stages with stored and
with computed reference) the estimate is within 30 % of the peak resident memory of a run of a few steps (VmHWM, as wait4 gives it).

Needs numpy. Run: python tools/memory_peaks.py PERCEPT [FOLDER]     writes a table to stdout
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TINY = {}
MIDDLE = {"hidden_size": 384, "num_hidden_layers": 8, "num_attention_heads": 6, "num_key_value_heads": 2,
          "intermediate_size": 1152}
LARGE = {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
         "intermediate_size": 1536}
DIGITS = 'digit_sum = { sft = { seed = 1 }, rl = { seed = 2 }, val = { seed = 3, len = 1 } }'


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def llama(folder, source):
    """Random weights in the shapes of SmolLM2-135M, with the tokenizer of the built-in task."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(source / name, folder / name)
    tokens = json.loads((source / "config.json").read_text())
    eos = tokens.get("eos_token_id", 0)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30,
              "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152,
              "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "hidden_act": "silu",
              "tie_word_embeddings": True, "eos_token_id": eos, "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"model.embed_tokens.weight": (49152, 576), "model.norm.weight": (576,)}
    for i in range(30):
        at = f"model.layers.{i}."
        shapes |= {at + "input_layernorm.weight": (576,), at + "post_attention_layernorm.weight": (576,),
                   at + "self_attn.q_proj.weight": (576, 576), at + "self_attn.k_proj.weight": (192, 576),
                   at + "self_attn.v_proj.weight": (192, 576), at + "self_attn.o_proj.weight": (576, 576),
                   at + "mlp.gate_proj.weight": (1536, 576), at + "mlp.up_proj.weight": (1536, 576),
                   at + "mlp.down_proj.weight": (576, 1536)}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(0)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            fill = np.ones(shape) if "norm" in name else random.standard_normal(shape) * 0.02
            file.write(fill.astype(np.float32).tobytes())


def recipes(folder, percept):
    words = "What is the sum of the digits"
    rows = [{"prompt": " ".join([words] * (2 + i % 5)), "response": " ".join([words] * (3 + i % 4)), "answer": str(i)}
            for i in range(200)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "reward.py").write_text("import random\n\nrandom.seed(0)\n\n\ndef reward(completions, **_):\n"
                                      "    return [random.random() for _ in completions]\n")
    text = f'train_files = ["{folder}/text.jsonl"]'
    subprocess.run([percept, "data", "export", "--task", "scenes", "--ask", "preference", "--rows", "64", "--output",
                    folder / "pairs", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    pairs = f'train_files = ["{folder}/pairs/data.jsonl"]'
    dpo = "[dpo]\nsteps = 2\ntrain_batch_size = 16\n[preference]\nloss = "
    sft = "[sft]\nsteps = 2\ntrain_batch_size = 16\n"
    rl = ("[rl]\nsteps = 2\ntrain_batch_size = {b}\nppo_mini_batch_size = {b}\n"
          "[rollout]\nnum_generations = 4\nmax_completion_length = {c}\n"
          # Random weights answer nothing right: a reward that differs between their responses, so that there are updates.
          f'[[reward.functions]]\nname = "python"\npath = "{folder}/reward.py"\n')
    lora = "lora = { r = 8, lora_alpha = 16 }"
    tiny = lambda shape: f"tiny = {toml(shape)}"
    yield "tiny, all weights, images, SFT and RL", tiny(TINY), DIGITS, sft + rl.format(b=16, c=48)
    yield "tiny, LoRA, images, RL", tiny(TINY) + "\n" + lora, DIGITS, rl.format(b=16, c=48)
    yield "tiny, all weights, text, SFT", tiny(TINY), text, sft
    yield "15 M, all weights, images, SFT and RL", tiny(MIDDLE), DIGITS, sft + rl.format(b=8, c=48)
    yield "106 M, LoRA, images, SFT", tiny(LARGE) + "\n" + lora, DIGITS, sft
    yield "106 M, all weights, images, RL", tiny(LARGE), DIGITS, rl.format(b=4, c=32)
    path = f'path = "{folder}/llama"'
    yield "135 M, all weights, text, SFT", path, text, sft
    yield "135 M, LoRA, text, RL", path + "\n" + lora, text, rl.format(b=8, c=48)
    scenes = tiny({**MIDDLE, "corpus": "scenes"})
    yield "15 M, all weights, pairs of pictures, AdaViP", scenes, pairs, dpo + '"adavip"\n'
    yield "15 M, all weights, pairs of pictures, CHiP (a reference in memory)", scenes, pairs, dpo + '"chip"\n'


def peak(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{errors}")
    return usage.ru_maxrss / 1024


def main():
    percept = sys.argv[1]
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print("| recipe | estimate, MiB | peak, MiB | ratio | parts |\n|---|---|---|---|---|")
    for index, (name, model, data, stages) in enumerate(recipes(folder, percept)):
        path = folder / f"{index}.toml"
        path.write_text(f'[trainer]\noutput_dir = "{folder}/runs"\nexperiment_name = "{index}"\nsave_freq = 0\n'
                        f"[model]\n{model}\n[data]\n{data}\n{stages}[eval]\nmax_samples = 1\nmax_completion_length = 4\n")
        if "llama" in model and not (folder / "llama").exists():
            saved = sorted((folder / "runs/2").glob("**/tokenizer.json"))[0].parent
            llama(folder / "llama", saved)
        check = subprocess.run([percept, "data", "check", path, "--json"], capture_output=True, text=True)
        said = [json.loads(line) for line in check.stdout.splitlines() if "memory_bytes" in line]
        if not said:
            raise SystemExit(check.stdout + check.stderr)
        parts = said[0]["memory_bytes"]
        estimate = said[0].get("peak_bytes", sum(parts.values())) / 2**20
        shutil.rmtree(folder / "runs" / str(index), ignore_errors=True)
        measured = peak([percept, "train", path, "--quiet"])
        shown = ", ".join(f"{k} {v / 2**20:.0f}" for k, v in parts.items())
        print(f"| {name} | {estimate:.0f} | {measured:.0f} | {estimate / measured:.2f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
