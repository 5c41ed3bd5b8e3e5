#!/usr/bin/env python3
"""Kills `percept halbench build` inside each of its seven steps, goes on each time, and compares every file with
those of an uninterrupted build.

    python3 tools/halbench_kill.py target/release/percept IMAGES INSTANCES.json WORK

Steps that last are killed when half of their rows are logged, the others as soon as the step before them is done.
A step that was over before the kill came is done again (`--from`) and killed again. Ends with 1 when a file differs.
"""
import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

STEPS = ["statistics", "roles", "choice", "edit", "quality", "questions", "dataset"]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("percept")
parser.add_argument("images")
parser.add_argument("annotations")
parser.add_argument("work", type=Path)
args = parser.parse_args()

whole, killed = args.work / "whole", args.work / "killed"
for folder in (whole, killed):
    shutil.rmtree(folder, ignore_errors=True)


def command(out, *more):
    return [args.percept, "halbench", "build", "--quiet", "--images", args.images, "--annotations", args.annotations,
            "--out", str(out), *more]


def file(out, step, ending):
    return out / "steps" / f"{STEPS.index(step) + 1:02}-{step}{ending}"


def rows(path):
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


begin = time.time()
subprocess.run(command(whole), check=True)
print(f"uninterrupted: {time.time() - begin:.1f} s")
wanted = {step: rows(file(whole, step, ".jsonl")) for step in STEPS}

for at, step in enumerate(STEPS):
    more = []
    for _ in range(50):
        build = subprocess.Popen(command(killed, *more))
        while build.poll() is None:
            if rows(file(killed, step, ".log.jsonl")) > wanted[step] / 2:
                break
            if step in ("statistics", "roles", "questions"):
                if at == 0 or file(killed, STEPS[at - 1], ".done.json").exists():
                    break
        build.kill()
        build.wait()
        done = [file(killed, s, ".done.json").exists() for s in STEPS]
        if done[:at] == [True] * at and not any(done[at:]):
            logged = rows(file(killed, step, ".log.jsonl")) - 1
            hidden = sum(name.startswith(".") for _, _, names in os.walk(killed) for name in names)
            print(f"killed in {step}: {max(logged, 0)} of {wanted[step]} rows logged, {hidden} unfinished files")
            break
        more = ["--from", step] if any(done[at:]) else []
    else:
        sys.exit(f"{step} is always over before it can be killed")

begin = time.time()
subprocess.run(command(killed), check=True)
print(f"the rest: {time.time() - begin:.1f} s")


def names(folder):
    return sorted(str(Path(path, name).relative_to(folder)) for path, _, files in os.walk(folder) for name in files)


if names(whole) != names(killed):
    sys.exit(f"not the same files: {set(names(whole)) ^ set(names(killed))}")
_, differ, failed = filecmp.cmpfiles(whole, killed, names(whole), shallow=False)
if differ or failed:
    sys.exit(f"files differ: {differ + failed}")
print(f"all {len(names(whole))} files are those of the uninterrupted build")
