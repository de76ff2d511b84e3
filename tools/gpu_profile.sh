#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where the time of steps goes on the device, as they run: `tools/gpu_profile.sh FOLDER NAME BENCH-OPTIONS... [--
# KERNEL-TIMES-OPTIONS...]` runs troupe bench with a recorder of kernels and prints tools/kernel_times.py's table; then,
# with graphs recorded as one, which disturbs less, how long the device waits between steps. See tools/gpu.sh for FOLDER.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
folder=$(realpath "$1")
name=$2
shift 2
bench=()
while (($#)) && [[ $1 != -- ]]; do bench+=("$1"); shift; done
times=("${@:2}")
out=${OUT:-build/gpu}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
find_library() { find / -xdev -name "$1" 2>/dev/null | head -n 1; }
cupti=$(find_library libcupti.so.13)
[[ -n $cupti && -e $folder/libkernel_trace.so ]] ||
  { echo "gpu_profile: error: it needs CUPTI of CUDA 13 here and where $folder was built" >&2; exit 2; }
nccl=$(find_library libnccl.so.2)
export LD_LIBRARY_PATH=$folder/lib:$(dirname "$cupti"):$(dirname "$(find_library libcublasLt.so.13)"):$(dirname "${nccl:-/usr}")
for graphs in "" 1; do
  env KERNEL_TRACE="$work/trace$graphs" ${graphs:+KERNEL_TRACE_GRAPHS=1} CUDA_INJECTION64_PATH="$folder/libkernel_trace.so" \
    "$folder/troupe" bench --device cuda --json "${bench[@]}" >"$work/bench.json"
  python3 "$here/kernel_times.py" "$work/trace$graphs".* "${times[@]}" | if [[ $graphs ]]; then head -n 4; else cat; fi
done | tee "$out/profile-$name.txt"
