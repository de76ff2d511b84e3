#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the libFuzzer programs: tools/fuzz.sh BUILD_FOLDER SECONDS [TARGET ...]; without targets all of them, one after
# another. What is found stays in BUILD_FOLDER/findings; `--keep` writes the inputs that add coverage back to
# tests/fuzz/corpus, which every build replays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=false
[[ ${1:-} == --keep ]] && { keep=true; shift; }
build=$1 seconds=$2
shift 2
input_bytes=4096 inputs_kept=60

targets=("$@")
if ((${#targets[@]} == 0)); then
  for folder in tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

# Copies inputs_kept of the inputs, evenly spread over their sizes.
keep_inputs() {
  local from=$1 into=$2 path
  while read -r path; do
    cp "$path" "$into/$(sha1sum <"$path" | cut -c1-16)"
  done < <(find "$from" -type f -printf '%s %p\n' | sort -n |
    awk -v kept=$inputs_kept '{ path[NR] = $2 } END { for (i = 0; i < kept && i < NR; ++i) print path[int((i + 0.5) * NR / (kept < NR ? kept : NR)) + 1] }')
}

failed=()
for target in "${targets[@]}"; do
  program=$build/fuzz_$target kept=tests/fuzz/corpus/$target work=$build/corpus/$target findings=$build/findings/$target
  [[ -x $program ]] || { printf 'fuzz: error: no target %s; there are: %s\n' "$target" "$(ls tests/fuzz/corpus | tr '\n' ' ')" >&2; exit 2; }
  mkdir -p "$work" "$findings"
  printf 'fuzz: %s for %s s\n' "$target" "$seconds"
  if ! ASAN_OPTIONS=detect_container_overflow=0 "$program" -max_total_time="$seconds" -max_len=$input_bytes -timeout=5 \
      -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 -verbosity=0 -artifact_prefix="$findings/" "$work" "$kept" \
      >"$findings/log" 2>&1; then
    failed+=("$target")
    grep -E 'ERROR|SUMMARY|Test unit written' "$findings/log" || tail -n 5 "$findings/log"
  fi
  grep -E 'stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$findings/log" || true
  if $keep; then
    rm -rf "$work.small" && mkdir -p "$work.small"
    ASAN_OPTIONS=detect_container_overflow=0 "$program" -merge=1 -max_len=$input_bytes "$work.small" "$kept" "$work" >"$findings/merge" 2>&1
    find "$kept" -type f -delete
    keep_inputs "$work.small" "$kept"
  fi
done
((${#failed[@]} == 0)) || { printf 'fuzz: findings in: %s\n' "${failed[*]}" >&2; exit 1; }
