#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks real clusters on this machine and checks what their users got.

    ./dev chaos NAME [--short] [--count N] [--seconds S] [--seed S]

The result is printed and kept as JSON in build/chaos. The exit code is 1 when a request was lost, wrong, doubled or
stuck; times are measured and never a reason to fail.
"""

import argparse
import datetime
import importlib
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
ROOT = pathlib.Path(__file__).resolve().parents[2]

# name: (count of the whole test, count of its short form)
TESTS = {
    "kill": (500, 8),
    "stop": (200, 4),
    "link": (100, 4),
    "resume": (200, 12),
    "detect": (40, 2),
    "calm": (1, 1),
    "overload": (1, 1),
    "poison": (50, 2),
    "soak": (1, 1),
    "memory": (1, 1),
    "gpu": (20, 4),
}


def commit():
    result = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return result.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("--short", action="store_true", help="a minute at most: the form that ./dev test runs")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--load", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.count is None:
        options.count = TESTS[options.test][options.short]
    result = importlib.import_module(options.test).run(options)
    if "skipped" in result:
        print("skipped:", result["skipped"])
        return 4
    result = {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "machine": f"{os.cpu_count()} cores",
        "command": " ".join(["./dev", "chaos", *sys.argv[1:]]),
        **result,
    }
    text = json.dumps(result, indent=1)
    print(text)
    folder = ROOT / "build/chaos"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{options.test}{'-short' if options.short else ''}.json").write_text(text + "\n")
    return 1 if result["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
