#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The house rules, held by a program. Run through `./dev check`; every finding is printed, then the number of them.
set -uo pipefail
findings=0
report() { # title, lines
  [[ -n $2 ]] || return 0
  printf '%s\n' "$1" "$2" | sed '2,$s/^/  /'
  findings=$((findings + $(wc -l <<<"$2")))
}
sources() { git ls-files --cached --others --exclude-standard -- "$@"; }

# Format.
report 'not formatted; run ./dev fmt:' \
  "$(sources '*.cpp' '*.hpp' '*.cu' '*.cuh' | xargs -r clang-format --dry-run -Werror 2>&1 | grep -oE '^[A-Za-z0-9_./-]+\.(cpp|hpp|cu|cuh):' | sort -u || true)"

# Who may include whom: folder, then the folders whose headers it may include.
while read -r folder allowed; do
  bad=$(sources "$folder/*.hpp" "$folder/*.cpp" "$folder/*.cu" | xargs -r grep -nHE '^#include "(kernels|runtime|topology|actors|apps|tests)/' |
    grep -vE "#include \"($allowed)/" || true)
  report "$folder may include only from: ${allowed//|/, }" "$bad"
done <<'RULES'
kernels kernels
topology topology
runtime runtime|kernels
actors actors|runtime|kernels|topology
apps apps|actors|runtime|kernels|topology
RULES
report 'CAF is for actors, apps, tests and examples:' "$(sources 'kernels/*' 'runtime/*' 'topology/*' | xargs -r grep -nHE '#include [<"]caf/' || true)"
report 'HTTP and CAF meet only in apps/gateway/reply_stream:' \
  "$(sources 'apps/gateway/*' | grep -v reply_stream | xargs -r grep -nHE '#include [<"](caf|actors)/' || true)"
report 'Boost is for apps/gateway and its tests:' \
  "$(sources '*.hpp' '*.cpp' | grep -vE '^(apps/gateway|tests)/' | xargs -r grep -nHE '#include <boost/' || true)"
report 'the JSON library is for .cpp files:' "$(sources '*.hpp' | xargs -r grep -nHE '#include <nlohmann/' || true)"
report 'nccl.h is for runtime/collective/nccl.cpp:' \
  "$(sources '*.hpp' '*.cpp' '*.cu' | grep -v '^runtime/collective/nccl.cpp$' | xargs -r grep -nHE '#include <nccl' || true)"
report 'CUDA is for kernels/cuda and *_cuda.cu:' \
  "$(sources '*.hpp' '*.cpp' '*.cu' | grep -vE '^kernels/cuda/|_cuda\.cu$|^runtime/collective/nccl.cpp$' | xargs -r grep -nHE '#include <(cuda|cublas)' || true)"

# Small rules.
report 'first line is not the licence:' \
  "$(sources '*.cpp' '*.hpp' '*.cu' '*.cuh' | while read -r f; do head -n 1 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f"; done)"
report 'no sleep in product or tests:' \
  "$(sources 'kernels/*' 'runtime/*' 'topology/*' 'actors/*' 'tests/*.cpp' 'tests/*.hpp' | xargs -r grep -nHE 'sleep_for|sleep_until|\busleep\(|\bsleep\(' || true)"
report 'no exit outside apps and examples:' \
  "$(sources 'kernels/*.cpp' 'runtime/*.cpp' 'topology/*.cpp' 'actors/*.cpp' | xargs -r grep -nHE '\b_?exit\(' | grep -v 'send_exit' || true)"

report 'planted bugs that cannot be planted any more:' "$(python3 tools/mutants.py --check)"

# Dead files: every source is in the build, every header is included somewhere.
if [[ -e build/release/compile_commands.json ]]; then
  built=$(grep -oE '"file": "[^"]+"' build/release/compile_commands.json | cut -d'"' -f4 |
    xargs -r realpath --relative-to=. | sort -u)
  # A file that stands for an absent feature (no_x.cpp) is in the builds that lack it.
  absent=$(comm -23 <(sources '*.cpp' | sort -u) <(printf '%s\n' "$built") | while read -r f; do
    grep -qE "(^|[ (/])$(basename "$f")" "$(dirname "$f")/CMakeLists.txt" "$(dirname "$f")/../CMakeLists.txt" 2>/dev/null || echo "$f"
  done)
  report 'not in the release build:' "$absent"
fi
included=$(sources '*.hpp' '*.cpp' '*.cu' | xargs -r grep -hoE '#include "[^"]+"' | grep -oE '"[^"]+"' | tr -d '"' | sort -u)
report 'included nowhere:' "$(comm -23 <(sources '*.hpp' | sort -u) <(printf '%s\n' "$included"))"

# Headers compile alone, without warnings. Skipped when nothing has changed since the last clean run.
prefix=${TROUPE_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/troupe/deps-1}
cache=build/check
mkdir -p "$cache"
flags=(-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only '-DTROUPE_SOURCE_DIR=""' '-DTROUPE_BINARY_DIR=""' -I . -I build/release -isystem "$prefix/include")
state=$(sources '*.hpp' | xargs -r cat | sha256sum)
if [[ $(cat "$cache/headers" 2>/dev/null) != "$state" ]]; then
  failed=$(sources '*.hpp' | xargs -r -P "$(nproc)" -I{} bash -c \
    'printf "#include \"%s\"\n" "$1" | "${CXX:-g++}" "${@:2}" -x c++ - >/dev/null 2>&1 || echo "$1"' _ {} "${flags[@]}" | sort)
  report 'does not compile alone:' "$failed"
  [[ -n $failed ]] || printf '%s' "$state" >"$cache/headers"
fi

# Warnings are errors in the release preset, so a clean build is the proof.
if [[ -e build/release/build.ninja ]]; then
  log=$(cmake --build --preset release -- -j "$(nproc)" 2>&1) || report 'the release preset does not build:' "$(grep -E 'error' <<<"$log" | head -n 20)"
fi

((findings == 0)) && { echo 'check: nothing found'; exit 0; }
echo "check: $findings findings"
exit 1
