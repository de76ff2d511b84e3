#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All checks and benchmarks that need a GPU, on a machine that has one: `tools/gpu.sh FOLDER [PART...]`, where FOLDER
# holds the programs of the cuda preset (build/cuda, or what tools/gpu_carry.sh made). Parts: tests group sanitize decode
# prefill offline tensor recovery profile; all by default. group, tensor and recovery need two GPUs, tensor4 (not by
# default) four. One JSON line a benchmark goes to $OUT/gpu.jsonl (default build/gpu), from which
# tools/gpu_tables.py FILE... writes the tables of docs/performance.md.
set -uo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
folder=$(realpath "${1:?usage: tools/gpu.sh FOLDER [PART...]}")
shift
parts=(${@:-tests group sanitize decode prefill offline profile tensor recovery})
out=${OUT:-build/gpu}
mkdir -p "$out"
export NCCL_NVLS_ENABLE=${NCCL_NVLS_ENABLE:-0} # multicast needs a fabric manager, and two GPUs gain nothing from it
nccl=$(find / -xdev -name 'libnccl.so.2' 2>/dev/null | head -n 1)
cublas=$(find / -xdev -name 'libcublasLt.so.13' 2>/dev/null | head -n 1)
export LD_LIBRARY_PATH=$folder/lib:$(dirname "${cublas:-/usr}"):$(dirname "${nccl:-/usr}")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
failed=0

wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }
bench() { # name, options...
  local name=$1 line
  shift
  # NCCL may print lines of its own; the last one is the result.
  if line=$(set -o pipefail; timeout "${LIMIT:-200}" "$folder/troupe" bench --device cuda --json --log-level info "$@" \
    2>"$out/$name.log" | tail -n 1); then
    printf '{"gpu": "%s", "name": "%s", "result": %s}\n' "$gpu" "$name" "$line" >>"$out/gpu.jsonl"
    printf '%s %s\n' "$name" "$(python3 -c 'import json,sys; r=json.loads(sys.argv[1]); print({k: round(r[k],4) for k in ("output_tokens_per_second","first_token_p50_ms","inter_token_p50_ms","step_mean_ms","outside_executor","share_of_memory_bandwidth","prefill_tokens_per_second","prefill_weight_tflops") if k in r})' "$line")"
    grep -hoE '(memory-planned|cuda-loaded|nccl-joined) .*' "$out/$name.log" | sed 's/^/    /' 
  else
    printf '%s FAILED: %s\n' "$name" "$(tail -n 3 "$out/$name.log")"
    failed=1
  fi
}
test_program() { # program, arguments...
  timeout "${LIMIT:-240}" "$folder/$1" "${@:2}" >"$out/$1.log" 2>&1
  local rc=$?
  printf '%s rc=%s: %s\n' "$1" "$rc" "$(tail -n 2 "$out/$1.log" | tr '\n' ' ')"
  ((rc == 0 || rc == 4)) || { failed=1; grep -E 'FAILED|error|with|prompt|group' "$out/$1.log" | head -n 30; }
}

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
if wants tests; then
  test_program cuda_kernels_test
  test_program cuda_engine_test
fi
if wants group; then
  LIMIT=120 test_program cuda_group_test
  # What NCCL asks of the driver and is refused is no error of ours. Its kernels' barriers are reported by synccheck, in
  # which threads take different ways; all that is reported is theirs: without them there is nothing.
  for tool in memcheck racecheck synccheck; do
    timeout 60 compute-sanitizer --tool $tool --report-api-errors no --kernel-name-exclude kernel_substring=nccl \
      --error-exitcode 9 "$folder/cuda_group_test" \
      "every rank has all logits of a vocabulary that does not divide" >"$out/group-$tool.log" 2>&1
    printf 'compute-sanitizer %s of two devices rc=%s: %s\n' $tool $? "$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/group-$tool.log" | tr '\n' ' ')"
  done
fi
if wants sanitize; then
  for tool in memcheck racecheck synccheck; do
    timeout 200 compute-sanitizer --tool $tool --error-exitcode 9 "$folder/cuda_kernels_test" \
      "sequences of a mixed batch on the device do not touch each other" >"$out/$tool.log" 2>&1
    printf 'compute-sanitizer %s rc=%s: %s\n' $tool $? "$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/$tool.log" | head -n 2 | tr '\n' ' ')"
  done
fi
if wants decode; then
  bench qwen3-0.6b-b1-c1k --weights random:qwen3-0.6b --batch 1 --context 1024 --steps 512 --kv-memory 4GiB
  bench qwen3-0.6b-b64-c1k --weights random:qwen3-0.6b --batch 64 --context 1024 --steps 256 --kv-memory 20GiB
  for batch in 1 8 64 256; do
    bench qwen3-8b-b$batch-c1k --weights random:qwen3-8b --batch $batch --context 1024 --steps 256 --kv-memory 40GiB \
      --max-sequences 256 --max-batch-tokens 8192
  done
fi
if wants decode; then
  bench qwen3-8b-b1-c16k --weights random:qwen3-8b --batch 1 --context 16384 --steps 128 --kv-memory 8GiB
fi
if wants prefill; then
  bench qwen3-8b-prefill-2k --weights random:qwen3-8b --batch 1 --prompt-tokens 2048 --steps 16 --kv-memory 8GiB
fi
if wants offline; then
  LIMIT=240 bench qwen3-14b-offline --weights random:qwen3-14b --kv-memory 60GiB --max-sequences 256 --max-batch-tokens 8192
fi
if wants tensor; then
  tensor=(--tensor 2 --kv-memory 20GiB --max-sequences 256 --max-batch-tokens 8192)
  for batch in 1 8; do
    LIMIT=60 bench qwen3-8b-b$batch-c1k --weights random:qwen3-8b --batch $batch --context 1024 --steps 256 --kv-memory 40GiB \
      --max-sequences 256 --max-batch-tokens 8192
  done
  for batch in 1 8 64 256; do
    LIMIT=60 bench qwen3-8b-tp2-b$batch-c1k --weights random:qwen3-8b --batch $batch --context 1024 --steps 256 "${tensor[@]}"
  done
  LIMIT=60 bench qwen3-8b-pp2-b8-c1k --weights random:qwen3-8b --batch 8 --context 1024 --steps 256 --pipeline 2 "${tensor[@]:2}"
  LIMIT=60 bench qwen3-8b-prefill-2k --weights random:qwen3-8b --batch 1 --prompt-tokens 2048 --steps 16 --kv-memory 8GiB
  LIMIT=60 bench qwen3-8b-tp2-prefill-2k --weights random:qwen3-8b --batch 1 --prompt-tokens 2048 --steps 16 "${tensor[@]}"
  LIMIT=90 bench qwen3-32b-tp2-b1-c1k --weights random:qwen3-32b --batch 1 --context 1024 --steps 128 "${tensor[@]}"
fi
if wants tensor4; then
  tensor=(--tensor 4 --kv-memory 20GiB --max-sequences 256 --max-batch-tokens 8192)
  for batch in 1 8 64; do
    LIMIT=120 bench qwen3-32b-tp4-b$batch-c1k --weights random:qwen3-32b --batch $batch --context 1024 --steps 128 "${tensor[@]}"
  done
fi
if wants profile; then
  some=(--context 1024 --steps 256 --kv-memory 40GiB --max-sequences 256 --max-batch-tokens 8192)
  for batch in 1 8 64; do
    for shape in 0.6b 8b; do
      printf 'profile %s, %s sequences\n' $shape $batch
      timeout 100 "$here/gpu_profile.sh" "$folder" $shape-b$batch --weights random:qwen3-$shape --batch $batch "${some[@]}"
    done
  done
  printf 'profile offline 14b\n'
  timeout 200 "$here/gpu_profile.sh" "$folder" offline --weights random:qwen3-14b --kv-memory 60GiB \
    --max-sequences 256 --max-batch-tokens 8192 -- --last 1100
fi
if wants recovery; then
  export TROUPE=$folder/troupe TROUPE_LOAD_CLIENT=$folder/load_client TROUPE_RANDOM_MODEL=$folder/random_model TROUPE_CHAOS_LOG=$out/recovery.log
  chaos=$folder/tests/chaos/chaos.py
  [[ -e $chaos ]] || chaos=tests/chaos/chaos.py
  timeout "${RECOVERY_LIMIT:-420}" python3 "$chaos" gpu --count "${RECOVERY_COUNT:-20}" >"$out/recovery.json" 2>"$out/recovery.err"
  printf 'recovery rc=%s: %s\n' $? "$(tr -d '\n' <"$out/recovery.json" | cut -c1-3000)"
  tail -n 40 "$out/recovery.err"
fi
exit $failed
