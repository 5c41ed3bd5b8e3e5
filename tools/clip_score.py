#!/usr/bin/env python3
"""Scores classes in a picture by CLIP: 100 times the cosine of the picture and "a photo of a CLASS".

    python3 tools/clip_score.py MODEL IMAGE CLASSES

MODEL is a folder with a CLIP of transformers (openai/clip-vit-base-patch32, …), CLASSES a text file with one
class a line. Prints a JSON list of numbers. It is a scorer for `percept halbench build`:

    --score-command 'python3 tools/clip_score.py MODEL {image} {classes}'

Needs torch, transformers and Pillow. Nothing is downloaded; loading the model takes most of the time.
"""
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

folder, image, classes = sys.argv[1:]
classes = Path(classes).read_text().splitlines()
texts = [f"a photo of {'an' if name[0] in 'aeiou' else 'a'} {name}" for name in classes]
model = CLIPModel.from_pretrained(folder, local_files_only=True).eval()
words = AutoTokenizer.from_pretrained(folder, local_files_only=True)(texts, padding=True, return_tensors="pt")
pixels = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)(
    images=Image.open(image).convert("RGB"), return_tensors="pt")
with torch.no_grad():
    found = model(**words, **pixels)
    cosines = torch.nn.functional.cosine_similarity(found.image_embeds, found.text_embeds)
print(json.dumps([100 * cosine for cosine in cosines.tolist()]))
