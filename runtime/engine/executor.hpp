// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/step_plan.hpp"

namespace troupe {

/// Called while weights load with bytes done and bytes in all; may be empty.
using load_progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// What a rank holds after loading, and what the scheduler may plan with.
struct load_report {
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes = 0;
  std::uint32_t blocks = 0;        ///< KV blocks of this rank; the group uses the smallest of its ranks
  std::uint32_t block_tokens = 0;  ///< tokens a block holds
};

template <class Inspector>
bool inspect(Inspector& f, load_report& x) {
  return f.object(x).fields(f.field("weight_bytes", x.weight_bytes), f.field("kv_bytes", x.kv_bytes),
                            f.field("blocks", x.blocks), f.field("block_tokens", x.block_tokens));
}

/// The seam between deciding and computing: one rank's device, weights, KV memory and collectives.
/// load, then run in step order, all on one thread; abort may come from any thread at any time.
class executor {
 public:
  executor() = default;
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;
  virtual ~executor() = default;

  /// Reads this rank's shard and allocates everything; nothing is allocated on the device after it.
  /// Throws weights_error or std::bad_alloc.
  virtual load_report load(const load_progress& progress) = 0;

  /// Runs one step and waits for it. Throws collective_error when a peer is lost or late; the executor is then dead.
  virtual step_result run(const step_plan& plan) = 0;

  /// True on the one rank of the group whose results carry the sampled tokens.
  virtual bool samples() const = 0;

  /// Makes a run in progress and every later one throw soon.
  virtual void abort() noexcept = 0;
};

}  // namespace troupe
