"""What `qwen_vl_utils` chooses of videos: crates/data/tests/fixtures/video/sampling.json.

    pip install qwen-vl-utils==0.0.14 numpy && python tools/video_sampling.py

The package's own `smart_nframes` and `calculate_video_frame_range` are called. It imports torch and torchvision, of which
these two functions use nothing; where torch is missing, an empty module stands in, and `torch.linspace` (in `_read_video_*`,
single precision, from both ends to the middle) is computed with NumPy. `--torch` insists on the real one.
"""

import json
import random
import sys
import types
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "crates/data/tests/fixtures/video/sampling.json"

try:
    import torch
except ImportError:
    if "--torch" in sys.argv:
        raise
    torch = None


def stand_in():
    """Modules that `qwen_vl_utils.vision_process` imports and these functions do not use."""

    class Anything(types.ModuleType):
        __version__ = "0"

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name)

        def __call__(self, *args, **kwargs):
            return Anything("called")

    for name in ["torch", "torchvision", "torchvision.io", "torchvision.transforms", "requests", "packaging", "av"]:
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = Anything(name)


if torch is None:
    stand_in()
from qwen_vl_utils import vision_process as qwen  # noqa: E402


def linspace(start, end, count):
    if torch is not None:
        return torch.linspace(start, end, count).round().long().tolist()
    first, last = np.float32(start), np.float32(end)
    step = np.float32((last - first) / np.float32(count - 1))
    places = [
        first + step * np.float32(at) if at < count // 2 else last - step * np.float32(count - 1 - at)
        for at in range(count)
    ]
    return [int(np.round(np.float32(place))) for place in places]


def one(row, total, rate):
    case = {"row": row, "total": total, "fps": rate}
    try:
        start, end, count = qwen.calculate_video_frame_range(row, total, rate)
        frames = qwen.smart_nframes(row, total_frames=count, video_fps=rate)
    except (ValueError, AssertionError):
        return case | {"indices": None}
    indices = linspace(start, end, frames)
    # Whole lists of hundreds of numbers are told by a sum that knows the order.
    mark = sum((at + 1) * index for at, index in enumerate(indices))
    short = indices if len(indices) <= 6 else indices[:3] + indices[-3:]
    return case | {"indices": short, "count": len(indices), "mark": mark, "sample_fps": frames / max(count, 1e-6) * rate}


def main():
    draw = random.Random(16)
    cases = [one({}, total, rate) for total, rate in [(2, 25.0), (3, 25.0), (250, 25.0), (18_000, 30.0), (53, 23.976)]]
    for _ in range(155):
        total, rate = draw.choice([2, 3, 5, 24, 97, 250, 900, 4_001]), draw.choice([8.0, 12.5, 23.976, 24.0, 29.97, 30.0])
        row, length = {}, total / rate
        if draw.random() < 0.4:
            row["nframes"] = draw.choice([1, 2, 3, 5, 7, 8, 16, 33, 10_000])
        elif draw.random() < 0.7:
            row["fps"] = draw.choice([0.25, 0.5, 1, 1.7, 2.0, 4, 60])
        if draw.random() < 0.05:
            row["fps"] = 2.0
        if draw.random() < 0.3:
            row["min_frames"] = draw.choice([1, 3, 4, 9, 64])
        if draw.random() < 0.3:
            row["max_frames"] = draw.choice([2, 5, 16, 77, 768])
        if draw.random() < 0.3:
            row["video_start"] = round(draw.uniform(0, 1.1 * length), 2)
        if draw.random() < 0.3:
            row["video_end"] = round(draw.uniform(0, 1.3 * length), 2)
        cases.append(one(row, total, rate))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    from importlib.metadata import version

    by = f"tools/video_sampling.py, qwen-vl-utils {version('qwen-vl-utils')}, " + (
        f"torch {torch.__version__}" if torch is not None else f"NumPy {np.__version__} in torch's place"
    )
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(f'{{"by": {json.dumps(by)}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {sum(c['indices'] is None for c in cases)} refused: {OUT}")


main()
