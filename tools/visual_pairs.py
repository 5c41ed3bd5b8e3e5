#!/usr/bin/env python3
"""Rows for `percept data visual-pairs` from COCO annotations, and a check of what it made, by the annotations.

    python3 tools/halbench_images.py COCO                     # 160 photographs with annotations
    python3 tools/visual_pairs.py rows COCO ROWS.jsonl        # pairs of answers about them
    percept data visual-pairs --data ROWS.jsonl --annotations COCO/instances.json --out PAIRS
    python3 tools/visual_pairs.py check COCO PAIRS            # which objects the rejected pictures lost
    python3 tools/visual_pairs.py noise                       # the golden numbers of diffusion_noise (needs torch)

`rows`: for every picture with an annotated object, an answer that names one to three of its classes by words that people
use (the largest objects first in every second row, drawn ones in the others), and a worse answer that names a class that is
not there. `check` is independent of percept: it draws the annotated outlines itself and compares pixels of the real and the
rejected picture. An object class counts as lost when at least --lost (0.9) of the pixels of all its annotated objects
changed; a pair is good when a class that its answer names is lost. Needs Pillow and NumPy.
"""
import argparse
import json
import random
import sys
from pathlib import Path

# Words other than the class's own, with article; none of them is another class's word in CHAIR's list.
WORDS = {
    "person": ["a woman", "a man", "people", "a child"], "dog": ["a puppy", "a dog"], "cat": ["a kitten", "a cat"],
    "couch": ["a sofa", "a couch"], "tv": ["a television", "a tv"], "motorcycle": ["a motorcycle", "a motor bike"],
    "airplane": ["a plane", "an airplane"], "bicycle": ["a bike", "a bicycle"], "cell phone": ["a mobile phone", "a cell phone"],
    "dining table": ["a table", "a dining table"], "refrigerator": ["a fridge", "a refrigerator"], "donut": ["a doughnut", "a donut"],
    "boat": ["a boat", "a ship"], "laptop": ["a laptop"], "cow": ["a cow", "cattle"], "skis": ["skis"], "scissors": ["scissors"],
}
FRAMES = ["The picture shows {}.", "There is {} in the foreground.", "You can see {} here.", "I can make out {}.", "It seems to be about {}."]
FILLERS = ["The light is soft.", "It was taken outside or near a window.", "The colours are calm.", ""]


def phrase(name, draw):
    article = "an" if name[0] in "aeiou" else "a"
    return draw.choice(WORDS.get(name, [f"{article} {name}"]))


def rows(args):
    coco = json.loads((args.coco / "instances.json").read_text())
    names = {c["id"]: c["name"] for c in coco["categories"]}
    areas = {}
    for a in coco["annotations"]:
        of_image = areas.setdefault(a["image_id"], {})
        of_image[names[a["category_id"]]] = of_image.get(names[a["category_id"]], 0) + a["area"]
    written = 0
    with args.rows.open("w") as out:
        for image in sorted(coco["images"], key=lambda i: i["id"]):
            here = areas.get(image["id"])
            if not here:
                continue
            draw = random.Random(image["id"])
            order = sorted(here, key=lambda n: -here[n])
            if draw.random() < 0.5:
                draw.shuffle(order)
            named = order[: draw.randint(1, 3)]
            absent = draw.choice(sorted(set(names.values()) - set(here)))
            def say(things):
                said = [draw.choice(FRAMES).format(phrase(n, draw)) for n in things]
                return " ".join(s for s in said + [draw.choice(FILLERS)] if s)
            answer = say(named)
            row = {"id": f"{image['id']:012d}", "prompt": "Describe the picture.", "chosen": answer,
                   "rejected": say([absent, *named[1:]]), "images": [str((args.coco / "images" / image["file_name"]).resolve())],
                   "image_id": image["id"], "names": named}
            out.write(json.dumps(row) + "\n")
            written += 1
    print(f"{written} rows: {args.rows}")


def mask_of(annotation, width, height):
    import numpy as np
    from PIL import Image, ImageDraw

    seg = annotation["segmentation"]
    if isinstance(seg, list):
        picture = Image.new("1", (width, height))
        for polygon in seg:
            if len(polygon) >= 6:
                ImageDraw.Draw(picture).polygon(polygon, fill=1)
        return np.array(picture)
    flat, value = [], False
    for run in seg["counts"]:
        flat += [value] * run
        value = not value
    return np.array(flat, dtype=bool).reshape(width, height).T


def check(args):
    import numpy as np
    from PIL import Image

    coco = json.loads((args.coco / "instances.json").read_text())
    names = {c["id"]: c["name"] for c in coco["categories"]}
    of_image = {}
    for a in coco["annotations"]:
        of_image.setdefault(a["image_id"], []).append(a)
    pairs = [json.loads(line) for line in (args.pairs / "pairs.jsonl").read_text().splitlines()]
    visual = [p for p in pairs if p.get("rejected_images")]
    good, shares, kept_share, bad = 0, [], [], []
    for pair in visual:
        real = np.asarray(Image.open(args.pairs / pair["images"][0]).convert("RGB")).astype(int)
        rejected = np.asarray(Image.open(args.pairs / pair["rejected_images"][0]).convert("RGB")).astype(int)
        if real.shape != rejected.shape:
            sys.exit(f"{pair['id']}: the pictures have other sizes")
        changed = (real != rejected).any(axis=2)
        height, width = changed.shape
        share = {}
        for a in of_image[pair["image_id"]]:
            union, _ = share.setdefault(names[a["category_id"]], [np.zeros((height, width), bool), None])
            union |= mask_of(a, width, height)
        share = {name: changed[m].mean() if m.any() else 0.0 for name, (m, _) in share.items()}
        named = {name: share.get(name, 0.0) for name in pair["names"]}
        best = max(named.values())
        shares.append(best)
        kept_share.append(1 - changed.mean())
        if best >= args.lost:
            good += 1
        else:
            bad.append((pair["id"], pair["visual_pair"].get("removed"), {n: round(float(s), 2) for n, s in named.items()}))
    print(f"{len(pairs)} rows, {len(visual)} with a rejected picture")
    if visual:
        print(f"lost an object that the answer names (>= {args.lost:.0%} of its pixels changed): {good} of {len(visual)} = {good / len(visual):.1%}")
        print(f"share of the named object that changed: mean {np.mean(shares):.3f}; unchanged part of the picture: mean {np.mean(kept_share):.3f}")
    for row in bad[: args.show]:
        print("  not:", *row)
    sys.exit(0 if visual and good >= args.least * len(visual) else 1)


def noise(_):
    import torch

    betas = torch.sigmoid(torch.linspace(-6, 6, 1000, dtype=torch.float64)) * (0.5e-2 - 1e-5) + 1e-5
    kept = torch.cumprod(1 - betas, 0)
    for step in (0, 499, 500, 999):
        print(step, repr(kept[step].item()))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
commands = parser.add_subparsers(required=True)
of_rows = commands.add_parser("rows")
of_rows.add_argument("coco", type=Path)
of_rows.add_argument("rows", type=Path)
of_rows.set_defaults(run=rows)
of_check = commands.add_parser("check")
of_check.add_argument("coco", type=Path)
of_check.add_argument("pairs", type=Path)
of_check.add_argument("--lost", type=float, default=0.9)
of_check.add_argument("--least", type=float, default=0.95, help="ends with 1 when fewer pairs are good")
of_check.add_argument("--show", type=int, default=10)
of_check.set_defaults(run=check)
commands.add_parser("noise").set_defaults(run=noise)
args = parser.parse_args()
args.run(args)
