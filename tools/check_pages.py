#!/usr/bin/env python3
"""Opens report pages in headless Chromium and checks what a reader relies on: nothing is loaded from
outside, no script fails, pictures are there in their own proportions and have words for those who do not
see them, and tables are sorted by keyboard.

    python3 tools/check_pages.py PAGE.html ...

Needs chromium (Debian: apt install chromium) and nothing else. Exit code 1 if a check fails, 77
where there is no chromium. Speaks the DevTools protocol over a pipe.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


class Browser:
    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (child_in, self.out), (self.into, child_out) = os.pipe(), os.pipe()

        def pipes():  # Chromium reads commands from 3 and writes answers to 4.
            os.dup2(child_in, 13), os.dup2(child_out, 14)
            os.dup2(13, 3), os.dup2(14, 4)

        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
                   "--window-size=1360,1000", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen([program, *options], preexec_fn=pipes, close_fds=False,
                                        stderr=subprocess.DEVNULL)
        os.close(child_in), os.close(child_out)
        self.rest, self.count, self.events, self.session = b"", 0, [], None
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attach = {"targetId": target["targetId"], "flatten": True}
        self.session = self.call("Target.attachToTarget", attach)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def read(self):
        while b"\0" not in self.rest:
            part = os.read(self.into, 1 << 16)
            if not part:
                raise RuntimeError("the browser went away")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, params=None):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params or {}}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, event):
        while not any(e.get("method") == event for e in self.events):
            self.events.append(self.read())

    def value(self, script):
        found = self.call("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def press(self, key, code):
        text = "\r" if key == "Enter" else ""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
                                                 **({"text": text} if text and kind == "keyDown" else {})})

    def close(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


FOCUSED = """(() => {
  const head = document.activeElement.closest("th");
  if (!head || document.activeElement.tagName !== "BUTTON") return null;
  const column = head.cellIndex, table = head.closest("table");
  return { sort: head.ariaSort, column,
           cells: [...table.tBodies[0].rows].map((row) => row.cells[column]?.textContent.trim() ?? "") };
})()"""


def is_sorted(cells, order):
    measured = [c for c in cells if c and c != "–"]
    numbers = [re.match(r"[−-]?[\d.]+", c.replace(",", "").replace("\u202f", "")) for c in measured]
    if not all(numbers) or not measured:
        return None  # by words, in the order of the browser's language
    values = [float(n[0].replace("−", "-")) for n in numbers]
    return values == sorted(values, reverse=order == "descending")


def check(browser, page):
    if not Path(page).is_file():
        return {"page": str(page), "pictures": 0, "columns_sorted": 0, "orders_checked": 0, "problems": ["no such file"]}
    browser.events.clear()
    browser.call("Page.navigate", {"url": Path(page).resolve().as_uri()})
    browser.wait("Page.loadEventFired")
    problems = []
    images = browser.value("""Promise.all([...document.images].map(async (image) => {
        image.loading = "eager"; try { await image.decode(); } catch {}
        const [wide, high] = [image.naturalWidth, image.naturalHeight];
        // What is drawn, against its own proportions; a pixel is lost to rounding.
        const off = image.clientHeight && high ? Math.abs(image.clientWidth - (image.clientHeight * wide) / high) : 0;
        const stretched = off > Math.max(2, wide / high, 0.03 * image.clientWidth);
        return [wide, image.hasAttribute("alt"), image.src.slice(0, 80),
                stretched ? `${wide} x ${high} drawn ${image.clientWidth} x ${image.clientHeight}` : ""];
    }))""")
    problems += [f"picture without {'size' if not width else 'alt'}: {source}"
                 for width, alt, source, _ in images if not width or not alt]
    problems += [f"picture stretched: {drawn}" for *_, drawn in images if drawn]
    buttons = browser.value('document.querySelectorAll("th button").length')
    pressed = numeric = 0
    for _ in range(400 if buttons else 0):
        browser.press("Tab", 9)
        before = browser.value(FOCUSED)
        if before is None:
            if pressed or browser.value("document.activeElement === document.body"):
                break
            continue
        for order in ("descending", "ascending"):
            browser.press("Enter", 13)
            found = browser.value(FOCUSED)
            if found["sort"] != order:
                problems.append(f"column {found['column']}: aria-sort is {found['sort']} after Enter, expected {order}")
            held = is_sorted(found["cells"], order)
            numeric += held is not None
            if held is False:
                problems.append(f"column {found['column']} is not {order}: {found['cells'][:6]}")
        browser.press("Enter", 13)
        if browser.value(FOCUSED)["cells"] != before["cells"]:
            problems.append(f"column {before['column']}: the third Enter does not bring the written order back")
        pressed += 1
        if pressed == 40:
            break
    if buttons and not pressed:
        problems.append("no head of a table is reached by Tab")
    for event in browser.events:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:", "about:")):
                problems.append(f"asks for {url}")
        elif event.get("method") == "Runtime.exceptionThrown":
            problems.append(f"script: {params['exceptionDetails'].get('text')}")
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            problems.append(f"log: {params['entry']['text']}")
    return {"page": str(page), "pictures": len(images), "columns_sorted": pressed, "orders_checked": numeric,
            "problems": problems}


def main():
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        print("no chromium: nothing was checked", file=sys.stderr)
        sys.exit(77)
    browser = Browser(program)
    try:
        found = [check(browser, page) for page in sys.argv[1:]]
    finally:
        browser.close()
    for one in found:
        print(json.dumps(one, ensure_ascii=False))
    sys.exit(any(one["problems"] for one in found))


if __name__ == "__main__":
    main()
