// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

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

/// Steps that may be begun before the first one's result is taken.
inline constexpr std::size_t steps_begun_max = 2;

/// The seam between deciding and computing: one rank's device, weights, KV memory and collectives.
/// load, then steps in order, all on one thread; abort may come from any thread at any time.
class executor {
 public:
  executor() = default;
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;
  virtual ~executor() = default;

  /// Reads this rank's shard and allocates everything; nothing is allocated on the device after it.
  /// Throws weights_error or std::bad_alloc.
  virtual load_report load(const load_progress& progress) = 0;

  /// Begins a step, maybe while the one before is still under way; at most steps_begun_max are begun and not given out.
  /// Throws collective_error when a peer is lost or late, engine_error for a plan that contradicts earlier ones; the
  /// executor is then dead.
  virtual void begin(const step_plan& plan) = 0;

  /// What the oldest step gave that is begun and not given out; nothing while it is under way or where there is none.
  /// Does not wait, and throws as begin does.
  virtual std::optional<step_result> poll() = 0;

  /// One step from its beginning to its end, while no other is begun.
  step_result run(const step_plan& plan) {
    begin(plan);
    while (true) {
      if (auto result = poll()) return std::move(*result);
      std::this_thread::yield();
    }
  }

  /// True on the one rank of the group whose results carry the sampled tokens.
  virtual bool samples() const = 0;

  /// Makes steps under way and every later one throw soon.
  virtual void abort() noexcept = 0;
};

/// An executor whose steps begin and end in one call.
class blocking_executor : public executor {
 public:
  void begin(const step_plan& plan) final { ended_ = compute(plan); }
  std::optional<step_result> poll() final { return std::exchange(ended_, std::nullopt); }

 private:
  /// Computes one step and waits for it. Throws as begin does.
  virtual step_result compute(const step_plan& plan) = 0;

  std::optional<step_result> ended_;
};

}  // namespace troupe
