// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "runtime/engine/executor.hpp"
#include "runtime/engine/sequence_table.hpp"
#include "runtime/progress_counter.hpp"

namespace troupe {

struct scripted_options {
  std::size_t vocabulary_size = 1024;
  std::size_t positions_max = 1U << 20;
  std::uint32_t block_tokens = 16;
  std::uint32_t blocks = 1024;
  std::size_t batch_tokens_max = 8192;
  bool samples = true;              ///< this rank's results carry the tokens
  bool salt_with_epoch = false;     ///< another epoch gives other tokens, so that a mixture of epochs is seen
  std::uint64_t fail_at_step = 0;   ///< this step throws collective_error; 0: never
  std::uint64_t wrong_at_step = 0;  ///< its first token is off by one; 0: never
  std::function<void(const step_plan&)> before_step;  ///< to delay, block or throw; may be empty
  std::shared_ptr<progress_counter> progress{};       ///< advanced by every step; may be null
};

/// An executor without a model: the token after a sequence is a hash of everything fed to it, so every rank, batch and
/// resumption gives the same one. Checks plans as the real one does. `logprob` and `top` stay empty.
class scripted_executor final : public blocking_executor {
 public:
  explicit scripted_executor(scripted_options options);

  load_report load(const load_progress& progress) override;
  bool samples() const override { return options_.samples; }
  void abort() noexcept override { stop_.store(true); }

  /// The token that follows `tokens`, for tests that foretell a stream. `salt` is the epoch where it is used, else 0.
  static token_id next_token(const std::vector<token_id>& tokens, std::size_t vocabulary_size, std::uint64_t salt = 0);

 private:
  step_result compute(const step_plan& plan) override;

  const scripted_options options_;
  sequence_table sequences_;
  std::atomic<bool> stop_{false};
};

}  // namespace troupe
