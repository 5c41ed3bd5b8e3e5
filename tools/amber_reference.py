"""Golden numbers of AMBER: what the authors' inference.py prints about invented items.

Proves: percept's matching of nouns, its counts and every printed number of both parts are those of the official
script, except for the two steps that need models: here every token is a noun in its base form, and words are similar
only if they are equal (the modules nltk's tagger, WordNet's lemmatiser and spaCy are replaced by that).

Runs inference.py of a checkout of junyangwang0410/AMBER (Apache-2.0) with data/metrics.txt and data/safe_words.txt of
that checkout; word_tokenize is NLTK 3.10.4 (NLTK_DATA: punkt_tab/english). Vocabulary and items are this script's own.

Run: NLTK_DATA=DIR python tools/amber_reference.py --official CHECKOUT [--out crates/benchmarks/tests/golden/amber.json]
Output: {"made_with", "relation", "safe_words", "annotations", "responses", "printed": {heading: {name: percent}}}.
"""

import argparse
import contextlib
import io
import json
import random
import re
import sys
import tempfile
import types
from pathlib import Path

import nltk

RELATION = {
    "sky": [], "cloud": [], "person": ["people", "man", "woman"], "man": ["person"], "woman": ["person", "lady"], "dog": ["puppy"],
    "cat": ["kitten"], "forest": ["tree", "bush"], "tree": ["forest", "bush"], "road": ["street", "path"], "car": ["vehicle"], "bus": ["vehicle"],
    "table": ["desk"], "cup": ["mug", "glass"], "lake": ["water"], "sea": ["water", "ocean"], "boat": ["ship"], "light": [], "orange": ["fruit"],
}
KINDS = ["hallucination", "attribute-state", "attribute-number", "attribute-action", "relation"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--official", required=True, help="checkout of junyangwang0410/AMBER")
    parser.add_argument("--out", default="crates/benchmarks/tests/golden/amber.json")
    args = parser.parse_args()
    draw = random.Random(11)
    every = sorted(set(RELATION) | {word for words in RELATION.values() for word in words})
    annotations, responses = [], []
    for _ in range(60):
        truth = draw.sample(sorted(RELATION), draw.randrange(1, 7))
        hallu = draw.sample([word for word in sorted(RELATION) if word not in truth], draw.randrange(4))
        annotations.append({"id": len(annotations) + 1, "type": "generative", "truth": truth, "hallu": hallu})
        words = draw.choices(every + truth * 3, k=draw.randrange(12))
        responses.append("In the scene: " + ", a ".join(words) + ". It is calm." if words else "Nothing.")
    for i in range(240):
        kind = KINDS[i % 5]
        truth = "no" if kind == "hallucination" else draw.choice(["yes", "no"])
        name = "discriminative-" + kind if kind != "relation" else draw.choice(["relation", "discriminative-relation"])
        annotations.append({"id": len(annotations) + 1, "type": name, "truth": truth})
        responses.append(draw.choices(["Yes", "No", "yes", "No.", "Perhaps"], [6, 6, 1, 1, 1])[0])

    spacy = types.ModuleType("spacy")
    word = lambda text: types.SimpleNamespace(similarity=lambda other: float(other.text == text), text=text)
    spacy.load = lambda name: word
    sys.modules |= {"spacy": spacy, "tqdm": types.SimpleNamespace(tqdm=lambda rows: rows)}
    nltk.pos_tag = lambda tokens: [(token, "NN") for token in tokens]
    space = {"__name__": "inference"}
    source = (Path(args.official) / "inference.py").read_text()
    exec(compile(source, "inference.py", "exec"), space)
    space["WordNetLemmatizer"] = lambda: types.SimpleNamespace(lemmatize=lambda token: token)
    with tempfile.TemporaryDirectory() as folder:
        write = lambda name, data: (Path(folder, name).write_text(json.dumps(data)), str(Path(folder, name)))[1]
        data = Path(args.official) / "data"
        space["args"] = types.SimpleNamespace(
            word_association=write("relation.json", RELATION), safe_words=str(data / "safe_words.txt"), metrics=str(data / "metrics.txt"), similarity_score=0.8,
            inference_data=write("inference.json", [{"id": i + 1, "response": text} for i, text in enumerate(responses)]),
            annotation=write("annotations.json", annotations), evaluation_type="a",
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            space["main"](space["args"])
    found, heading = {}, None
    for line in printed.getvalue().splitlines():
        if match := re.match(r"(\w+):\s+([\d.]+)\s*$", line):
            found[heading][match[1]] = float(match[2])
        elif line.strip():
            heading = line.strip(" :\t")
            found[heading] = {}
    golden = {
        "made_with": f"tools/amber_reference.py: junyangwang0410/AMBER inference.py, NLTK {nltk.__version__}",
        "relation": RELATION, "safe_words": (data / "safe_words.txt").read_text(), "annotations": annotations, "responses": responses, "printed": found,
    }
    Path(args.out).write_text("{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()) + "\n}\n")
    print(json.dumps(found), "->", args.out)


if __name__ == "__main__":
    main()
