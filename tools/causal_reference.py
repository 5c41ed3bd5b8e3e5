#!/usr/bin/env python3
"""Golden values for crates/benchmarks/tests/causal.rs from the authors' metric.py.

Usage: causal_reference.py METRIC_PY

METRIC_PY is metric.py of github.com/zhexu-ustc/Causal-HalBench (it has no licence, so it is not kept
here). Makes random data sets in the official layout (originals with one to three edits, some originals
without contextual questions), random replies of many shapes, and writes what the program computes.
"""

import importlib.util
import json
import pathlib
import random
import sys

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/benchmarks/tests/golden/causal.json"
REPLIES = ["Yes", "yes.", "No", "no, there is not", "YES!", "I see two eyes", "", "Maybe", "Yes, but no", "nothing yes"]


def data_set(seed):
    rng = random.Random(seed)
    questions = []

    def ask(name, kind, tag, answer, thing):
        questions.append({"id": len(questions), "image_name": name, "q": f"Is there a {thing} in the image?",
                          "type": kind, "tag": tag, "answer": answer})

    for original in range(rng.randint(3, 6)):
        base = f"COCO_val2014_{original:012}"
        for edit in range(1, rng.randint(1, 3) + 1):
            edited = f"{base}_{edit:03}.jpg"
            if rng.random() < 0.9:
                ask(base + ".jpg", "target", "origin", "yes", "cat")
                ask(edited, "target", "inpainted", "yes", "cat")
            ask(edited, "inpaint", "inpainted", "yes", "bear")
            for thing in ["bus", "kite"]:
                ask(base + ".jpg", "absent", "origin", "no", thing)
                ask(edited, "absent", "inpainted", "no", thing)
    # Absent and contextual questions on both sides, or the program's zero stands for "no value".
    return questions, [rng.choice(REPLIES) for _ in questions]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    spec = importlib.util.spec_from_file_location("metric", sys.argv[1])
    metric = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(metric)
    cases = []
    for seed in range(10):
        questions, responses = data_set(seed)
        answers = [dict(q, answer="yes" if "yes" in r.lower() else "no") for q, r in zip(questions, responses)]
        qa_map, resp_map = metric.preprocess_data(questions, answers)
        found = {**metric.calculate_target_metrics(qa_map, resp_map), **metric.calculate_absent_metrics(qa_map, resp_map),
                 **metric.calculate_chr(qa_map, resp_map), **metric.calculate_cpr(questions, answers)}
        cases.append({"questions": questions, "responses": responses}
                     | {key: found[key] for key in ("cac", "nac", "chr", "cpr_target", "cpr_absent")})
    OUT.write_text(json.dumps({"source": "metric.py of zhexu-ustc/Causal-HalBench, commit 259d817", "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
