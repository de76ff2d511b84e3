#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The CUDA toolkit that the cuda preset builds with. Where the machine has none (no nvcc), NVIDIA's Python wheels of
# pinned versions are unpacked into the deps cache folder: compiler, runtime, cuBLASLt and NCCL, no driver. They compile
# anywhere; running needs a GPU and its driver. A toolkit that is there is taken as it is: NCCL beside it is used where
# CMake finds it, and without it a group has one CUDA device. Prints the folder that holds bin/nvcc. Run through `./dev deps cuda`.
set -euo pipefail

prefix=${TROUPE_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/troupe/deps-1}
toolkit=$prefix/cuda-13.0
wheels=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.0.2.14 nvidia-nvtx==13.0.85 nvidia-nccl-cu13==2.28.9)

if [[ -z ${TROUPE_CUDA_WHEELS:-} ]] && nvcc=$(command -v nvcc); then
  dirname "$(dirname "$(realpath "$nvcc")")"
  exit 0
fi
if [[ ! -e $toolkit/ready-2 ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  echo "deps: fetching the CUDA toolkit's wheels into $toolkit; once, about three quarters of a gigabyte" >&2
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$work" "${wheels[@]}" >&2 ||
    { echo "deps: error: pip could not fetch ${wheels[*]}; install a CUDA 13.0 toolkit instead" >&2; exit 1; }
  rm -rf "$toolkit"
  mkdir -p "$toolkit/unpacked"
  for wheel in "$work"/*.whl; do
    python3 -m zipfile -e "$wheel" "$toolkit/unpacked"
  done
  for part in cu13 nccl; do
    cp -r "$toolkit/unpacked/nvidia/$part/." "$toolkit/"
  done
  rm -rf "$toolkit/unpacked"
  chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
  # The wheels carry the libraries by their full names only, and in lib where a toolkit has lib64.
  ln -sfn lib "$toolkit/lib64"
  for library in "$toolkit"/lib/*.so.*; do
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
  done
  touch "$toolkit/ready-2"
fi
echo "$toolkit"
