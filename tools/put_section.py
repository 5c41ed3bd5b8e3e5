#!/usr/bin/env python3
"""Replaces one `## ` section of a Markdown file by the text of another file, or adds it at the end.

    python tools/put_section.py docs/benchmarks.md "Training and sampling" section.md
"""

import pathlib
import re
import sys


def main() -> None:
    target, heading, source = sys.argv[1:]
    path = pathlib.Path(target)
    new = pathlib.Path(source).read_text().strip() + "\n"
    if not new.startswith(f"## {heading}\n"):
        sys.exit(f"{source} does not begin with '## {heading}'")
    parts = re.split(r"(?m)^(?=## )", path.read_text())
    places = [i for i, part in enumerate(parts) if part.startswith(f"## {heading}\n")]
    parts = [part.strip() + "\n" for part in parts]
    if places:
        parts[places[0]] = new
    else:
        parts.append(new)
    path.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
