#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of steps went on a device, from what tests/gpu/kernel_trace.cpp recorded.

    tools/kernel_times.py TRACE [--device N] [--last STEPS | --longest]

A step begins with its embedding (or its graph, where graphs were recorded as one). Shown are its kernels in the order of
their time, how long the device did nothing within a step, and how long between two.
"""

import argparse
import collections
import re


def read(path, device):
    lines = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            start, end, at, kind, name = line.rstrip("\n").split(" ", 4)
            if int(at) == device:
                lines.append((int(start), int(end), kind, name))
    return sorted(lines)


def short(kind, name):
    if kind == "copy":
        return "copy " + {"1": "to device", "2": "to host", "8": "on device"}.get(name, name)
    if "troupe" in name and (found := re.search(r"(?<=\d)([a-z][a-z_]*_kernel)(I.*?E(?=v|E))?", name)):
        return found[1] + re.sub(r"N6troupe.*", "", found[2] or "")
    return name[:90]


def cut(lines):
    """Steps as lists of lines; what comes before the first is left out."""
    marker = "graph" if any(name == "graph" for _, _, _, name in lines) else "embedding_kernel"
    steps = []
    for line in lines:
        if marker in line[3] and (marker != "graph" or line[3] == "graph"):
            steps.append([])
        if steps:
            steps[-1].append(line)
    return steps


def busy(step):
    """Nanoseconds in which anything ran, and the end of the last."""
    total, until = 0, 0
    for start, end, _, _ in step:
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total, until


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--last", type=int, default=128, metavar="STEPS")
    parser.add_argument("--longest", action="store_true", help="the one step that took longest, a long prompt's")
    options = parser.parse_args()
    steps = cut(read(options.trace, options.device))
    if options.longest:
        chosen = [max(steps[:-1][-options.last :], key=lambda step: busy(step)[0])]
    else:
        chosen = steps[:-1][-options.last :]  # the last is followed by other things
    times, counts = collections.Counter(), collections.Counter()
    inside = between = 0
    for i, step in enumerate(chosen):
        for start, end, kind, name in step:
            times[short(kind, name)] += end - start
            counts[short(kind, name)] += 1
        worked, until = busy(step)
        inside += until - step[0][0] - worked
        if i + 1 < len(chosen):
            between += chosen[i + 1][0][0] - until
    n = len(chosen)
    period = (busy(chosen[-1])[1] - chosen[0][0][0]) / n
    print(f"{n} steps, {period / 1e3:.1f} us each; idle inside {inside / n / 1e3:.1f} us, "
          f"between {between / max(1, n - 1) / 1e3:.1f} us ({between / max(1, n - 1) / period:.2%})")
    for name, time in times.most_common(24):
        print(f"{time / n / 1e3:10.1f} us a step {counts[name] / n:7.1f} x {time / counts[name] / 1e3:9.2f} us  {name}")


if __name__ == "__main__":
    main()
