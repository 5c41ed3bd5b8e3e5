"""Golden numbers of POPE: what three public programs say about the same 320 answers.

Proves: percept's parsers `original`, `vlmevalkit` and `lmms` read every answer as those programs do and give their
accuracy, precision, recall, F1 and share of yes, by split and over all.

  original    evaluate.py of a checkout of AoiDragon/POPE (MIT), with its two file names filled in
  vlmevalkit  YOrN_Extraction, POPE_rating (dataset/utils/yorn.py) and process_punctuation (smp/misc.py) of VLMEvalKit
              (Apache-2.0), from the wheel ms-vlmeval 0.0.20
  lmms        lmms_eval/tasks/pope/utils.py of lmms-eval 0.7.3 (MIT), from its wheel

Run: python tools/pope_reference.py --official CHECKOUT --vlmevalkit UNPACKED_WHEEL --lmms UNPACKED_WHEEL
     [--out crates/benchmarks/tests/golden/pope.json]
Output: {"made_with", "answers": [[split, label, answer, original, vlmevalkit, lmms]], "scores": {program: {split:
[accuracy, precision, recall, f1, share of yes]}}}. vlmevalkit prints no share of yes (null); that of lmms is the share
of *labels* that are yes.
"""

import argparse
import ast
import contextlib
import importlib.util
import io
import json
import random
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

WRITTEN = [
    "Yes", "No", "yes", "no", "YES", "NO", "Yes.", "No.", "yes.", "no.", "Yes!", "No!", "Yes,", "No,", " Yes", " No ", "yes\n", "\nno", "", " ", ".", "...", "?",
    "Yes, there is a dog in the image.", "No, there is no dog in the image.", "No there isn't.", "Yes there is", "There is a dog.", "There is no dog.",
    "There is not a dog.", "There isn't a dog.", "there are none", "I cannot see a dog.", "I can not see one", "Not really.", "not", "Nope.", "Nah", "Yep.", "Yeah, sure.",
    "The answer is yes.", "The answer is no.", "The answer is: No", "Answer: yes", "answer:no", "answer:Yes", "**Yes**", "**No**", "*yes*", "`no`", "\"Yes\"", "\"No\"", "'no'", "(yes)", "(no)", "[No]",
    "{yes}", "<no>", "yes/no", "no/yes", "Yes or no? Yes.", "yes and no", "No. Yes.", "Yes. No.", "yes. There is no cat, though.", "No. But yes, there is a cat.",
    "Yes, there is no doubt.", "I know that there is one.", "Another one: yes", "nobody", "Nothing", "none", "noon", "yesterday", "eyes", "snow", "No-one", "no-one is there", "yes-man",
    "yes,no", "yes ,no", "no ,yes", "no, yes", "no;yes", "Yes; it is.", "No; it isn't.", "1,000 times no", "1,000 times yes", "3.5 dogs, yes", "3. no", "2.no", "no.2", "v1.no.", "yes.no", "no.yes",
    "No\nThere is none.", "Yes\nThere is one.", "Yes\tthere is", "no\tthere is", "Sorry, I can't help.", "I am not sure.", "It is unclear whether there is a dog.", "It does not appear so.",
    "It's hard to say. No.", "Based on the image, no.", "Based on the image, yes, there is.", "Oui", "Nein", "是", "Ｙes", "YES, THERE IS", "NO, THERE IS NOT", "nO", "yEs", "Yes<|im_end|>", "No</s>", "</think>No",
    "<think>maybe not</think> yes", "a) yes", "b) no", "Yes it is ... no wait", "no " * 3, "yes " * 3, "n o", "y e s", "No.There is none", "Yes.There is", "No -", "- Yes", "-no", "+yes", "no=yes", "yes_no", "@no", "no@ yes", "no\\yes",
    "The picture shows a man. There is no dog.", "The picture shows no man. There is a dog.", "In short: no!", "In short: yes!", "Yes?", "No?", "No...", "Yes...", "...no", "...yes", "yes" + "." * 40 + "no", ". " * 33 + "no. yes.", "a. " * 34 + ".yes",
]


def functions(path, *names):
    """Functions of a file, without its imports."""
    tree = ast.parse(Path(path).read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    space = {"re": re, "np": np, "pd": pd}
    exec(compile(tree, str(path), "exec"), space)
    return space


def original(checkout, answers, labels):
    """What evaluate.py makes of each answer, and its numbers."""
    source = (Path(checkout) / "evaluate.py").read_text()
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in [("ans", [{"answer": a} for a in answers]), ("label", [{"label": l} for l in labels])]:
            path = Path(folder, name)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            source = source.replace(f"{name}_file = ''", f"{name}_file = {str(path)!r}")
        space = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "evaluate.py", "exec"), space)
    found = [space[key] for key in ["acc", "precision", "recall", "f1", "yes_ratio"]]
    return [answer["answer"] for answer in space["answers"]], found


def main():
    parser = argparse.ArgumentParser()
    for name in ["official", "vlmevalkit", "lmms"]:
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--out", default="crates/benchmarks/tests/golden/pope.json")
    args = parser.parse_args()
    yorn = functions(Path(args.vlmevalkit) / "vlmeval/dataset/utils/yorn.py", "YOrN_Extraction", "POPE_rating")
    yorn |= functions(Path(args.vlmevalkit) / "vlmeval/smp/misc.py", "process_punctuation")
    for name in ["YOrN_Extraction", "POPE_rating"]:
        yorn[name].__globals__.update(yorn)
    spec = importlib.util.spec_from_file_location("pope_utils", Path(args.lmms) / "lmms_eval/tasks/pope/utils.py")
    lmms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lmms)

    draw = random.Random(3)
    answers = WRITTEN + [draw.choice(["Yes", "No", "yes", "no", "Yes, there is.", "No, there isn't."]) for _ in range(320 - len(WRITTEN))]
    draw.shuffle(answers)
    splits = ["random", "popular", "adversarial"]
    rows = [{"split": splits[i % 3], "label": draw.choice(["yes", "no"]), "answer": answer} for i, answer in enumerate(answers)]
    for row, kept in zip(rows, original(args.official, answers, [row["label"] for row in rows])[0]):
        row["original"] = kept
        row["vlmevalkit"] = yorn["YOrN_Extraction"](row["answer"])
        row["results"] = lmms.pope_process_results({"question_id": 0, "answer": row["label"]}, [row["answer"]])
        row["lmms"] = row["results"]["pope_accuracy"]["prediction"]

    table = pd.DataFrame({"category": [r["split"] for r in rows], "answer": [r["label"].title() for r in rows], "extracted": [r["vlmevalkit"] for r in rows]})
    table["score"] = table["answer"] == table["extracted"]
    yorn["POPE_rating"].__globals__["load"] = lambda _: table
    rating = yorn["POPE_rating"](None).set_index("split")
    scores = {"original": {}, "vlmevalkit": {}, "lmms": {}}
    for split in ["all"] + splits:
        mine = [row for row in rows if split in ("all", row["split"])]
        scores["original"][split] = original(args.official, [r["answer"] for r in mine], [r["label"] for r in mine])[1]
        line = rating.loc["Overall" if split == "all" else split]
        scores["vlmevalkit"][split] = [float(line[key]) / 100 for key in ["acc", "precision", "recall", "Overall"]] + [None]
        kept = lambda key: [row["results"][key] for row in mine]
        scores["lmms"][split] = [getattr(lmms, f"pope_aggregate_{key}")(kept(f"pope_{key}")) for key in ["accuracy", "precision", "recall", "f1_score", "yes_ratio"]]
    lines = [json.dumps([r["split"], r["label"], r["answer"], r["original"], r["vlmevalkit"], r["lmms"]], ensure_ascii=False) for r in rows]
    made = "tools/pope_reference.py: AoiDragon/POPE evaluate.py, ms-vlmeval 0.0.20, lmms-eval 0.7.3"
    Path(args.out).write_text(f'{{\n "made_with": {json.dumps(made)},\n "scores": {json.dumps(scores)},\n "answers": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n")
    print(len(rows), "answers;", *(f"{name} {scores[name]['all'][0]:.4f}" for name in scores), "->", args.out)


if __name__ == "__main__":
    main()
