#!/usr/bin/env python3
"""Masks of polygons and run lengths as pycocotools makes them, for crates/data/tests/coco_masks.rs.

    python3 tools/coco_mask_reference.py > crates/data/tests/golden/coco_masks.json

Needs numpy and pycocotools. Polygons: random ones of 3 to 12 points with fractions as annotators leave
them, some beyond the image's borders, with repeated points, or several to an object; shapes that rounding
decides (half pixels, slivers, single points). Masks: random blobs, empty, full.
"""
import json
import random
import sys
from importlib.metadata import version

import numpy as np
from pycocotools import mask as m

random.seed(5)
rng = np.random.default_rng(5)


def expected(rle):
    bits = np.asfortranarray(m.decode(rle))
    clean = m.encode(bits)
    return {"rle": clean["counts"].decode(), "area": int(m.area(clean)), "bbox": [int(v) for v in m.toBbox(clean)]}


def polygon(w, h, reach, digits):
    n = random.randint(3, 12)
    return [round(random.uniform(-reach * s, (1 + reach) * s), digits) for _ in range(n) for s in (w, h)]


polygons = []
for _ in range(60):
    w, h = random.randint(1, 40), random.randint(1, 40)
    reach, digits = random.choice([0, 0, 0.4]), random.choice([0, 1, 2, 6])
    parts = [polygon(w, h, reach, digits) for _ in range(random.choice([1, 1, 2, 3]))]
    if random.random() < 0.2:
        parts[0] += parts[0][-2:]
    polygons.append((w, h, parts))
for part in ([0, 0, 4, 0, 4, 4, 0, 4], [0.5, 0.5, 3.5, 0.5, 3.5, 3.5, 0.5, 3.5], [2, 2, 2, 2, 2, 2],
             [0, 0, 9, 9, 0, 0.2], [-5, -5, 20, -5, 20, 20, -5, 20], [9, 0, 10, 0, 10, 10, 9, 10],
             [1.1, 1.1, 1.2, 8.9, 1.3, 1.1], [0, 5, 10, 5, 10, 5.4, 0, 5.4], [5, 1, 9, 5, 5, 9, 1, 5]):
    polygons.append((10, 10, [part]))

blobs = [np.zeros((5, 7)), np.ones((5, 7)), np.eye(9), np.ones((1, 1))]
for _ in range(8):
    h, w = rng.integers(2, 60, 2)
    yy, xx = np.mgrid[:h, :w]
    y, x, r = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(1, max(h, w))
    blobs.append(((yy - y) ** 2 + (xx - x) ** 2 < r * r) ^ (rng.random((h, w)) < 0.02))
# Runs long enough for strings of several characters a run.
blobs.append(np.pad(np.ones((300, 200)), ((100, 50), (70, 3))))


def counts(bits):
    flat = bits.flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist() + [flat.size]
    return np.diff([0] + edges).tolist()


out = {
    "made_by": f"tools/coco_mask_reference.py, pycocotools {version('pycocotools')}",
    "polygons": [
        {"width": w, "height": h, "polygons": parts, **expected(m.merge(m.frPyObjects(parts, h, w)))}
        for w, h, parts in polygons
    ],
    "runs": [
        {"width": b.shape[1], "height": b.shape[0], "counts": counts(b),
         **expected(m.frPyObjects({"size": list(b.shape), "counts": counts(b)}, *b.shape))}
        for b in (np.asarray(b, dtype=np.uint8) for b in blobs)
    ],
}
json.dump(out, sys.stdout, separators=(",", ":"))
print()
