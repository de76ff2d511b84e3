#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds what a sanitizer should see and runs it: tools/sanitize.sh asan|tsan [SEEDS]. SEEDS a mode are simulated.
# A process ends with its first report, which is kept in build/PRESET/reports; what is not ours is named, with its reason,
# in tests/sanitizers. The exit code is 1 after any report and after any test that failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:-} seeds=${2:-}
build=$PWD/build/$kind reports=$PWD/build/$kind/reports supp=$PWD/tests/sanitizers
jobs=${JOBS:-$(nproc)}

case $kind in
  asan)
    seeds=${seeds:-334}
    unit='.*'
    clusters='^process_(serve|generate|client|resume|gateway|fault|two_nodes)$'
    ;;
  tsan)
    # What has threads of its own, and real clusters with scripted engines. Left out: what decides in one thread, and the
    # process tests whose answers a model computes, which takes minutes here.
    seeds=${seeds:-100}
    unit='^(collective|trace|fault|engine|engine_rank|dialer|forgetful_middleman|local_services|serving|gateway)_test$'
    clusters='^chaos_(kill|stop|link|detect|poison)$'
    ;;
  *) printf 'sanitize: error: asan or tsan, not "%s"\n' "$kind" >&2; exit 2 ;;
esac

shared="halt_on_error=1:exitcode=99:log_path=$reports/report"
export ASAN_OPTIONS="$shared:detect_stack_use_after_return=1:strict_string_checks=1"
export LSAN_OPTIONS="suppressions=$supp/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS="$shared:print_stacktrace=1"
# Programs of a cluster end by _exit, with threads that nobody joined.
export TSAN_OPTIONS="$shared:suppressions=$supp/tsan.supp:second_deadlock_stack=1:history_size=4:report_thread_leaks=0"
export TROUPE=$build/troupe TROUPE_LOAD_CLIENT=$build/load_client PYTHONDONTWRITEBYTECODE=1 TROUPE_TEST_PATIENCE=10

# The programs of the unit tests, as ninja calls them.
unit_programs() {
  ctest --test-dir "$build" -N -L '^unit$' -R "$unit" | sed -n 's/^ *Test *#[0-9]*: //p' | sed -E 's/^fuzz_corpus_(.*)/\1_replay/'
}

failed=()
step() { # what, command...
  local start=$SECONDS
  "${@:2}" || failed+=("$1")
  printf 'sanitize: %s: %d s\n' "$1" $((SECONDS - start))
}

rm -rf "$reports" && mkdir -p "$reports"
cmake "$build" >/dev/null # tests may have come since it was configured
mapfile -t programs < <(unit_programs)
cmake --build --preset "$kind" --target troupe troupe_sim load_client "${programs[@]}" -- -j "$jobs" ${CI:+--quiet}

step 'unit tests' ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$jobs" -L '^unit$' -R "$unit"
step "simulation, $seeds seeds a mode" "$build/troupe_sim" --seeds "$seeds" --mode all
step 'real clusters' ctest --test-dir "$build" --output-on-failure --no-tests=error -R "$clusters"

found=$(find "$reports" -type f | wc -l)
if ((found > 0)); then
  find "$reports" -type f -exec grep -hE '^SUMMARY|runtime error' {} + | sort | uniq -c | sort -rn
fi
printf 'sanitize: %s reports (%s), failed: %s\n' "$found" "$reports" "${failed[*]:-nothing}"
((found == 0 && ${#failed[@]} == 0))
