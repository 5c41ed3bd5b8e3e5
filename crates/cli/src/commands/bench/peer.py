"""The peer of `percept bench`: the same shapes in PyTorch and transformers, f32, eager, sdpa.

Arguments: threads, repetitions, suite. Prints one JSON object.
"""

import json
import sys
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

threads, repeat, suites = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
torch.set_num_threads(threads)
torch.manual_seed(0)
rows = {}


def best(work):
    work()
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found) * 1e3


def status(key):
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) / 1024


def peak_since(before):
    return max(status("VmHWM:") - before, 0.0)


def decoder():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=8192, hidden_size=512, intermediate_size=1536, num_hidden_layers=4,
        num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=65536,
        rms_norm_eps=1e-6, rope_theta=10000.0, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=0, attn_implementation="sdpa",
    ))


def token_log_prob(logits, targets):
    return torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]


before = status("VmRSS:")

if "roofline" in suites:
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    rows["roofline/product"] = 2 * 1536**3 / best(lambda: a @ b) / 1e6
    a, b = a.bfloat16(), b.bfloat16()
    rows["roofline/product, bf16"] = 2 * 1536**3 / best(lambda: a @ b) / 1e6
    x, y = torch.ones(1 << 26), torch.empty(1 << 26)
    rows["roofline/copy"] = 8 * (1 << 26) / best(lambda: y.copy_(x)) / 1e6

if "operators" in suites:
    from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm, apply_rotary_pos_emb

    def leaf(*shape):
        return torch.randn(*shape, requires_grad=True)

    def forward_backward(name, work):
        def run():
            out = work()
            out.backward(torch.ones_like(out))
        rows[f"operators/{name}"] = best(run)

    x = leaf(2048, 512)
    norm = LlamaRMSNorm(512, 1e-6)
    forward_backward("rms_norm", lambda: norm(x))
    gate, up = leaf(2048, 1536), leaf(2048, 1536)
    forward_backward("swiglu", lambda: torch.nn.functional.silu(gate) * up)
    q, k = leaf(1, 8, 2048, 64), leaf(1, 8, 2048, 64)
    cos, sin = torch.randn(1, 2048, 64), torch.randn(1, 2048, 64)

    def rotary():
        a, b = apply_rotary_pos_emb(q, k[:, :2], cos, sin)
        return torch.cat([a, b], 1)
    forward_backward("rotary", rotary)
    w = leaf(1536, 512)
    forward_backward("linear", lambda: torch.nn.functional.linear(x, w))
    q4, k4, v4 = leaf(4, 8, 512, 64), leaf(4, 2, 512, 64), leaf(4, 2, 512, 64)
    forward_backward("attention", lambda: torch.nn.functional.scaled_dot_product_attention(
        q4, k4, v4, is_causal=True, enable_gqa=True))
    table = leaf(8192, 512)
    ids = torch.arange(2048) * 37 % 8192
    forward_backward("embedding", lambda: torch.nn.functional.embedding(ids, table))
    p = leaf(1 << 22)
    p.grad = torch.full_like(p, 0.1)
    adamw = torch.optim.AdamW([p], lr=1e-3, fused=True)
    rows["operators/adamw"] = best(adamw.step)

if "log_prob" in suites:
    h, w = torch.randn(4096, 512, requires_grad=True), (torch.randn(151936, 512) * 0.02).requires_grad_()
    targets = torch.arange(4096) * 31 % 151936
    before = status("VmRSS:")

    def log_prob():
        h.grad = w.grad = None
        log_p = torch.log_softmax(h @ w.t(), -1)
        with torch.no_grad():  # as TRL: the entropy is a metric, computed in chunks
            for part in log_p.split(128):
                -(part.exp() * part).sum(-1)
        log_p.gather(-1, targets[:, None]).sum().backward()
    log_prob()
    start = time.perf_counter()
    log_prob()
    rows["log_prob/forward and backward"] = (time.perf_counter() - start) * 1e3
    rows["log_prob/peak memory"] = peak_since(before)

for suite, bf16 in (("sft", False), ("sft_bf16", True)):
    if suite not in suites:
        continue
    model = decoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.arange(2048).reshape(4, 512) * 31 % 8192

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(ids).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    rows[f"{suite}/step"] = 2048 / best(step) * 1e3
    rows[f"{suite}/peak memory"] = peak_since(before)

if "decode" in suites:
    model = decoder().eval()
    for size, kind in [(size, kind) for kind in ("", ", bf16") for size in (1, 16, 64)]:
        if kind:
            model = model.bfloat16()
        ids = torch.arange(size * 16).reshape(size, 16) % 8192

        def generate():
            with torch.inference_mode():
                model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0,
                               temperature=1.0, max_new_tokens=128, min_new_tokens=128, pad_token_id=0)
        rows[f"decode/batch {size}{kind}"] = size * 128 / best(generate) * 1e3
        if (size, kind) == (64, ""):
            rows["decode/batch 64, rollout engine"] = rows["decode/batch 64"]

if "attention" in suites:
    sdpa = torch.nn.functional.scaled_dot_product_attention
    for length in (1024, 4096, 16384, 32768):
        q = torch.randn(1, 8, length, 64)
        k, v = torch.randn(1, 2, length, 64), torch.randn(1, 2, length, 64)
        last = q[:, :, -1:].clone()
        found = {
            "forward": best(lambda: sdpa(q, k, v, is_causal=True, enable_gqa=True)),
            "decode": best(lambda: sdpa(last, k, v, enable_gqa=True)),
        }
        if length <= 16384:
            leaves = [x.requires_grad_() for x in (q, k, v)]

            def both():
                out = sdpa(*leaves, is_causal=True, enable_gqa=True)
                torch.autograd.grad(out, leaves, torch.ones_like(out))
            found["forward and backward"] = best(both)
        for name, ms in found.items():
            # Nothing in PyTorch is sparse in this way: full attention is what its user has.
            for kind in ("", ", phsa", ", phsa in two steps", ", sliding", ", infllm2", ", moba", ", nsa"):
                rows[f"attention/{length} {name}{kind}"] = ms

version = f"torch {torch.__version__}, transformers {transformers.__version__}"
print(json.dumps({"version": version, "rows": rows}))
