"""Reads the event files of a run with TensorBoard's own reader and compares them with
metrics.jsonl.

    python tools/check_tensorboard.py runs/demo

Exits with 1 when a finite value is missing or differs by more than float32 allows.
Needs the tensorboard package.
"""

import json
import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(run: pathlib.Path) -> int:
    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    accumulator.Reload()
    seen = {(tag, event.step): event.value for tag in accumulator.Tags()["scalars"] for event in accumulator.Scalars(tag)}
    expected = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        step = row.pop("step")
        for name, value in row.items():
            if name not in ("stage", "time") and value is not None:
                expected[name, step] = value
    faults = [key for key, value in expected.items() if key not in seen or not math.isclose(seen[key], value, rel_tol=1e-6, abs_tol=1e-30)]
    faults += [key for key in seen if key not in expected]
    for name, step in faults[:10]:
        print(f"error: {name} at step {step}: TensorBoard {seen.get((name, step))}, metrics.jsonl {expected.get((name, step))}", file=sys.stderr)
    print(f"{len(expected)} values, {len(faults)} differ")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
