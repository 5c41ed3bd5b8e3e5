"""An independent NumPy reading of REACT's rewards and of GRPO with them.

Proves: the preference reward is a probability over three outcomes and the negative of VideoAlign's loss with ties, and on
1,000 random pairs of groups (unreadable responses, clean frames, ties and missing tags among them) rewards and gradients
of GRPO are those that the crates `reward` and `credit` compute.

  python tools/react_reward_reference.py           writes crates/reward/tests/golden/react.json and react_pairs.bin, which
                                                   crates/reward/tests/react.rs reads, and prints what was checked

Inputs are not in the golden: both sides make them from the stream SplitMix64 of the seed below, in the order of `Case`.
`react_pairs.bin` holds, as little-endian float64, for each pair of groups the rewards of its responses (A's, then B's) and
then the derivative of the loss by every token's log-probability.

Written from the formulas (arXiv 2601.04033) and from VideoAlign's trainer.py (KwaiVGI/VideoAlign, commit 219ab9d, loss_type
"btt"), in float64 and in the plainest form: exponentials where the Rust code has log-sigmoids, sets where it counts.

CONVENTION: deviation with n − 1 and 1e-6 added (verl); a clean frame counts as one label "normal"; an unreadable response
names nothing and gives the pair the lowest value that scores from 1 to 5 can make. Needs NumPy.
"""

import json
import math
import re
import struct
import sys
from pathlib import Path

import numpy as np

SEED = 20260130
PAIRS = 1000
THETA = 5.0
CLIP, KL = 0.2, 0.04
LABELS = ["limb deformation", "extra limbs", "limb deficiency", "torso deformation", "facial deformation",
          "object distortion", "motion blur", "mesh penetration"]
OUTCOMES = ["A", "B", "same"]
GOLDEN = Path(__file__).resolve().parent.parent / "crates/reward/tests/golden"


class Stream:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def below(self, bound):
        return (self.next() * bound) >> 64

    def unit(self):
        return (self.next() >> 11) / 2.0**53


def names(mask):
    return [label for bit, label in enumerate(LABELS) if mask >> bit & 1]


def response(stream):
    """Text of a response: one in eight has no answer, one in eight no thoughts."""
    kind = stream.below(8)
    mask = 0 if stream.below(3) == 0 else stream.below(256) & stream.below(256)
    cents = 100 + stream.below(401)
    labels = ",".join(f'"{name}"' for name in names(mask))
    answer = f'<answer>{{"labels":[{labels}],"score":{cents // 100}.{cents % 100:02d}}}</answer>'
    if kind == 0:
        return f"<think>I see {cents}.</think>{cents}"
    if kind == 1:
        return answer
    return f"<think>I see {cents}.</think>{answer}"


class Case:
    """A pair of groups: G responses to frame A, G to frame B, and their tokens."""

    def __init__(self, stream):
        self.size = 2 + stream.below(3)
        self.outcome = OUTCOMES[stream.below(3)]
        self.truth, self.texts = [], []
        for _ in range(2):
            self.truth.append(names(0 if stream.below(3) == 0 else stream.below(256) & stream.below(256)))
            self.texts.append([response(stream) for _ in range(self.size)])
        self.lengths = [1 + stream.below(3) for _ in range(2 * self.size)]
        tokens = sum(self.lengths)
        draw = lambda: np.array([stream.unit() for _ in range(tokens)])
        self.log_prob = (-3.0 * draw()).astype(np.float32)
        self.old = self.log_prob + (0.8 * draw() - 0.4).astype(np.float32)
        self.ref = self.log_prob + (draw() - 0.5).astype(np.float32)


def read(text):
    """Labels and score of a response, or None."""
    found = re.search(r"<answer>(.*)</answer>", text, re.S)
    if not found:
        return None
    answer = json.loads(found.group(1))
    return set(answer["labels"]), answer["score"]


def format_reward(text):
    return float(re.fullmatch(r"<think>[^<]+</think><answer>[^<]+</answer>", text) is not None)


def attribution(truth, said):
    """0.6 right − 0.2 (wrong + missing); the empty set is the set {"normal"}."""
    truth = set(truth) or {"normal"}
    named = set() if said is None else (said[0] or {"normal"})
    return 0.6 * len(truth & named) - 0.2 * (len(named - truth) + len(truth - named))


def probabilities(a, b, theta=THETA):
    """P(A ≻ B), P(A ≺ B), P(A = B) by exponentials."""
    ea, eb = math.exp(a), math.exp(b)
    first, second = ea + theta * eb, theta * ea + eb
    return {"A": ea / first, "B": eb / second, "same": (theta**2 - 1) * ea * eb / (first * second)}


def preference(outcome, said_a, said_b):
    if said_a is None or said_b is None:
        spread = [(5.0, 1.0), (1.0, 5.0)]
        return min(math.log(probabilities(a, b)[outcome]) for a, b in spread)
    return math.log(probabilities(said_a[1], said_b[1])[outcome])


def video_align(chosen_label, reward_a, reward_b, k=5.0):
    """VideoAlign's loss of one pair, line by line as in trainer.py: 1 is A, −1 is B, 0 a tie."""
    logsigmoid = lambda x: -np.logaddexp(0.0, -x)
    chosen = reward_a if chosen_label == 1 else reward_b
    rejected = reward_a if chosen_label != 1 else reward_b
    log_k, log_k2_sub_1 = math.log(k), math.log(k**2 - 1)
    bt_loss = -logsigmoid(chosen - rejected - log_k)
    same_loss = -logsigmoid(chosen - rejected - log_k) - logsigmoid(rejected - chosen - log_k) - log_k2_sub_1
    nontied = float(chosen_label in (1, -1))
    return float(bt_loss * nontied + same_loss * (1 - nontied))


def rewards(case):
    """A's, then B's."""
    said = [[read(text) for text in texts] for texts in case.texts]
    pairs = [preference(case.outcome, a, b) for a, b in zip(*said)]
    return [
        format_reward(text) + attribution(case.truth[side], said[side][i]) + pairs[i]
        for side in range(2) for i, text in enumerate(case.texts[side])
    ]


def advantages(case, total):
    out = []
    for side in range(2):
        group = np.array(total[side * case.size:(side + 1) * case.size])
        out.extend((group - group.mean()) / (group.std(ddof=1) + 1e-6))
    return np.array(out)


def loss(case, advantage, log_prob):
    """−J: tokens averaged in a response, responses averaged."""
    total, start = 0.0, 0
    for row, length in enumerate(case.lengths):
        for token in range(start, start + length):
            ratio = math.exp(log_prob[token] - float(case.old[token]))
            gain = min(ratio * advantage[row], min(max(ratio, 1 - CLIP), 1 + CLIP) * advantage[row])
            gap = float(case.ref[token]) - log_prob[token]
            total -= (gain - KL * (math.exp(gap) - gap - 1)) / length / len(case.lengths)
        start += length
    return total


def gradient(case, advantage):
    """Its derivative by every log-probability."""
    out, start = [], 0
    for row, length in enumerate(case.lengths):
        for token in range(start, start + length):
            ratio = math.exp(float(case.log_prob[token]) - float(case.old[token]))
            plain, cut = ratio * advantage[row], min(max(ratio, 1 - CLIP), 1 + CLIP) * advantage[row]
            slope = ratio * advantage[row] if plain <= cut else 0.0
            kl = 1 - math.exp(float(case.ref[token]) - float(case.log_prob[token]))
            out.append(-(slope - KL * kl) / length / len(case.lengths))
        start += length
    return out


def main():
    stream = Stream(SEED)
    cases = [Case(stream) for _ in range(PAIRS)]
    numbers, slope_error = [], 0.0
    for index, case in enumerate(cases):
        total = rewards(case)
        advantage = advantages(case, total)
        slopes = gradient(case, advantage)
        numbers += total + slopes
        if index % 10:
            continue
        for token, slope in enumerate(slopes):
            moved = [case.log_prob.astype(np.float64) for _ in range(2)]
            moved[0][token] += 1e-6
            moved[1][token] -= 1e-6
            found = (loss(case, advantage, moved[0]) - loss(case, advantage, moved[1])) / 2e-6
            kink = abs(abs(math.exp(float(case.log_prob[token] - case.old[token])) - 1) - CLIP) < 1e-5
            slope_error = max(slope_error, 0.0 if kink else abs(found - slope))
    (GOLDEN / "react_pairs.bin").write_bytes(struct.pack(f"<{len(numbers)}d", *numbers))

    checks = Stream(SEED + 1)
    labels, align, sums, losses = {"A": 1, "B": -1, "same": 0}, 0.0, 0.0, []
    for index in range(10_000):
        outcome = OUTCOMES[checks.below(3)]
        a, b = (1 + checks.below(401) / 100 for _ in range(2))
        found = probabilities(a, b)
        theirs = video_align(labels[outcome], a, b)
        sums = max(sums, abs(sum(found.values()) - 1))
        align = max(align, abs(math.log(found[outcome]) + theirs))
        if index < 60:
            losses.append([outcome, a, b, theirs])
    golden = {
        "made_by": f"tools/react_reward_reference.py, NumPy {np.__version__}, Python {sys.version.split()[0]}",
        "seed": SEED, "pairs": PAIRS, "theta": THETA, "clip": CLIP, "kl": KL,
        "numbers": len(numbers),
        "video_align": losses,
    }
    (GOLDEN / "react.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")
    kinds = [read(text) for case in cases for texts in case.texts for text in texts]
    print(f"{PAIRS} pairs of groups, {len(kinds)} responses: {sum(k is None for k in kinds)} unreadable, "
          f"{sum(k is not None and not k[0] for k in kinds)} clean, {sum(c.outcome == 'same' for c in cases)} ties")
    print(f"gradient beside central differences of the loss: {slope_error:.1e}")
    print(f"10000 pairs of scores: sum of the three outcomes − 1: {sums:.1e}; beside VideoAlign's loss: {align:.1e}")


if __name__ == "__main__":
    main()
