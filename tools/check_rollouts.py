"""Opens stored rollouts with pyarrow and pandas and prints what they hold.

    python tools/check_rollouts.py runs/demo/rollouts/step-000010.parquet

Exits with 1 when a column has an unexpected type or a per-token list a wrong length.
Needs pyarrow and pandas. `--rewrite OUT` writes the table again with pandas, whose file
percept must read as well (columns become nullable).
"""

import argparse
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

STRING = pa.string()
FLOATS = pa.list_(pa.field("element", pa.float32(), nullable=False))
EXPECTED = {
    "step": pa.int64(),
    "weight_version": pa.int64(),
    "prompt_id": STRING,
    "sample": pa.int32(),
    "question_type": STRING,
    "answer": STRING,
    "prompt": STRING,
    "completion": STRING,
    "finish_reason": STRING,
    "reward": pa.float64(),
    "advantage": pa.float64(),
    "tokens": pa.list_(pa.field("element", pa.uint32(), nullable=False)),
    "token_text": pa.list_(pa.field("element", STRING, nullable=False)),
    "log_probs": FLOATS,
    "entropy": FLOATS,
    "token_advantages": FLOATS,
    "weights": FLOATS,
    "nucleus_entropy": FLOATS,
    "log_prob_no_image": FLOATS,
    "token_set": FLOATS,
    "images": pa.list_(pa.field("element", pa.binary(), nullable=False)),
}


def check(path: str) -> list[str]:
    table = pq.read_table(path)
    faults = []
    for name, kind in EXPECTED.items():
        if name not in table.column_names:
            faults.append(f"{name} is missing")
        elif table.schema.field(name).type != kind:
            faults.append(f"{name} is {table.schema.field(name).type}, expected {kind}")
    for i, row in enumerate(table.to_pylist()):
        for name in ("token_text", "log_probs", "entropy", "token_advantages", "weights", "nucleus_entropy", "log_prob_no_image", "token_set"):
            if row[name] and len(row[name]) != len(row["tokens"]):
                faults.append(f"row {i}: {name} has {len(row[name])} entries for {len(row['tokens'])} tokens")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--rewrite", metavar="OUT")
    args = parser.parse_args()
    faults = check(args.path)
    frame = pd.read_parquet(args.path)
    print(frame.drop(columns=["images"]).head().to_string(max_colwidth=40))
    print(f"{len(frame)} rollouts, {pq.ParquetFile(args.path).num_row_groups} row groups")
    if args.rewrite:
        frame.to_parquet(args.rewrite)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
