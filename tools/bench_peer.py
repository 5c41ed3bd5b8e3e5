#!/usr/bin/env python3
"""The peer of `tools/bench.sh`: the same model and rows in PyTorch + transformers (f32, eager).

Usage: bench_peer.py MODEL_DIR DATA_JSONL

Prints one JSON object: SFT tokens/s (32 rows, padded batch, AdamW), sampling tokens/s of
`generate` at batch 1, 16 and 64, and the seconds of a GRPO step of 128 prompts x 8 responses by
phase. Only real tokens are counted, padding never.
"""

import json
import pathlib
import statistics
import sys
import time

import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

REPEAT = 3


def rows(path):
    folder = pathlib.Path(path).parent
    for line in pathlib.Path(path).read_text().splitlines():
        row = json.loads(line)
        row["pixels"] = [Image.open(folder / name).convert("RGB") for name in row["images"]]
        yield row


def batch(processor, some, completions=None):
    texts = [processor.apply_chat_template(r["messages"], add_generation_prompt=True) for r in some]
    if completions is not None:
        texts = [text + done for text, done in zip(texts, completions)]
    images = [image for r in some for image in r["pixels"]]
    return processor(text=texts, images=images, padding=True, return_tensors="pt")


def timed(work):
    work()
    found = []
    for _ in range(REPEAT):
        start = time.perf_counter()
        tokens = work()
        found.append((time.perf_counter() - start, tokens))
    seconds = statistics.median(s for s, _ in found)
    return seconds, statistics.median(tokens for _, tokens in found)


def loss_of(model, inputs, weight):
    """Mean over real tokens of -log p, or of a clipped policy loss when a weight is given."""
    logits = model(**inputs).logits[:, :-1]
    targets = inputs["input_ids"][:, 1:]
    mask = inputs["attention_mask"][:, 1:].float()
    log_prob = torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
    if weight is None:
        return -(log_prob * mask).sum() / mask.sum()
    ratio = torch.exp(log_prob - log_prob.detach())
    surrogate = torch.minimum(ratio * weight, ratio.clamp(0.8, 1.28) * weight)
    return -(surrogate * mask).sum() / mask.sum()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch.set_num_threads(2)
    processor = AutoProcessor.from_pretrained(sys.argv[1])
    processor.tokenizer.padding_side = "left"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        sys.argv[1], dtype=torch.float32, attn_implementation="sdpa"
    )
    data = list(rows(sys.argv[2]))
    end = processor.tokenizer.eos_token
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    out = {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def sft():
        inputs = batch(processor, data[:32], [r["expert"] + end for r in data[:32]])
        optimizer.zero_grad()
        loss_of(model, inputs, None).backward()
        optimizer.step()
        return int(inputs["attention_mask"].sum())

    seconds, tokens = timed(sft)
    out["sft_tokens_per_s"] = tokens / seconds

    def sample(some, n):
        inputs = batch(processor, some)
        with torch.inference_mode():
            ids = model.generate(
                **inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                max_new_tokens=48, num_return_sequences=n,
            )
        new = ids[:, inputs["input_ids"].shape[1]:]
        eos = processor.tokenizer.eos_token_id
        lengths = [(r == eos).nonzero()[0, 0].item() + 1 if (r == eos).any() else len(r) for r in new]
        return new, lengths

    for size in (1, 16, 64):
        seconds, tokens = timed(lambda: sum(sample(data[:size], 1)[1]))
        out[f"generate_{size}_tokens_per_s"] = tokens / seconds

    start = time.perf_counter()
    texts, lengths = [], []
    for at in range(0, 128, 16):
        new, found = sample(data[at:at + 16], 8)
        texts += [processor.tokenizer.decode(r[:n]) for r, n in zip(new, found)]
        lengths += found
    out["grpo_gen_s"] = time.perf_counter() - start
    start = time.perf_counter()
    optimizer.zero_grad()
    for at in range(0, 128, 8):
        some = [r for r in data[at:at + 8] for _ in range(8)]
        inputs = batch(processor, some, texts[at * 8:(at + 8) * 8])
        weight = torch.randn(len(some), 1)
        (loss_of(model, inputs, weight) / 16).backward()
    optimizer.step()
    out["grpo_update_s"] = time.perf_counter() - start
    out["grpo_tokens"] = sum(lengths)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
