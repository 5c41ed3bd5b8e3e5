#!/usr/bin/env python3
"""A folder of real photographs with COCO annotations, for trying `percept halbench build`.

    python3 tools/halbench_images.py OUT [--repository DIR-OR-URL]

The images are the 160 of https://github.com/zzowenzz/COCO_Tiny: for every one of the 80 classes of COCO 2017
one image of train2017 and one of val2017, with COCO's own instance annotations (polygons, run lengths, crowds)
cut to these images. COCO's images are photographs from Flickr under the Creative Commons licences that the
annotation files name (`license` of each image); the annotations are CC BY 4.0. Nothing of it is kept in this
repository. The whole COCO works as well; then nothing but `percept halbench build` is needed.

Writes OUT/images/*.jpg and OUT/instances.json (both parts in one). Needs git; --repository may be a clone.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

# The state that was tried; another one is used with a note.
COMMIT = "e7a689f"
URL = "https://github.com/zzowenzz/COCO_Tiny"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out", type=Path)
parser.add_argument("--repository", default=URL, help="address or folder (also a bare one) of the repository")
args = parser.parse_args()

with tempfile.TemporaryDirectory() as temporary:
    repository = Path(args.repository)
    if not repository.is_dir():
        repository = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "--depth", "1", args.repository, str(repository)], check=True)

    def git(*words):
        return subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True).stdout

    head = git("rev-parse", "HEAD").decode().strip()
    if not head.startswith(COMMIT):
        print(f"note: {args.repository} is at {head[:7]}, tried was {COMMIT}", file=sys.stderr)
    images = args.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    whole = {"images": [], "annotations": [], "categories": None}
    for part in ("train2017", "val2017"):
        parts = json.loads(git("show", f"HEAD:annotations/instances_{part}.json"))
        whole["categories"] = whole["categories"] or parts["categories"]
        listed = {image["id"] for image in whole["images"]}
        fresh = [image for image in parts["images"] if image["id"] not in listed]
        names = {image["id"] for image in fresh}
        whole["images"] += fresh
        whole["annotations"] += [a for a in parts["annotations"] if a["image_id"] in names]
        for image in fresh:
            (images / image["file_name"]).write_bytes(git("show", f"HEAD:{part}/{image['file_name']}"))

(args.out / "instances.json").write_text(json.dumps(whole))
classes = {}
for annotation in whole["annotations"]:
    classes.setdefault(annotation["image_id"], set()).add(annotation["category_id"])
several = sum(len(found) > 1 for found in classes.values())
print(f"{len(whole['images'])} images ({several} with two classes or more), "
      f"{len(whole['annotations'])} objects: {args.out}")
