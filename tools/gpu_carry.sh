#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts what a GPU machine without a build needs into a folder: the programs of the cuda preset and the libraries that
# Debian has and another system may not. tools/gpu.sh runs from there.
#   tools/gpu_carry.sh FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:?usage: tools/gpu_carry.sh FOLDER}
mkdir -p "$folder/lib"
programs=(build/cuda/troupe build/cuda/cuda_kernels_test build/cuda/cuda_engine_test build/cuda/cuda_group_test
  build/cuda/load_client build/cuda/random_model)
for program in "${programs[@]}"; do
  strip -o "$folder/$(basename "$program")" "$program"
done
if [[ -e build/cuda/libkernel_trace.so ]]; then cp build/cuda/libkernel_trace.so "$folder/"; fi
ldd "${programs[@]}" | awk '$3 ~ /^\// {print $3}' | sort -u |
  grep -vE '/(libc|libm|libdl|librt|libpthread|libcublas|libcublasLt|libnccl)\.so' | xargs -I{} cp -L {} "$folder/lib/"
cp tools/gpu.sh tools/gpu_profile.sh tools/kernel_times.py "$folder/"
mkdir -p "$folder/tests/chaos" "$folder/tests/process" "$folder/models/demo"
cp models/demo/{config.json,tokenizer.json,tokenizer_config.json,chat_template.jinja} "$folder/models/demo/"
cp tests/chaos/*.py "$folder/tests/chaos/"
cp tests/process/cluster.py "$folder/tests/process/"
git describe --always --dirty >"$folder/commit"
du -sh "$folder"
