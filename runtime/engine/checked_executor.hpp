// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "runtime/engine/executor.hpp"

namespace troupe {

/// Runs every step on two executors, gives the first one's results and throws engine_error naming sequence, position
/// and both tokens where the second chose another. For comparing a new backend with a known one.
class checked_executor final : public blocking_executor {
 public:
  checked_executor(std::unique_ptr<executor> trusted, std::unique_ptr<executor> tested)
      : trusted_(std::move(trusted)), tested_(std::move(tested)) {}

  /// The smaller of the two caches; throws engine_error when their blocks differ in size.
  load_report load(const load_progress& progress) override;
  bool samples() const override { return trusted_->samples(); }
  void abort() noexcept override;

 private:
  step_result compute(const step_plan& plan) override;

  std::unique_ptr<executor> trusted_;
  std::unique_ptr<executor> tested_;
};

}  // namespace troupe
