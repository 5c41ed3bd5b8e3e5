"""Block choices of InfLLM-V2 and MoBA in plain NumPy, for crates/nn/tests/sparse.rs.

Written from arXiv 2509.24663 (three-stage scores; block pooling with window 5, stride 4, padding 1)
and arXiv 2502.13189 (mean keys, top-k per head, the query's own block counted), float64.

    python tools/sparse_reference.py > crates/nn/tests/golden/sparse.json
"""

import json

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def infllm2(q, k, kernel, stride, block, init, local, top_k):
    """q [heads of one group, tokens, dim], k [tokens, dim]: chosen blocks of each token."""
    heads, tokens, dim = q.shape
    starts = np.arange(0, tokens - kernel + 1, stride)
    compressed = np.stack([k[s : s + kernel].mean(0) for s in starts])
    logits = q @ compressed.T / np.sqrt(dim)
    chosen = []
    for t in range(tokens):
        visible = starts + kernel - 1 <= t
        shared = np.zeros(len(starts))
        if visible.any():
            shared[visible] = softmax(logits[:, t][:, visible]).sum(0)
        ratio = block // stride
        blocks = tokens // block + 1
        padded = np.concatenate([[0.0], shared, np.zeros(ratio * (blocks + 1))])
        scores = np.array([padded[ratio * b : ratio * b + ratio + 1].max() for b in range(blocks)])
        current = t // block
        rest = [b for b in range(init, max(init, current - local))]
        rest.sort(key=lambda b: (-scores[b], b))
        chosen.append(sorted(rest[:top_k]))
    return chosen


def moba(q, k, block, top_k):
    """q [heads, tokens, dim], k [tokens, dim]: past blocks chosen by each head and token."""
    heads, tokens, _ = q.shape
    means = [k[b : b + block].mean(0) for b in range(0, tokens - block + 1, block)]
    chosen = []
    for t in range(tokens):
        current = t // block
        row = []
        for h in range(heads):
            scores = [float(q[h, t] @ means[b]) for b in range(current)]
            order = sorted(range(current), key=lambda b: (-scores[b], b))
            row.append(sorted(order[: top_k - 1]))
        chosen.append(row)
    return chosen


def main():
    rng = np.random.default_rng(7)
    tokens, heads, dim = 300, 2, 8
    q = np.round(rng.uniform(-2, 2, (heads, tokens, dim)), 2).astype(np.float32)
    k = np.round(rng.uniform(-2, 2, (tokens, dim)), 2).astype(np.float32)
    q64, k64 = q.astype(np.float64), k.astype(np.float64)
    chosen = infllm2(q64, k64, 32, 16, 64, 1, 1, 1)
    print(
        json.dumps(
            {
                "made_by": f"tools/sparse_reference.py, numpy {np.__version__}",
                "q": [round(float(x), 2) for x in q.transpose(1, 0, 2).ravel()],
                "k": [round(float(x), 2) for x in k.ravel()],
                "infllm2": chosen,
                "moba": moba(q64, k64, 32, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
