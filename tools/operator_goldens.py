#!/usr/bin/env python3
"""Values and gradients of every operator of crates/nn in PyTorch, float64, for tests/pytorch.rs.

    python tools/operator_goldens.py

Writes crates/nn/tests/golden/operators.json and crates/model/tests/golden/mrope.json. Inputs are not stored: both
sides make them from a seed (`values` below and in crates/nn/tests/common). Of each result and each
gradient of `sum(c * result)` a summary is stored: its largest absolute value, its Euclidean norm, its sums against
four fixed vectors, and sixteen of its elements. An element that is wrong changes the sums.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import Qwen2_5_VLTextConfig
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLRotaryEmbedding

ROOT = pathlib.Path(__file__).resolve().parent.parent
MADE_BY = f"tools/operator_goldens.py, torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
torch.set_num_threads(1)

MULTIPLIER, INCREMENT = 6_364_136_223_846_793_005, 1
GOLDEN_RATIO, WORD = 0x9E37_79B9_7F4A_7C15, (1 << 64) - 1


def values(seed, *shape):
    """Numbers between -1 and 1, exact in float32: the upper 24 bits of a linear congruential generator."""
    count = int(np.prod(shape))
    powers = np.cumprod(np.full(count, MULTIPLIER, np.uint64), dtype=np.uint64)
    steps = np.cumsum(np.concatenate([np.ones(1, np.uint64), powers[:-1]]), dtype=np.uint64)
    start = np.uint64((seed * GOLDEN_RATIO + 1) & WORD)
    state = powers * start + steps * np.uint64(INCREMENT)
    return torch.from_numpy((state >> np.uint64(40)).astype(np.float64) / (1 << 23) - 1.0).reshape(shape)


def leaf(seed, *shape):
    return values(seed, *shape).requires_grad_()


def summary(x):
    x = x.detach().flatten()
    places = [i * (len(x) - 1) // 15 for i in range(16)]
    return {
        "len": len(x),
        "max": float(f"{x.abs().max():.9g}"),
        "norm": float(f"{x.norm():.9g}"),
        "sums": [float(f"{(values(seed, len(x)) * x).sum():.9g}") for seed in range(100, 104)],
        "values": [float(f"{x[i]:.9g}") for i in places],
    }


def evaluate(out, *leaves):
    """Summaries of a result and of the gradients of `sum(c * result)`."""
    grads = torch.autograd.grad((out * values(99, *out.shape)).sum(), leaves)
    return [summary(x) for x in (out, *grads)]


def attention(spans, heads, kv_heads, dim, causal):
    """Scaled-dot-product attention, each text with its prefix written out in front of it. Spans as nn::Span:
    start, length, start and length of the prefix."""
    tokens = spans[-1][0] + spans[-1][1]
    q, k, v = leaf(1, tokens, heads, dim), leaf(2, tokens, kv_heads, dim), leaf(3, tokens, kv_heads, dim)
    outputs = []
    for start, length, prefix_start, prefix in spans:
        rows = list(range(prefix_start, prefix_start + prefix)) + list(range(start, start + length))
        whole = [x[rows].transpose(0, 1)[None] for x in (3.0 * q, k, v)]
        out = F.scaled_dot_product_attention(*whole, is_causal=causal, enable_gqa=True)
        outputs.append(out[0].transpose(0, 1)[prefix:])
    return evaluate(torch.cat(outputs), q, k, v)


PACKED = [[0, 37, 0, 0], [37, 1, 0, 0], [38, 70, 0, 0]]
# A prompt with three responses, then a text of its own.
SHARED = [[0, 41, 0, 0], [41, 17, 0, 41], [58, 1, 0, 41], [59, 30, 0, 41], [89, 19, 0, 0]]


def attentions():
    for dim in (32, 64, 80, 128):
        for group in (1, 2, 4, 8):
            kv_heads = 2 if group < 8 else 1
            for name, spans, causal in (("causal", PACKED, True), ("bidirectional", PACKED, False),
                                        ("shared prefix", SHARED, True)):
                yield {
                    "name": name, "spans": spans, "heads": group * kv_heads, "kv_heads": kv_heads, "dim": dim,
                    "causal": causal, "arrays": attention(spans, group * kv_heads, kv_heads, dim, causal),
                }


def log_prob(rows, width, vocabulary, temperature):
    h, w = leaf(1, rows, width), leaf(2, vocabulary, width)
    targets = torch.arange(rows) * 31 % vocabulary
    log_p = F.log_softmax(h @ (3.0 * w).t() / temperature, -1)
    chosen = log_p.gather(-1, targets[:, None])[:, 0]
    entropy = torch.distributions.Categorical(logits=log_p).entropy()
    return evaluate(torch.cat([chosen, entropy]), h, w)


def adamw(count, steps):
    p = leaf(1, count)
    optimizer = torch.optim.AdamW([p], lr=3e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    for step in range(steps):
        p.grad = 0.5 * values(10 + step, count)
        optimizer.step()
    state = optimizer.state[p]
    return [summary(x) for x in (p, state["exp_avg"], state["exp_avg_sq"])]


def rotary(x, cos, sin):
    """x [tokens, heads, dim]"""
    return apply_rotary_pos_emb(x.transpose(0, 1)[None], x.transpose(0, 1)[None], cos[None], sin[None])[0][0].transpose(0, 1)


def operators():
    x, w, b = leaf(1, 131, 80), leaf(2, 80), leaf(3, 80)
    yield "rms_norm", evaluate(F.rms_norm(x, (80,), w, 1e-5), x, w)
    yield "layer_norm", evaluate(F.layer_norm(x + 2.0, (80,), w, b, 1e-5), x, w, b)
    for dim in (32, 64, 80, 128):
        x = leaf(1, 131, 3, dim)
        yield f"rotary/{dim}", evaluate(rotary(x, values(4, 131, dim), values(5, 131, dim)), x)
    gate, up = leaf(1, 131, 77), leaf(2, 131, 77)
    yield "swiglu", evaluate(F.silu(4.0 * gate) * up, gate, up)
    yield "gelu", evaluate(F.gelu(6.0 * gate), gate)
    yield "quick_gelu", evaluate(ACT2FN["quick_gelu"](6.0 * gate), gate)
    table, ids = leaf(1, 50, 33), torch.arange(131) * 37 % 43
    yield "embedding", evaluate(F.embedding(ids, table), table)
    x, rows, index = leaf(1, 60, 33), leaf(2, 7, 33), torch.tensor([3, 59, 0, 12, 31, 4, 40])
    yield "scatter_rows", evaluate(x.index_put((index,), rows), x, rows)
    x, w, b = leaf(1, 131, 96), leaf(2, 77, 96), leaf(3, 77)
    yield "linear", evaluate(F.linear(x, w, b), x, w, b)
    yield "linear without bias", evaluate(F.linear(x, w), x, w)
    yield "linear_log_prob/83", log_prob(40, 12, 83, 0.7)
    yield "linear_log_prob/5003", log_prob(300, 32, 5003, 1.3)
    yield "adamw", adamw(20_011, 5)


def mrope(dim, section):
    config = Qwen2_5_VLTextConfig(
        hidden_size=dim * 2, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": section},
    )
    # Text, an image of 3 x 4 merged tokens, text far behind it.
    image = [[5, 5 + row, 5 + column] for row in range(3) for column in range(4)]
    positions = [[p] * 3 for p in range(5)] + image + [[p] * 3 for p in (9, 10, 1000, 20_000)]
    x = leaf(1, len(positions), 3, dim)
    ids = torch.tensor(positions).t()[:, None]
    cos, sin = Qwen2_5_VLRotaryEmbedding(config)(x.float(), ids)
    out = rotary(x, cos[0].double(), sin[0].double())
    return {"dim": dim, "theta": 1e6, "section": section, "positions": positions, "arrays": evaluate(out, x)}


def write(path, content):
    text = json.dumps({"made_by": MADE_BY, **content}, separators=(",", ":"))
    (ROOT / path).write_text(text.replace('{"', '\n{"') + "\n")


def main():
    write("crates/nn/tests/golden/operators.json", {
        "attention": list(attentions()),
        "operators": [{"name": name, "arrays": arrays} for name, arrays in operators()],
    })
    write("crates/model/tests/golden/mrope.json", {"cases": [mrope(128, [16, 24, 24]), mrope(32, [8, 4, 4])]})


if __name__ == "__main__":
    main()
