// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernels/dtype.hpp"
#include "runtime/progress_counter.hpp"

namespace troupe {

/// How a rank uses its machine. The ranks of a group have equal block_tokens and batch_tokens_max.
struct engine_options {
  std::size_t threads = 1;                       ///< that compute, the caller of run among them
  std::size_t block_tokens = 32;                 ///< a multiple of 16
  std::uint32_t kv_blocks = 0;                   ///< 0: as many as kv_bytes hold
  std::uint64_t kv_bytes = 0;                    ///< used when kv_blocks is 0
  std::size_t batch_tokens_max = 512;            ///< tokens of one step, prompt and decode together
  std::string isa = "auto";                      ///< auto, portable, avx2, avx512 or amx
  dtype kv_type = dtype::f32;                    ///< bf16 halves the cache and costs accuracy
  std::shared_ptr<progress_counter> progress{};  ///< advanced inside load and run; may be null
  /// Where a CUDA engine keeps what it found out about its device, so that the next start need not; empty: nowhere.
  std::string cache_folder{};
  /// Given lines for a log while loading: the memory plan, where the time went. May be empty.
  std::function<void(const std::string&)> tell{};
};

}  // namespace troupe
