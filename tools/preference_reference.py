"""An independent NumPy reading of percept's preference losses, and TRL's code where it has the loss.

Proves: every loss of crates/credit/src/preference computes what the papers' formulas say, value and
gradient. The losses below were written from the formulas alone, in float64, on dual numbers: a value
and its derivatives with respect to every log-probability and divergence of the batch, carried through
each operation. No gradient is written down, so a slip in a derivation cannot be made twice.

Where TRL has the loss, its own code runs on the same batch: DPOTrainer._compute_loss on a stub trainer
whose models are the given log-probabilities (all loss types, ld_alpha, f-divergences, sums of losses),
CPOTrainer.cpo_loss (simpo), ORPOTrainer.odds_ratio_loss; gradients by autograd, in float64. Loss, gradient
and metrics must agree with the NumPy reading to 1e-8 (alpha_divergence, which TRL computes in float32, to
1e-5), else the script fails. Left out where TRL overflows
(margins of 1e4 in forward_kl, alpha_divergence, discopop; log-probabilities of 0 in orpo), and what TRL 1.16
no longer has: reference_free, rpo_alpha, label_smoothing in `sigmoid`.

Batches are random and often degenerate: ties, policy equal to reference, rejected picture equal to the
picture, margins of 1e4, answers of one token, token weights, several or no negatives in a pair.

  python tools/preference_reference.py              20 batches to crates/credit/tests/golden/preference.json
  python tools/preference_reference.py --batches 1000 --out FILE
  PREFERENCE_GOLDEN=FILE cargo test --release -p percept-credit --test preference

Made with numpy 2.4.6, torch 2.15.0, trl 1.16.0. `--no-trl` needs NumPy only.
"""

import argparse
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np

KINDS = [
    "chosen", "rejected", "chosen_rejected_image", "chosen_no_image", "rejected_no_image", "corrected",
    "corrected_rejected_image", "general",
]


# Dual numbers -------------------------------------------------------------------------------------

class Dual:
    """A number and its gradient."""

    def __init__(self, value, grad=0.0):
        self.value, self.grad = float(value), grad

    def __add__(self, other):
        other = dual(other)
        return Dual(self.value + other.value, self.grad + other.grad)

    def __neg__(self):
        return Dual(-self.value, -self.grad)

    def __sub__(self, other):
        return self + -dual(other)

    def __rsub__(self, other):
        return dual(other) - self

    def __mul__(self, other):
        other = dual(other)
        return Dual(self.value * other.value, self.value * other.grad + other.value * self.grad)

    def __truediv__(self, number):
        return Dual(self.value / number, self.grad / number)

    __radd__, __rmul__ = __add__, __mul__


def dual(x):
    return x if isinstance(x, Dual) else Dual(x)


def constant(x):
    """Stopped gradient."""
    return Dual(dual(x).value)


def log_sigmoid(x):
    return Dual(-np.logaddexp(0.0, -x.value), math.exp(-np.logaddexp(0.0, x.value)) * x.grad)


def sigmoid(x):
    value = math.exp(-np.logaddexp(0.0, -x.value))
    return Dual(value, value * math.exp(-np.logaddexp(0.0, x.value)) * x.grad)


def exp(x, bound=80.0):
    """Exponential; CONVENTION: constant beyond `bound`."""
    if x.value > bound:
        return Dual(math.exp(bound))
    return Dual(math.exp(x.value), math.exp(x.value) * x.grad)


def log_sum_exp(xs):
    total = np.logaddexp.reduce([x.value for x in xs])
    return Dual(total, sum(math.exp(x.value - total) * x.grad for x in xs))


def square(x):
    return x * x


def mean(xs):
    return sum(xs, Dual(0.0)) / len(xs)


# Batches ------------------------------------------------------------------------------------------

class Responses:
    """One kind of response. `at` is where its tokens stand among the variables of the batch."""

    def __init__(self, name, lengths, at, size, log_prob, ref_log_prob, weight, ref_kl, phrase, rows):
        self.name, self.lengths, self.at, self.size = name, list(map(int, lengths)), at, size
        self.log_prob, self.ref_log_prob, self.weight = log_prob, ref_log_prob, weight
        self.ref_kl, self.phrase, self.rows = ref_kl, phrase, rows
        ends = np.cumsum(self.lengths)
        self.tokens = [range(int(end) - length, int(end)) for end, length in zip(ends, self.lengths)]

    def of_pair(self, pair):
        if self.rows is None:
            return [pair]
        start = sum(self.rows[:pair])
        return list(range(start, start + self.rows[pair]))

    def unit(self, token, divergence=False):
        grad = np.zeros(self.size)
        grad[self.at + token + (len(self.log_prob) if divergence else 0)] = 1.0
        return grad

    def token(self, token):
        return Dual(self.log_prob[token], self.unit(token))

    def factor(self, row, token, tail):
        given = 1.0 if self.weight is None else self.weight[token]
        position = token - self.tokens[row].start
        return given * (tail[1] if tail is not None and position >= tail[0][row] else 1.0)

    def sum(self, row, tail=None):
        return sum((self.token(t) * self.factor(row, t, tail) for t in self.tokens[row]), Dual(0.0))

    def ref(self, row, tail=None):
        return math.fsum(self.ref_log_prob[t] * self.factor(row, t, tail) for t in self.tokens[row])

    def ratio(self, row, tail=None):
        return self.sum(row, tail) - self.ref(row, tail)

    def plain(self, row):
        return sum((self.token(t) for t in self.tokens[row]), Dual(0.0))

    def kl(self, row):
        return sum((Dual(self.ref_kl[t], self.unit(t, True)) for t in self.tokens[row]), Dual(0.0))

    def length(self, row):
        return max(self.lengths[row], 1)


def f32(values):
    """Values that float32 holds exactly."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


FORMS = ["plain", "weights", "ties", "huge", "one_token", "equal_images", "many", "at_reference"]


def make_batch(rng, form):
    pairs = int(rng.integers(1, 5))
    longest = 1 if form == "one_token" else 4
    lengths, rows = {}, {}
    for name in KINDS:
        count = pairs
        if name == "general":
            count = int(rng.integers(1, 3))
        if form == "many" and name in ("rejected", "chosen_rejected_image"):
            rows[name] = [int(n) for n in rng.integers(0, 4, pairs)]
            count = sum(rows[name])
        lengths[name] = [int(n) for n in rng.integers(1, longest + 1, count)]
    for name in ("chosen_rejected_image", "chosen_no_image"):  # the same answer with another picture
        if name not in rows:
            lengths[name] = lengths["chosen"]
    lengths["rejected_no_image"] = lengths["rejected"] if "rejected" not in rows else lengths["rejected_no_image"]
    lengths["corrected_rejected_image"] = lengths["corrected"]
    size = 2 * sum(sum(values) for values in lengths.values())
    scale = {"huge": 5000.0}.get(form, 1.5)
    out, at = {}, 0
    for name in KINDS:
        tokens = sum(lengths[name])
        log_prob = -rng.exponential(scale, tokens)
        ref = log_prob + rng.normal(0, 5000.0 if form == "huge" else 1.0, tokens)
        if form == "ties":
            log_prob, ref = np.round(log_prob * 2) / 2 - 0.5, np.round(np.minimum(ref, 0) * 2) / 2 - 0.5
        if form == "at_reference":
            ref = log_prob
        if form == "equal_images" and name == "chosen_rejected_image":
            log_prob, ref = out["chosen"].log_prob, out["chosen"].ref_log_prob
        phrase = np.zeros(tokens, dtype=int)
        if name in ("chosen", "rejected"):
            phrase = rng.integers(0, 3, tokens)
        weight = f32(rng.choice([1.0, 4.0], tokens)) if form == "weights" else None
        out[name] = Responses(
            name, lengths[name], at, size, f32(log_prob), f32(np.minimum(ref, 0.0)), weight,
            f32(rng.exponential(0.3, tokens)), phrase, rows.get(name),
        )
        at += 2 * tokens
    return SimpleNamespace(
        form=form, pairs=pairs, size=size, clip_gap=f32(rng.normal(0.05, 0.5, pairs)),
        confidence=f32(rng.random(pairs)), draw=rng.random(pairs), gap_mean=float(f32(rng.normal(0, 1))),
        **out,
    )


# Losses -------------------------------------------------------------------------------------------

def smooth(x, eps):
    return -(1 - eps) * log_sigmoid(x) - eps * log_sigmoid(-x)


def likelihood(b):
    """Mean over all tokens of the chosen responses."""
    total = sum((b.chosen.plain(row) for row in range(b.pairs)), Dual(0.0))
    return -total / max(sum(b.chosen.lengths), 1)


def f_score(x, kind, alpha):
    """f'(t) at log t = x (f-DPO, table 1)."""
    if kind == "forward_kl":
        return 1.0 - exp(-x)
    if kind == "js_divergence":
        return log_sigmoid(x) + math.log(2)
    if kind == "alpha_divergence":
        return (exp((alpha - 1) * x) - 1.0) / (alpha - 1)
    return x


def stable_order(values):
    return [int(i) for i in np.argsort(np.asarray(values), kind="stable")]


def dpo(b, loss_type="sigmoid", loss_weights=None, beta=0.1, label_smoothing=0.0, reference_free=False,
        rpo_alpha=None, ld_alpha=None, f_divergence_type="reverse_kl", f_alpha_divergence_coef=0.5,
        discopop_tau=0.05):
    eps, pairs = label_smoothing, range(b.pairs)
    tail = None
    if ld_alpha is not None:
        tail = ([min(b.chosen.lengths[i], b.rejected.lengths[i]) for i in pairs], ld_alpha)
    refs = {r.name: [0.0 if reference_free else r.ref(i, tail) for i in pairs] for r in (b.chosen, b.rejected)}
    pol = {r.name: [r.sum(i, tail) for i in pairs] for r in (b.chosen, b.rejected)}
    c = [pol["chosen"][i] - refs["chosen"][i] for i in pairs]
    r = [pol["rejected"][i] - refs["rejected"][i] for i in pairs]
    sc = [f_score(x, f_divergence_type, f_alpha_divergence_coef) for x in c]
    sr = [f_score(x, f_divergence_type, f_alpha_divergence_coef) for x in r]
    nc, nr = [b.chosen.length(i) for i in pairs], [b.rejected.length(i) for i in pairs]

    def one(kind):
        if kind == "sft":
            return likelihood(b)
        if kind == "aot":
            gain = [pol["chosen"][i] - pol["rejected"][i] for i in pairs]
            ref_gain = [refs["chosen"][i] - refs["rejected"][i] for i in pairs]
            gain = [gain[i] for i in stable_order([x.value for x in gain])]
            deltas = [x - y for x, y in zip(gain, sorted(ref_gain))]
            return mean([smooth(beta * x, eps) for x in deltas])
        if kind == "aot_unpaired":
            high = [c[i] for i in stable_order([x.value for x in c])]
            low = [r[i] for i in stable_order([x.value for x in r])]
            return mean([smooth(beta * (x - y), eps) for x, y in zip(high, low)])
        return mean([pair(kind, i) for i in pairs])

    def pair(kind, i):
        x, a, d = beta * (sc[i] - sr[i]), beta * c[i], beta * r[i]
        if kind == "sigmoid":
            return smooth(x, eps)
        if kind == "sigmoid_norm":
            return smooth(beta * (sc[i] / nc[i] - sr[i] / nr[i]), eps)
        if kind == "hinge":
            return 1.0 - x if x.value < 1.0 else Dual(0.0)
        if kind == "ipo":
            return square(sc[i] / nc[i] - sr[i] / nr[i] - 1 / (2 * beta))
        if kind == "exo_pair":
            return (sigmoid(x) * (log_sigmoid(x) - math.log(1 - eps))
                    + sigmoid(-x) * (log_sigmoid(-x) - math.log(eps)))
        if kind == "nca_pair":
            return -log_sigmoid(a) - 0.5 * log_sigmoid(-a) - 0.5 * log_sigmoid(-d)
        if kind == "robust":
            return (-(1 - eps) * log_sigmoid(x) + eps * log_sigmoid(-x)) / (1 - 2 * eps)
        if kind == "bco_pair":
            return -log_sigmoid(a) - log_sigmoid(-d)
        if kind == "sppo_hard":
            return square(c[i] - 0.5 / beta) + square(r[i] + 0.5 / beta)
        if kind == "apo_zero":
            return 1.0 - sigmoid(a) + sigmoid(d)
        if kind == "apo_down":
            return sigmoid(a) + 1.0 - sigmoid(a - d)
        if kind == "discopop":
            mix = sigmoid(x / discopop_tau)
            # CONVENTION: e^-x times the mix as one exponential.
            return -log_sigmoid(x) * (1.0 - mix) + exp(log_sigmoid(x / discopop_tau) - x)
        raise KeyError(kind)

    kinds = [loss_type] if isinstance(loss_type, str) else loss_type
    weights = loss_weights or [1.0] * len(kinds)
    loss = sum((w * one(kind) for kind, w in zip(kinds, weights)), Dual(0.0))
    return loss if rpo_alpha is None else loss + rpo_alpha * likelihood(b)


def ipo(b, beta=0.1):
    return dpo(b, "ipo", beta=beta)


def robust(b, beta=0.1, label_smoothing=0.1):
    return dpo(b, "robust", beta=beta, label_smoothing=label_smoothing)


def simpo(b, beta=2.0, simpo_gamma=0.5, cpo_alpha=0.0, label_smoothing=0.0):
    def margin(i):
        return beta * (b.chosen.sum(i) / b.chosen.length(i) - b.rejected.sum(i) / b.rejected.length(i)) - simpo_gamma

    return mean([smooth(margin(i), label_smoothing) for i in range(b.pairs)]) + cpo_alpha * likelihood(b)


def orpo(b, beta=0.1):
    def log_odds(x):
        """CONVENTION: log P of more than -1e-7 counts as that."""
        x = x if x.value <= -1e-7 else Dual(-1e-7)
        rest = -math.expm1(x.value)
        return x - Dual(math.log(rest), -math.exp(x.value) / rest * x.grad)

    def penalty(i):
        chosen, rejected = (log_odds(r.sum(i) / r.length(i)) for r in (b.chosen, b.rejected))
        return -log_sigmoid(chosen - rejected)

    return likelihood(b) + beta * mean([penalty(i) for i in range(b.pairs)])


def softmax_loss(b, negatives, beta):
    def pair(i):
        own = beta * b.chosen.ratio(i)
        rivals = [beta * r.ratio(row) for r in negatives for row in r.of_pair(i)]
        return log_sum_exp([own] + rivals) - own

    return mean([pair(i) for i in range(b.pairs)])


def sdpo(b, beta=0.1):
    return softmax_loss(b, [b.rejected], beta)


def anchored(b, beta, anchor):
    return mean([-log_sigmoid(beta * b.chosen.ratio(i) - anchor) for i in range(b.pairs)])


def adavip(b, beta=0.1, anchor_weight=0.0, anchor=0.0):
    return softmax_loss(b, [b.rejected, b.chosen_rejected_image], beta) + anchor_weight * anchored(b, beta, anchor)


def mdpo(b, beta=0.1, visual_negative="rejected_image", visual_weight=1.0, anchor_weight=1.0, anchor=0.0):
    other = {"rejected_image": b.chosen_rejected_image, "no_image": b.chosen_no_image}[visual_negative]
    image = mean([-log_sigmoid(beta * (b.chosen.ratio(i) - other.ratio(i))) for i in range(b.pairs)])
    return dpo(b, beta=beta) + visual_weight * image + anchor_weight * anchored(b, beta, anchor)


def vdpo(b, beta=0.1, gamma=1.5, guide="policy", label_smoothing=0.0, dynamic_label_smoothing=False):
    def guided(seeing, blind, i):
        without = constant(blind.sum(i)) if guide == "policy" else Dual(blind.ref(i))
        return gamma * seeing.sum(i) - (gamma - 1) * without - seeing.ref(i)

    def pair(i):
        margin = guided(b.chosen, b.chosen_no_image, i) - guided(b.rejected, b.rejected_no_image, i)
        return smooth(beta * margin, (1 - b.confidence[i]) / 2 if dynamic_label_smoothing else label_smoothing)

    return mean([pair(i) for i in range(b.pairs)])


def opa(b, beta=0.1, standard_pair_coef=1.0, ai_pair_coef=1.0, copo_coef=0.2, anchor_coef=1.0, anchor_value=0.0,
        anchor="above"):
    def hold(kind, reward):
        if anchor == "squared":
            return square(reward - anchor_value)
        if anchor == "released" and kind is b.corrected:
            return -log_sigmoid(-reward + anchor_value)
        return -log_sigmoid(reward - anchor_value)

    loss = Dual(0.0)
    for better, worse, weight in [
        (b.chosen, b.rejected, standard_pair_coef),
        (b.corrected, b.rejected, ai_pair_coef),
        (b.chosen, b.chosen_rejected_image, standard_pair_coef * copo_coef),
        (b.corrected, b.corrected_rejected_image, ai_pair_coef * copo_coef),
    ]:
        if weight == 0.0:
            continue
        pairs = range(b.pairs)
        contrast = mean([-log_sigmoid(beta * better.ratio(i) - beta * worse.ratio(i)) for i in pairs])
        loss += weight * contrast + anchor_coef * mean([hold(better, beta * better.ratio(i)) for i in pairs])
    return loss


def chip(b, beta=0.1, use_cross_modal_loss=True, use_tok=True, tok_beta=0.1):
    def pair(i):
        margin = b.chosen.ratio(i) - b.rejected.ratio(i)
        if use_cross_modal_loss:
            margin += b.chosen.ratio(i) - b.chosen_rejected_image.ratio(i)
        if use_tok:
            margin -= tok_beta * (b.rejected.kl(i) - constant(b.chosen.kl(i)))
        return -log_sigmoid(beta * margin)

    return mean([pair(i) for i in range(b.pairs)])


def halva(b, loss_alpha=0.4):
    terms = []
    for i in range(b.pairs):
        for number in (1, 2):
            tokens = [[t for t in r.tokens[i] if r.phrase[t] == number] for r in (b.chosen, b.rejected)]
            if tokens[0] and tokens[1]:
                right = sum((b.chosen.token(t) for t in tokens[0]), Dual(0.0))
                wrong = sum((b.rejected.token(t) for t in tokens[1]), Dual(0.0))
                terms.append(-log_sigmoid(-(wrong - right)))  # log(1 + e^(wrong - right))
    alignment = mean(terms) if terms else Dual(0.0)
    divergence = mean([b.general.kl(row) for row in range(len(b.general.lengths))])
    return alignment + loss_alpha * divergence


def dama(b, beta=0.1, keep=0.8, momentum=0.9, clip_gap_mean=0.0482190464911681, min_beta=1e-3):
    gaps = [b.chosen.ratio(i) - b.rejected.ratio(i) for i in range(b.pairs)]
    values = np.array([gap.value for gap in gaps])
    keys = -np.log(-np.log(b.draw)) - 0.5 * (values - b.gap_mean) ** 2
    kept = sorted(range(b.pairs), key=lambda i: -keys[i])[: max(1, int(keep * b.pairs))]
    model = np.mean([sigmoid(constant(gaps[i])).value for i in kept])
    model /= max(sigmoid(Dual(b.gap_mean)).value, 1e-6)
    loss = []
    for i in kept:
        data = sigmoid(Dual(b.clip_gap[i])).value / sigmoid(Dual(clip_gap_mean)).value
        loss.append(-log_sigmoid(max(min_beta, beta * data * model) * gaps[i]))
    b.next_gap_mean = momentum * b.gap_mean + (1 - momentum) * float(np.mean(values))
    return mean(loss)


LOSSES = {
    "dpo": dpo, "ipo": ipo, "robust": robust, "simpo": simpo, "orpo": orpo, "sdpo": sdpo, "adavip": adavip,
    "mdpo": mdpo, "vdpo": vdpo, "opa": opa, "chip": chip, "halva": halva, "dama": dama,
}
LOSS_TYPES = [
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
]
SMOOTHED = {"exo_pair": 0.01, "robust": 0.1, "aot": 0.1, "aot_unpaired": 0.2}
CONFIGS = [
    *[{"name": "dpo", "loss_type": kind, "label_smoothing": SMOOTHED.get(kind, 0.0)} for kind in LOSS_TYPES],
    {"name": "dpo", "label_smoothing": 0.2, "beta": 0.5},
    {"name": "dpo", "reference_free": True},
    {"name": "dpo", "rpo_alpha": 1.0, "beta": 0.3},
    {"name": "dpo", "ld_alpha": 0.3},
    {"name": "dpo", "ld_alpha": 0.0, "loss_type": "ipo"},
    {"name": "dpo", "loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]},
    {"name": "dpo", "f_divergence_type": "forward_kl"},
    {"name": "dpo", "f_divergence_type": "js_divergence", "loss_type": "robust", "label_smoothing": 0.1},
    {"name": "dpo", "f_divergence_type": "alpha_divergence", "loss_type": "hinge"},
    {"name": "dpo", "f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 1.5, "loss_type": "sigmoid_norm"},
    {"name": "ipo", "beta": 0.4},
    {"name": "robust"},
    {"name": "simpo"},
    {"name": "simpo", "cpo_alpha": 1.0, "simpo_gamma": 1.6, "label_smoothing": 0.1},
    {"name": "orpo"},
    {"name": "sdpo"},
    {"name": "adavip"},
    {"name": "adavip", "beta": 0.5, "anchor_weight": 0.5, "anchor": 0.1},
    {"name": "mdpo"},
    {"name": "mdpo", "visual_negative": "no_image", "visual_weight": 0.5, "anchor": 0.2},
    {"name": "vdpo"},
    {"name": "vdpo", "guide": "reference", "gamma": 2.0, "dynamic_label_smoothing": True},
    {"name": "opa"},
    {"name": "opa", "anchor": "released", "anchor_value": 0.3},
    {"name": "opa", "anchor": "squared", "copo_coef": 0.0},
    {"name": "chip"},
    {"name": "chip", "use_tok": False, "use_cross_modal_loss": False},
    {"name": "halva"},
    {"name": "dama"},
]
SOFTMAX = ("sdpo", "adavip")


# TRL ----------------------------------------------------------------------------------------------

class Trl:
    """TRL's own code on a batch."""

    def __init__(self):
        import torch
        from trl import DPOConfig, DPOTrainer
        from trl.experimental.cpo import CPOTrainer
        from trl.experimental.orpo import ORPOTrainer

        self.torch, self.dpo, self.cpo, self.orpo, self.config = torch, DPOTrainer, CPOTrainer, ORPOTrainer, DPOConfig

    def loss(self, b, config):
        """Loss, gradients and metrics; None where TRL has no such loss or overflows."""
        config = dict(config)
        name = config.pop("name")
        if b.form in ("weights", "many"):
            return None
        if name in ("ipo", "robust"):
            config.setdefault("label_smoothing", 0.1 if name == "robust" else 0.0)
            name, config["loss_type"] = "dpo", name
        if name == "dpo":
            found = self.of_dpo(b, config)
        elif name == "simpo":
            found = self.of_simpo(b, config)
        elif name == "orpo":
            found = self.of_orpo(b, config)
        else:
            return None
        if found is None:
            return None
        finite = math.isfinite(found[0]) and all(np.isfinite(g).all() for g in found[1].values())
        return found if finite else None

    def of_dpo(self, b, config):
        torch = self.torch
        # TRL bounds the exponents of alpha_divergence by float32's, and knows no float64 there.
        dtype = torch.float32 if config.get("f_divergence_type") == "alpha_divergence" else torch.float64
        torch.set_default_dtype(dtype)
        if config.get("reference_free") or "rpo_alpha" in config:
            return None
        if config.get("label_smoothing") and config.get("loss_type", "sigmoid") in ("sigmoid", "sigmoid_norm"):
            return None
        if b.form == "huge" and config.get("f_divergence_type") in ("forward_kl", "alpha_divergence"):
            return None  # it takes exponentials that are bounded here
        sides = [b.chosen, b.rejected]
        width = max(max(r.lengths) for r in sides)
        leaves = {r.name: torch.tensor(r.log_prob, dtype=dtype, requires_grad=True) for r in sides}

        def padded(flats):
            rows = []
            for r, flat in zip(sides, flats):
                for tokens in r.tokens:
                    row = flat[list(tokens)]
                    rows.append(torch.cat([row, torch.zeros(width - len(row))]))
            return torch.stack(rows)

        lengths = [length for r in sides for length in r.lengths]
        mask = torch.tensor([[0] + [1] * n + [0] * (width - n) for n in lengths])  # one prompt token
        shape = (len(lengths), width)

        def outputs(log_probs):
            zeros = torch.zeros(shape)
            return SimpleNamespace(log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(),
                                   log_sum_sq_probs=zeros)

        model = stub(outputs(padded([leaves[r.name] for r in sides])))
        reference = stub(outputs(padded([torch.tensor(r.ref_log_prob, dtype=dtype) for r in sides])))
        gathered = lambda x: x if isinstance(x, torch.Tensor) else torch.as_tensor(x)
        kinds = config.get("loss_type", "sigmoid")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        metrics = {name: [] for name in [
            "entropy", "logits/chosen", "logits/rejected", "mean_token_accuracy", "rewards/chosen", "rewards/rejected",
            "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected"]}
        trainer = SimpleNamespace(
            model=model, ref_model=reference, aux_loss_enabled=False, precompute_ref_logps=False, _tp_size=1,
            accelerator=SimpleNamespace(device="cpu", gather=gathered, gather_for_metrics=gathered),
            beta=config.get("beta", 0.1), label_smoothing=config.get("label_smoothing", 0.0),
            ld_alpha=config.get("ld_alpha"), loss_types=kinds, use_weighting=False, _total_train_tokens=0,
            loss_weights=config.get("loss_weights") or [1.0] * len(kinds),
            f_divergence_type=config.get("f_divergence_type", "reverse_kl"),
            f_alpha_divergence_coef=config.get("f_alpha_divergence_coef", 0.5), _metrics={"train": metrics},
            args=SimpleNamespace(gradient_checkpointing_kwargs=None, discopop_tau=config.get("discopop_tau", 0.05)),
        )
        inputs = {"input_ids": torch.zeros(mask.shape, dtype=torch.long), "attention_mask": mask.new_ones(mask.shape),
                  "completion_mask": mask}
        loss = self.dpo._compute_loss(trainer, model, inputs, False)
        loss.backward()
        kept = {name: values[0] for name, values in metrics.items() if name.startswith(("rewards", "logps"))}
        grads = {name: (leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)).numpy() for name, leaf in leaves.items()}
        return loss.item(), grads, kept

    def leaves(self, b):
        self.torch.set_default_dtype(self.torch.float64)
        leaves = {r.name: self.torch.tensor(r.log_prob, requires_grad=True) for r in (b.chosen, b.rejected)}
        averages = [
            self.torch.stack([leaves[r.name][list(tokens)].mean() for tokens in r.tokens]) for r in (b.chosen, b.rejected)
        ]
        return leaves, averages

    def of_simpo(self, b, config):
        leaves, averages = self.leaves(b)
        trainer = SimpleNamespace(
            loss_type="simpo", alpha=0.0, beta=config.get("beta", 2.0), simpo_gamma=config.get("simpo_gamma", 0.5),
            label_smoothing=config.get("label_smoothing", 0.0), accelerator=SimpleNamespace(device="cpu"),
        )
        losses, _, _ = self.cpo.cpo_loss(trainer, *averages)
        loss = losses.mean() - config.get("cpo_alpha", 0.0) * leaves["chosen"].mean()
        loss.backward()
        return loss.item(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}, {}

    def of_orpo(self, b, config):
        leaves, averages = self.leaves(b)
        if max(x.max().item() for x in averages) > -1e-3:
            return None  # it rounds to float32
        trainer = SimpleNamespace(beta=config.get("beta", 0.1), accelerator=SimpleNamespace(device="cpu"))
        # `.float()` in TRL rounds to float32: here it is to leave float64 alone.
        single, self.torch.Tensor.float = self.torch.Tensor.float, lambda tensor: tensor
        try:
            losses = self.orpo.odds_ratio_loss(trainer, *averages)[0]
        finally:
            self.torch.Tensor.float = single
        loss = -leaves["chosen"].mean() - losses.mean()
        loss.backward()
        return loss.item(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}, {}


def stub(outputs):
    """A model that says what it was told to."""
    from torch.nn import Module

    class Stub(Module):
        is_gradient_checkpointing = False

        def forward(self, **_):
            return outputs

    return Stub()


# Cases --------------------------------------------------------------------------------------------

def precise(value):
    return float(f"{value:.12g}")


def single(value):
    """What float32 can tell apart."""
    return float(f"{value:.9g}")


def gradients(b, loss):
    """By kind: d_log_prob, d_ref_kl; absent where all is 0."""
    out = {}
    grad = np.broadcast_to(loss.grad, (b.size,))
    for name in KINDS:
        r = getattr(b, name)
        tokens = len(r.log_prob)
        halves = [grad[r.at : r.at + tokens], grad[r.at + tokens : r.at + 2 * tokens]]
        found = {key: [single(x) for x in half] for key, half in zip(("d_log_prob", "d_ref_kl"), halves) if half.any()}
        if found:
            out[name] = found
    return out


def agree(what, found, expected, tolerance=1e-8):
    found, expected = np.asarray(found), np.asarray(expected)
    error = np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected)), initial=0.0)
    assert error <= tolerance, f"{what}: {error:.1e}"
    return error


def rewards(b, config):
    """TRL's metrics of the losses whose reward is beta times the log-ratio of whole responses."""
    beta = config.get("beta", 0.1)
    out = {}
    for r in (b.chosen, b.rejected):
        out[f"rewards/{r.name}"] = np.mean([beta * r.ratio(i).value for i in range(b.pairs)])
        out[f"logps/{r.name}"] = np.mean([r.sum(i).value for i in range(b.pairs)])
    pairs = [(b.chosen.ratio(i).value, b.rejected.ratio(i).value) for i in range(b.pairs)]
    out["rewards/accuracies"] = np.mean([float(beta * x > beta * y) for x, y in pairs])
    out["rewards/margins"] = out["rewards/chosen"] - out["rewards/rejected"]
    return out


def has_plain_rewards(b, config):
    if config["name"] in ("simpo", "orpo", "halva") or b.form == "many":
        return False
    return "ld_alpha" not in config and not config.get("reference_free")


def case(b, config, trl, compared):
    options = {key: value for key, value in config.items() if key != "name"}
    loss = LOSSES[config["name"]](b, **options)
    out = {"config": config, "loss": precise(loss.value), "gradients": gradients(b, loss)}
    if has_plain_rewards(b, config):
        out["metrics"] = {name: single(value) for name, value in rewards(b, config).items()}
    if config["name"] == "dama":
        out["gap_mean"] = precise(b.next_gap_mean)
    found = trl.loss(b, config) if trl else None
    if found is not None:
        value, grads, metrics = found
        what = f"TRL, {b.form}: {config}"
        tolerance = 1e-5 if config.get("f_divergence_type") == "alpha_divergence" else 1e-8
        agree(what, loss.value, value, tolerance)
        for name, grad in grads.items():
            own = out["gradients"].get(name, {}).get("d_log_prob", np.zeros(len(grad)))
            agree(f"{what}, {name}", own, grad, tolerance)
        for name, value in metrics.items():
            if "metrics" in out:
                agree(f"{what}, {name}", out["metrics"][name], value, max(tolerance, 1e-7))  # float32 means
        compared[config["name"]] = compared.get(config["name"], 0) + 1
    return out


def stored(b):
    def of(r):
        out = {"lengths": r.lengths, "log_prob": list(map(single, r.log_prob)),
               "ref_log_prob": list(map(single, r.ref_log_prob)), "ref_kl": list(map(single, r.ref_kl))}
        if r.weight is not None:
            out["weight"] = list(map(single, r.weight))
        if r.rows is not None:
            out["rows"] = r.rows
        if r.name in ("chosen", "rejected"):
            out["phrase"] = r.phrase.tolist()
        return out

    return {
        "pairs": b.pairs, "responses": {name: of(getattr(b, name)) for name in KINDS},
        "clip_gap": list(map(single, b.clip_gap)), "confidence": list(map(single, b.confidence)),
        "draw": b.draw.tolist(), "gap_mean": b.gap_mean,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=20, help="every loss is computed on each (default 20)")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--no-trl", action="store_true", help="do not compare with TRL")
    golden = Path(__file__).parents[1] / "crates/credit/tests/golden/preference.json"
    parser.add_argument("--out", type=Path, default=golden)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    trl, compared, batches = None if args.no_trl else Trl(), {}, []
    for number in range(args.batches):
        b = make_batch(rng, FORMS[number % len(FORMS)])
        configs = [c for c in CONFIGS if b.form != "many" or c["name"] in SOFTMAX]
        batches.append({"form": b.form, "batch": stored(b), "cases": [case(b, c, trl, compared) for c in configs]})
    made_by = {"script": "tools/preference_reference.py", "dtype": "float64", "numpy": np.__version__}
    if trl:
        from importlib.metadata import version

        made_by |= {"trl": version("trl"), "torch": version("torch")}
    args.out.write_text(json.dumps({"made_by": made_by, "data": batches}, separators=(",", ":")) + "\n")
    cases = sum(len(batch["cases"]) for batch in batches)
    print(f"{args.out}: {len(batches)} batches, {cases} losses; equal to TRL's: {compared}")


if __name__ == "__main__":
    main()
