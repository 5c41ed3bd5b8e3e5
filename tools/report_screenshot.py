"""Takes a picture of a report with headless Chromium.

    python tools/report_screenshot.py runs/demo/report.html docs/report.png
    python tools/report_screenshot.py runs/demo/report.html dark.png --theme dark --section rollouts

`--section` (results, curves, rollouts, recipe) starts the picture at that part of the page.
Needs chromium, chromium-browser or google-chrome on the PATH, or in $CHROMIUM.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str:
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        if name and shutil.which(name):
            return name
    sys.exit("error: no Chromium found\n  help: install it, or name it in $CHROMIUM")


def prepared(html: str, theme: str, section: str | None, extra: str) -> str:
    """The page with a theme chosen and what stands before the section hidden."""
    script = f"document.documentElement.dataset.theme = {theme!r};"
    if section:
        script += (
            "for (const node of document.querySelectorAll('main > *')) {"
            f" if (node.id === {section!r}) break; node.style.display = 'none'; }}"
        )
    script += extra
    return html.replace("</body>", f"<script>{script}</script></body>")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--section", choices=("results", "curves", "rollouts", "recipe"))
    parser.add_argument("--size", default="1400x1700", help="width x height in CSS pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="device pixels per CSS pixel")
    parser.add_argument("--script", default="", help="JavaScript to run before the picture is taken")
    args = parser.parse_args()
    width, height = args.size.split("x")
    args.picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder, "report.html")
        page.write_text(prepared(args.report.read_text("utf-8"), args.theme, args.section, args.script), "utf-8")
        done = subprocess.run(
            [
                browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
                f"--force-device-scale-factor={args.scale}", "--virtual-time-budget=4000",
                "--enable-logging=stderr", f"--screenshot={args.picture.resolve()}", page.as_uri(),
            ],
            capture_output=True, text=True, timeout=120,
        )
    faults = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    for line in faults:
        print(line, file=sys.stderr)
    if done.returncode or not args.picture.exists():
        print(done.stderr[-2000:], file=sys.stderr)
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
