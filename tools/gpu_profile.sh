#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where the time of a decode step goes: each kernel's share, by Nsight Compute, one kernel at a time (so without the
# overlap of a real step). tools/gpu_profile.sh FOLDER WEIGHTS BATCH CONTEXT [KERNELS TO SKIP [NAMES]]; see tools/gpu.sh for FOLDER.
set -euo pipefail
folder=$(realpath "$1")
ncu --clock-control none --metrics gpu__time_duration.sum --csv --page raw \
  -k "regex:${6:-gemv|decode_attention}" \
  --launch-skip "${5:-4000}" --launch-count 400 \
  "$folder/troupe" bench --device cuda --weights "$2" --batch "$3" --context "$4" --steps 64 --kv-memory 8GiB --json 2>&1 |
  python3 -c '
import collections, csv, sys
lines = [line for line in sys.stdin if line.startswith("\"")]
rows = csv.DictReader(lines)
times = collections.defaultdict(list)
for row in rows:
    try:
        value = float(row["gpu__time_duration.sum"].replace(",", ""))
    except (ValueError, KeyError):
        continue
    times[(row["Kernel Name"][:48], row["Grid Size"], row["Block Size"])].append(value)
for (name, grid, block), values in sorted(times.items(), key=lambda x: -sum(x[1])):
    print(f"{name:50} {grid:>16} {block:>12} n={len(values):4} median={sorted(values)[len(values) // 2]:10.2f}")
'
