"""Block choices and outputs of InfLLM-V2, MoBA and PHSA in plain NumPy, for crates/nn/tests/sparse.rs, and NSA
with its gradients in PyTorch, for crates/nn/tests/nsa.rs.

Written from arXiv 2509.24663 (three-stage scores; block pooling with window 5, stride 4, padding 1),
arXiv 2502.13189 (mean keys, top-k per head, the query's own block counted), arXiv 2601.02819 (keys of
blocks fused from the mean and the mean of the punctuation; where that paper is silent, the choice is
InfLLM-V2's without pooling) and arXiv 2502.11089 in the form of fla-org/native-sparse-attention (mean
compression, shared keys and values), float64.

    python tools/sparse_reference.py > crates/nn/tests/golden/sparse.json
    python tools/sparse_reference.py nsa > crates/nn/tests/golden/nsa.json
"""

import json
import sys

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def phsa(q, k, marks, block, init, local, top_k, share):
    """q [heads of one group, tokens, dim], k [tokens, dim], marks [tokens]: chosen blocks of each token. `share`
    is the weight of the mean, `init` and `local` count blocks."""
    _, tokens, dim = q.shape
    fused = []
    for first in range(0, tokens - block + 1, block):
        rows, marked = k[first : first + block], marks[first : first + block]
        mean = rows.mean(0)
        punctuation = rows[marked].mean(0) if marked.any() else mean
        fused.append(share * mean + (1 - share) * punctuation)
    logits = q @ np.array(fused).T / np.sqrt(dim)
    chosen = []
    for t in range(tokens):
        whole = (t + 1) // block
        scores = softmax(logits[:, t, :whole]).sum(0) if whole else []
        rest = list(range(init, max(init, t // block - local)))
        rest.sort(key=lambda b: (-scores[b], b))
        chosen.append(sorted(rest[:top_k]))
    return chosen


def outputs(q, k, v, block, init, local, chosen, every):
    """Attention of each `every`-th token to itself, what it always sees and the blocks `chosen(token, head)`."""
    heads, tokens, dim = q.shape
    found = []
    for t in range(0, tokens, every):
        for h in range(heads):
            current = t // block
            blocks = {*range(init), *range(current - local, current + 1), *chosen(t, h)}
            seen = [s for s in range(t + 1) if s // block in blocks]
            found.extend(softmax(q[h, t] @ k[seen].T / np.sqrt(dim)) @ v[seen])
    return [float(f"{x:.8g}") for x in found]


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


def values(seed, shape):
    """The numbers of `values` in crates/nn/tests/common/mod.rs."""
    state = (seed * 0x9E3779B97F4A7C15 + 1) % 2**64
    out = []
    for _ in range(int(np.prod(shape))):
        state = (state * 6364136223846793005 + 1) % 2**64
        out.append((state >> 40) / 2**23 - 1)
    return np.array(out).reshape(shape)


def nsa(q, k, v, g, scale, block_size, top_k, init_blocks, local_blocks, window):
    """One text, token by token: q [tokens, heads, dim], k and v [tokens, kv heads, dim], g [tokens,
    heads, 3] after the sigmoid."""
    import torch

    tokens, heads, dim = q.shape
    group = heads // k.shape[1]
    out = []
    for t in range(tokens):
        current, complete = t // block_size, (t + 1) // block_size
        row = []
        for kv in range(k.shape[1]):
            of_group = range(kv * group, (kv + 1) * group)
            blocks = [slice(b * block_size, (b + 1) * block_size) for b in range(current + 1)]
            scores = torch.zeros(current + 1, dtype=torch.float64)
            compressed = {h: torch.zeros(dim, dtype=torch.float64) for h in of_group}
            if complete > 0:
                mean_k = torch.stack([k[b, kv].mean(0) for b in blocks[:complete]])
                mean_v = torch.stack([v[b, kv].mean(0) for b in blocks[:complete]])
                for h in of_group:
                    p = torch.softmax(mean_k @ q[t, h] * scale, 0)
                    compressed[h] = p @ mean_v
                    scores[:complete] += p.detach()
            # More than any sum over the group.
            scores[:init_blocks] = scores[max(0, current - local_blocks + 1) :] = 10.0 * heads
            chosen = torch.topk(scores, min(top_k, current + 1)).indices
            at = torch.cat([torch.arange(tokens)[blocks[b]] for b in sorted(chosen.tolist())])
            at = at[at <= t]
            last = slice(max(0, t - window + 1), t + 1)
            for h in of_group:
                selected = torch.softmax(k[at, kv] @ q[t, h] * scale, 0) @ v[at, kv]
                near = torch.softmax(k[last, kv] @ q[t, h] * scale, 0) @ v[last, kv]
                row.append(g[t, h, 0] * compressed[h] + g[t, h, 1] * selected + g[t, h, 2] * near)
        out.append(torch.stack(row))
    return torch.stack(out)


def nsa_golden():
    import torch

    lengths, heads, kv_heads, dim = [54, 9], 4, 2, 4
    total = sum(lengths)
    shapes = [(total, heads, dim), (total, kv_heads, dim), (total, kv_heads, dim), (total, heads, 3)]
    c = torch.tensor(values(99, shapes[0]))
    cases = []
    for options in (
        {"block_size": 16, "top_k": 3, "init_blocks": 1, "local_blocks": 1, "window": 20},
        {"block_size": 16, "top_k": 2, "init_blocks": 0, "local_blocks": 1, "window": 33},
    ):
        leaves = [torch.tensor(values(i + 1, s), requires_grad=True) for i, s in enumerate(shapes)]
        texts = zip(*(leaf.split(lengths) for leaf in leaves))
        parts = [nsa(q, k, v, g.sigmoid(), 2.0, **options) for q, k, v, g in texts]
        o = torch.cat(parts)
        (o * c).sum().backward()
        arrays = {"o": o.detach(), **{f"d{n}": leaf.grad for n, leaf in zip("qkvg", leaves)}}
        arrays = {n: [float(f"{x:.6g}") for x in a.flatten().tolist()] for n, a in arrays.items()}
        cases.append({**options, **arrays})
    made_by = f"tools/sparse_reference.py nsa, torch {torch.__version__}"
    print(json.dumps({"made_by": made_by, "cases": cases}))


def main():
    rng = np.random.default_rng(7)
    tokens, heads, dim = 300, 2, 8
    q = np.round(rng.uniform(-2, 2, (heads, tokens, dim)), 2).astype(np.float32)
    k = np.round(rng.uniform(-2, 2, (tokens, dim)), 2).astype(np.float32)
    q64, k64 = q.astype(np.float64), k.astype(np.float64)
    v = np.round(rng.uniform(-2, 2, (tokens, dim)), 2).astype(np.float32)
    v64 = v.astype(np.float64)
    marks = rng.random(tokens) < 0.08
    every = 9

    def together(chosen, block, init, local):
        return outputs(q64, k64, v64, block, init, local, lambda t, _: chosen[t], every)

    chosen = infllm2(q64, k64, 32, 16, 64, 1, 1, 1)
    per_head = moba(q64, k64, 32, 3)
    golden = {
        "made_by": f"tools/sparse_reference.py, numpy {np.__version__}",
        "q": [round(float(x), 2) for x in q.transpose(1, 0, 2).ravel()],
        "k": [round(float(x), 2) for x in k.ravel()],
        "v": [round(float(x), 2) for x in v.ravel()],
        "marks": np.flatnonzero(marks).tolist(),
        "every": every,
        "infllm2": chosen,
        "infllm2_outputs": together(chosen, 64, 1, 1),
        "moba": per_head,
        "moba_outputs": outputs(q64, k64, v64, 32, 0, 0, lambda t, h: per_head[t][h], every),
    }
    for name, share, set_ in (("phsa_half", 0.5, marks), ("phsa_one", 1.0, marks), ("phsa_no_marks", 0.5, marks & False)):
        chosen = phsa(q64, k64, set_, 16, 1, 2, 2, share)
        golden |= {name: chosen, f"{name}_outputs": together(chosen, 16, 1, 2)}
    print(json.dumps(golden))


if __name__ == "__main__":
    nsa_golden() if sys.argv[1:] == ["nsa"] else main()
