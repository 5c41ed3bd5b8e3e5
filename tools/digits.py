#!/usr/bin/env python3
"""Makes crates/data/assets/digits.bin.gz from scikit-learn's copy of the UCI optical digits.

Usage:
    pip download scikit-learn --no-deps -d /tmp/wheel
    python tools/digits.py /tmp/wheel/scikit_learn-*.whl

The result holds 1 797 records of 65 bytes: the label (0-9), then 64 ink values (0-16), row by row.
Only the Python standard library is needed; the same wheel gives the same bytes.
"""

import gzip
import io
import pathlib
import sys
import zipfile

MEMBER = "sklearn/datasets/data/digits.csv.gz"
TARGET = pathlib.Path(__file__).parent.parent / "crates/data/assets/digits.bin.gz"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        rows = gzip.decompress(wheel.read(MEMBER)).decode().split()
    records = bytearray()
    for row in rows:
        *ink, label = (int(float(cell)) for cell in row.split(","))
        assert len(ink) == 64 and 0 <= label <= 9 and all(0 <= i <= 16 for i in ink), row
        records += bytes([label, *ink])
    assert len(records) == 1797 * 65, len(records)

    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0, filename="") as out:
        out.write(records)
    TARGET.write_bytes(packed.getvalue())
    print(f"{TARGET}: {len(packed.getvalue())} bytes")


if __name__ == "__main__":
    main()
