"""KL(p || q) and KL(q || p) of two linear heads and their gradients by PyTorch's autograd, for crates/nn/tests/kl.rs.

    python tools/kl_reference.py > crates/nn/tests/golden/kl.json

float64; made with torch 2.15.0. `kl` is torch.nn.functional.kl_div(log q, log p, log_target=True),
the form of TRL's `kl_penalty = "full"`; `forward_kl` has p and q exchanged.
"""

import json

import torch
import torch.nn.functional as F

ROWS, WIDTH, OTHER, VOCABULARY, TEMPERATURE = 7, 6, 4, 37, 0.8


def main():
    make = torch.Generator().manual_seed(0)
    # Exact in f32, so that both sides start from the same numbers.
    draw = lambda *shape: torch.randn(*shape, generator=make, dtype=torch.float32).double()
    h, w = draw(ROWS, WIDTH).requires_grad_(), draw(VOCABULARY, WIDTH).requires_grad_()
    other_h, other_w = draw(ROWS, OTHER), draw(VOCABULARY, OTHER)
    weights = draw(ROWS)
    log_p = F.log_softmax(h @ w.T / TEMPERATURE, -1)
    log_q = F.log_softmax(other_h @ other_w.T / TEMPERATURE, -1)
    kl = F.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
    forward = F.kl_div(log_p, log_q, log_target=True, reduction="none").sum(-1)
    arrays = dict(h=h, w=w, other_h=other_h, other_w=other_w, weights=weights)
    for name, value in (("", kl), ("forward_", forward)):
        dh, dw = torch.autograd.grad((value * weights).sum(), (h, w), retain_graph=True)
        arrays |= {f"{name}kl": value, f"{name}dh": dh, f"{name}dw": dw}
    flat = {name: array.detach().flatten().tolist() for name, array in arrays.items()}
    print(json.dumps({"temperature": TEMPERATURE, "widths": [WIDTH, OTHER], "rows": ROWS, **flat}))


if __name__ == "__main__":
    main()
