"""Golden hashes for the image preprocessing of crate `data`.

Proves: `ImageProcessor` equals transformers' `Qwen2VLImageProcessor` with the Pillow backend, bit for bit (sizes,
resized pixels, patches), and `Media::decode` equals `PIL.Image.open(…).convert("RGB")` for PNG modes, on white ground
where a picture is transparent (tools/picture_goldens.py). Videos are
compared with `Qwen2VLVideoProcessor`, which resizes with torchvision, not Pillow: there the tolerance is one grey
level.

Made with transformers 5.23.0, Pillow 13.0.0, numpy 2.4.6, torchvision 0.29.2.
Run: python tools/image_goldens.py [--out crates/data/tests/golden/images.json]
"""

import argparse
import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from picture_goldens import white
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

torch.set_num_threads(1)

# (width, height, overrides of the processor): no resize, up, down, one axis only, rounding to even, thin.
IMAGES = [
    (112, 56, {"patch_size": 7, "min_pixels": 196, "max_pixels": 50176}),
    (112, 56, {}),
    (56, 56, {}),
    (30, 40, {}),
    (100, 30, {}),
    (57, 200, {}),
    (28, 28, {}),
    (300, 301, {}),
    (640, 480, {}),
    (1400, 900, {}),
    (42, 70, {}),
    (70, 98, {}),
    (333, 217, {}),
    (333, 217, {"max_pixels": 20000}),
    (640, 37, {"max_pixels": 12544}),
    (500, 400, {"min_pixels": 784, "max_pixels": 7840}),
    (61, 93, {"min_pixels": 65536, "max_pixels": 131072}),
    (1, 1, {"min_pixels": 784}),
    (150, 1, {}),
    (64, 48, {"patch_size": 16, "merge_size": 2}),
    (64, 48, {"patch_size": 8, "merge_size": 1, "temporal_patch_size": 1, "min_pixels": 64}),
    (90, 60, {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.125]}),
]
SIZES = [(w, h) for w in (1, 13, 14, 28, 41, 42, 43, 70, 224, 999, 1000, 3840) for h in (1, 14, 28, 70, 500, 2160, 7000)]
VIDEOS = [
    (112, 56, 4, {"min_pixels": 784, "max_pixels": 100352}),
    (112, 56, 3, {"min_pixels": 784, "max_pixels": 100352}),
    (60, 90, 2, {"min_pixels": 784, "max_pixels": 100352}),
    (60, 90, 5, {"min_pixels": 20000, "max_pixels": 100352}),
    (200, 150, 2, {"min_pixels": 784, "max_pixels": 7840}),
]
PICKS = 64


def picture(width, height, seed=0):
    """Waves, edges and noise from whole numbers, so that the tests draw the same."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    smooth = (x * (3 + c) + y * (5 - c) + seed * 17) % 256
    edge = np.where((x // 9 + y // 7 + c) % 2 == 0, 255, 0)
    noise = ((x * 7919 + y * 104729 + c * 1299709 + seed * 15485863) ** 2 >> 7) % 256
    kind = (x // 31 + y // 23) % 3
    return np.choose(kind, [smooth, edge, noise]).astype(np.uint8)


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def picks(values):
    """Evenly spread values, at indices that the tests compute the same way."""
    flat = values.reshape(-1)
    return [float(flat[i * len(flat) // PICKS]) for i in range(PICKS)]


def image_case(width, height, options):
    pixels = picture(width, height)
    processor = Qwen2VLImageProcessorPil(**options)
    out = processor.preprocess(Image.fromarray(pixels), return_tensors="np")
    values, grid = out["pixel_values"], out["image_grid_thw"][0]
    assert values.dtype == np.float32
    return {
        "width": width, "height": height, "config": options, "picture": sha(pixels),
        "grid_thw": [int(g) for g in grid], "values": sha(values), "picks": picks(values),
    }


def size_case(width, height):
    try:
        h, w = smart_resize(height, width, 28, 56 * 56, 28 * 28 * 1280)
        return [width, height, w, h]
    except ValueError:
        return [width, height, None, None]


def video_case(width, height, frames, options):
    video = np.stack([picture(width, height, seed) for seed in range(frames)])
    processor = Qwen2VLVideoProcessor(cap_pixels_per_frame=False, do_sample_frames=False, **options)
    out = processor.preprocess([torch.from_numpy(video).permute(0, 3, 1, 2)], return_tensors="pt")
    values = out["pixel_values_videos"].numpy()
    return {
        "width": width, "height": height, "frames": frames, "config": options,
        "grid_thw": out["video_grid_thw"][0].tolist(), "picks": picks(values),
    }


def modes():
    rgb = Image.fromarray(picture(11, 9))
    alpha = Image.fromarray(picture(11, 9, 5)[:, :, 0])
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    palette = rgb.quantize(16)
    bits = picture(11, 9, 3)[:, :, 0].astype(np.uint16) * 211
    named = {
        "RGB": (rgb, {}),
        "RGBA": (rgba, {}),
        "L": (rgb.convert("L"), {}),
        "LA": (rgba.convert("LA"), {}),
        "1": (rgb.convert("1"), {}),
        "P": (palette, {}),
        "P with transparency": (palette, {"transparency": 3}),
        "I;16": (Image.fromarray(bits), {}),
    }
    for name, (image, options) in named.items():
        file = io.BytesIO()
        image.save(file, "PNG", **options)
        read = Image.open(io.BytesIO(file.getvalue()))
        assert read.mode == name.split()[0], (read.mode, name)
        png = base64.b64encode(file.getvalue()).decode()
        yield {"mode": name, "png": png, "rgb": sha(np.array(white(read)))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("crates/data/tests/golden/images.json"))
    out = parser.parse_args().out
    golden = {
        "made_by": "tools/image_goldens.py (transformers 5.23.0, Pillow 13.0.0, numpy 2.4.6, torchvision 0.29.2)",
        "images": [image_case(*case) for case in IMAGES],
        "sizes": [size_case(*size) for size in SIZES],
        "videos": [video_case(*case) for case in VIDEOS],
        "modes": list(modes()),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    # One case a line.
    parts = [f"{json.dumps(k)}: " + (json.dumps(v) if isinstance(v, str) else
             "[\n" + ",\n".join(json.dumps(c) for c in v) + "\n]") for k, v in golden.items()]
    out.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    print(out, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
