"""Golden numbers of video reward benchmarks: what the authors' programs say about the same random scores.

Proves: percept's accuracy with and without ties is that of VideoAlign's `calc_accuracy.py`, including where it miscounts equal
differences; its accuracies at threshold 0 are those that UnifiedReward's evaluation scripts print. A brute force over all
thresholds says where VideoAlign's sweep is too high.

  videoalign      calc_accuracy.py of a checkout of KwaiVGI/VideoAlign (MIT)
  unified_reward  three evaluation scripts of a checkout of CodeGoat24/UnifiedReward (MIT), run as they are, but for their imports,
                  the loading of a model, and `get_results`, which answers from the random scores:
                  llava     benchmark_evaluation/LLaVA_evaluation/test_llava_videogen_reward_bench.py
                  think     UnifiedReward-Think/benchmark_evaluation/VideoGen-RewardBench/test_qwen25_cot_videogen_reward_bench.py
                  genai     benchmark_evaluation/Qwen_evaluation/test_qwen_genAI_bench_video.py (does not ask about ties, and
                            counts them in the denominator of `Acc.`)

Run: python tools/video_reward_reference.py --videoalign CHECKOUT --unified-reward CHECKOUT
     [--out crates/benchmarks/tests/golden/video_reward.json]
Output: {"made_with", "sets": [{"pairs": [[human, delta]], "videoalign": [with ties, without ties], "brute": with ties,
"unified_reward": {script: [Acc., Acc. w/o tie]}}]}; human is 1 (A), -1 (B) or 0 (tie). Needs no library.
"""

import argparse
import ast
import importlib.util
import json
import random
from pathlib import Path
from types import SimpleNamespace

SCRIPTS = {
    "llava": "benchmark_evaluation/LLaVA_evaluation/test_llava_videogen_reward_bench.py",
    "think": "UnifiedReward-Think/benchmark_evaluation/VideoGen-RewardBench/test_qwen25_cot_videogen_reward_bench.py",
    "genai": "benchmark_evaluation/Qwen_evaluation/test_qwen_genAI_bench_video.py",
}


def names(target):
    """Names that an assignment binds."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def unified_reward(path, pairs, genai):
    """Runs a script on the pairs; what it prints at the end."""
    tree = ast.parse(path.read_text())
    loaded = {"model", "processor", "tokenizer", "image_processor", "max_length"}

    def kept(node):
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)):
            return False
        if isinstance(node, ast.Assign):
            return not any(names(target) & loaded for target in node.targets)
        source = ast.unparse(node)
        return not source.startswith(("warnings.", "model."))

    tree.body = [node for node in tree.body if kept(node)]
    rows, scores = [], {}
    for at, (human, delta) in enumerate(pairs):
        a, b = f"{at}a", f"{at}b"
        scores[a], scores[b] = delta, 0.0
        if genai:
            vote = {1: "leftvote", -1: "rightvote", 0: random.choice(["tievote", "bothbad_vote"])}[human]
            rows.append({"left_video": a, "right_video": b, "prompt": "p", "vote_type": vote})
        else:
            rows.append({"path_A": a, "path_B": b, "prompt": "p", "Overall": {1: "A", -1: "B", 0: "same"}[human]})

    def get_results(first, second, prompt):
        delta = scores[first] - scores[second]
        if delta > 0:
            return "Video 1 is better than Video 2."
        return "Video 2 is better than Video 1." if delta < 0 else "Both videos are equally good."

    space = {
        "load_dataset": lambda *_: {"eval": rows, "test": rows},
        "get_results": get_results,
        "trange": range,
        "tqdm": SimpleNamespace(trange=range),
        "random": random,
        "print": lambda *_: None,
    }
    exec(compile(tree, str(path), "exec"), space)
    return [space["accuracy"], space["accuracy_no_tie"]]


def brute(pairs):
    """The best accuracy with ties over all thresholds, each tried."""
    def at(epsilon):
        right = sum(
            (abs(d) <= epsilon) if h == 0 else (abs(d) > epsilon and h * d > 0) for h, d in pairs
        )
        return right / len(pairs)
    return max(at(abs(delta)) for _, delta in pairs)


def sets():
    """Random preferences and differences: all different, coarse (many equal), only signs, with zeros, informed."""
    random.seed(16)
    made = []
    for size in [2, 3, 5, 8, 20, 60, 150]:
        for kind in ["different", "coarse", "signs", "zeros", "informed"]:
            pairs = []
            for _ in range(size):
                human = random.choice([1, -1, 0])
                delta = random.gauss(0, 1)
                if kind == "coarse":
                    delta = round(delta * 2) / 2
                elif kind == "signs":
                    delta = random.choice([-1.0, 0.0, 1.0])
                elif kind == "zeros":
                    delta = random.choice([0.0, delta])
                elif kind == "informed":
                    delta = human * 1.0 + delta
                pairs.append((human, delta))
            # Somebody must prefer something: the authors' programs divide by the number of decided pairs.
            pairs[0] = (1, pairs[0][1])
            made.append(pairs)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videoalign", type=Path, required=True)
    parser.add_argument("--unified-reward", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("crates/benchmarks/tests/golden/video_reward.json"))
    args = parser.parse_args()
    spec = importlib.util.spec_from_file_location("calc_accuracy", args.videoalign / "calc_accuracy.py")
    official = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(official)
    out, higher = [], 0
    for pairs in sets():
        human, delta = [list(column) for column in zip(*pairs)]
        videoalign = [official.calc_accuracy_with_ties(human, delta), official.calc_accuracy_without_ties(human, delta)]
        found = {name: unified_reward(args.unified_reward / path, pairs, name == "genai") for name, path in SCRIPTS.items()}
        best = brute(pairs)
        higher += videoalign[0] > best
        out.append({"pairs": pairs, "videoalign": videoalign, "brute": best, "unified_reward": found})
    made_with = "KwaiVGI/VideoAlign calc_accuracy.py; CodeGoat24/UnifiedReward " + ", ".join(SCRIPTS.values())
    args.out.write_text(json.dumps({"made_with": made_with, "sets": out}) + "\n")
    print(f"{len(out)} sets; VideoAlign's accuracy with ties is higher than any threshold gives in {higher} of them")


if __name__ == "__main__":
    main()
